"""The benchmark list and its runner: order, durability, resume after a kill."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from cim_sim.accuracy import Query
from cim_sim.accuracy.bench import table as bench
from cim_sim.accuracy.bench.jobs import (
    ADC_LEVELS,
    ADC_ROWS,
    COMMON_ADC,
    DIGITS,
    DIGITS_AGAIN,
    KERNELS,
    LEVELS,
    PAIR_LEVELS,
    PAIRED,
    SEEDS,
    UNCLIPPED,
    WIDTHS,
    Job,
    _grown,
    jobs,
)
from cim_sim.config import UsageError
from cim_sim.files import locked
from cim_sim.space import ConvChoice

SMALL = ((2, 1),) * 6
SETTINGS = {"dataset": "digits", "hidden": 16, "recipe": {"epochs": 1, "draws": 2}}


def small_jobs(count):
    return [
        Job(
            "test",
            tuple(
                Query.model_validate(
                    {"layers": SMALL, **SETTINGS, "training_sigma": 0.1, "sigma": s, "seed": seed}
                )
                for s in (0.1, 0.2)
            ),
        )
        for seed in range(count)
    ]


@pytest.fixture(scope="module")
def full():
    return jobs()


def test_the_list_is_the_same_each_time_and_trains_nothing_twice(full):
    assert jobs() == full
    assert len({job.key for job in full}) == len(full) >= 900
    assert jobs(seed=1) != full


def test_every_job_stays_in_the_table_and_meets_converters_at_the_noise_it_trained_at(full):
    for job in full:
        first = job.queries[0]
        assert len({query.training_key for query in job.queries}) == 1
        assert len({query.key for query in job.queries}) == len(job.queries)
        assert first.sigma == first.training_sigma
        assert first.adc is None
        assert {query.sigma for query in job.queries} <= set(LEVELS)
        assert {query.images for query in job.queries} == {"selection"}
        assert {query.sigma for query in job.queries if query.adc} == {first.training_sigma}
        assert all(c in WIDTHS and k in KERNELS for c, k in first.layers)


def test_every_adc_is_met_about_equally_often(full):
    met = Counter(
        (query.adc.levels, query.adc.rows) for job in full for query in job.queries if query.adc
    )
    assert len(met) == len(ADC_LEVELS) * len(ADC_ROWS)
    common = met.pop((COMMON_ADC.levels, COMMON_ADC.rows))
    assert common > max(met.values()) < 1.6 * min(met.values())


def test_any_prefix_is_a_fair_sample(full):
    whole = Counter(job.origin for job in full)
    for share in (0.1, 0.25, 0.5):
        part = Counter(job.origin for job in full[: round(share * len(full))])
        assert all(part[o] == pytest.approx(share * whole[o], abs=3.5) for o in PARTS)


PARTS = ("pair", "unclipped pair", "levels", "digits")


def test_pairs_are_trained_in_both_pipelines_with_three_seeds_and_some_unclipped(full):
    for origin, bases, clip_rms in (("pair", PAIRED, 2.5), ("unclipped pair", UNCLIPPED, None)):
        own = [job.queries[0] for job in full if job.origin == origin]
        trained = Counter(query.layers for query in own)
        assert set(trained.values()) == {len(PAIR_LEVELS) * SEEDS}
        assert len(trained) == 5 * bases
        assert {query.recipe.clip_rms for query in own} == {clip_rms}
    for job in full:
        if "pair" in job.origin and job.queries[0].training_sigma == 0:
            plain = [query.sigma for query in job.queries if query.adc is None]
            assert plain == list(PAIR_LEVELS)


def test_a_base_grows_by_one_kernel_at_each_place_and_by_all():
    rng = np.random.default_rng(0)
    base = tuple(ConvChoice(8, 5) for _ in range(6))
    smallest, *single, every = _grown(rng, base, smallest=3)
    for place, one in enumerate(single):
        (changed,) = [n for n in range(6) if one[n] != smallest[n]]
        assert changed // 2 == place
        assert one[changed].kernel > smallest[changed].kernel == 3
        assert every[changed] == one[changed]
    assert sum(a != b for a, b in zip(smallest, every, strict=True)) == 3


def test_networks_on_digits_are_matched_and_some_have_three_seeds(full):
    own = [job.queries[0] for job in full if job.queries[0].dataset == "digits"]
    networks = Counter(query.layers for query in own)
    assert len(networks) == DIGITS
    assert sum(count == SEEDS for count in networks.values()) == DIGITS_AGAIN
    assert all(query.training_sigma > 0 for query in own)


def test_a_run_goes_on_where_it_stopped_and_repeats_nothing(tmp_path):
    wanted = small_jobs(3)
    assert bench.run(wanted[:2], tmp_path, workers=1) == 2
    before = bench.read(tmp_path / bench.LINES)
    with (tmp_path / bench.LINES).open("a") as file:
        file.write('{"key": "torn')
    assert bench.run(wanted, tmp_path, workers=1) == 1
    after = bench.read(tmp_path / bench.LINES)
    assert after[:2] == before
    assert [line.key for line in after] == [job.key for job in wanted]


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / bench.LINES
    bench.run(small_jobs(1), tmp_path, workers=1)
    path.write_text(path.read_text() + '{"key"\n{"key": "c"}\n')
    with pytest.raises(UsageError, match=r"trainings\.jsonl:2: not a training: .*delete the line"):
        bench.read(path)


def test_a_table_has_one_row_for_each_test(tmp_path):
    bench.run(small_jobs(1), tmp_path, workers=1)
    table = bench.table(bench.read(tmp_path / bench.LINES))
    assert table["sigma"].tolist() == [0.1, 0.2]
    assert table["channels_6"].tolist() == [2, 2]
    assert table["adc_levels"].isna().all()
    assert table["clip_rms"].tolist() == [2.5, 2.5]
    assert table["images"].tolist() == ["selection"] * 2
    assert table["mean"].between(0, 1).all()


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_bench import bench, small_jobs
if __name__ == "__main__":
    bench.run(small_jobs(400), Path({folder!r}), workers={workers})
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_nine_loses_only_what_was_unfinished(tmp_path, workers):
    program = tmp_path / "program.py"
    here = os.path.dirname(__file__)
    program.write_text(PROGRAM.format(here=here, folder=str(tmp_path), workers=workers))
    child = subprocess.Popen([sys.executable, str(program)], env={**os.environ, "PYTHONPATH": "."})
    lines = tmp_path / bench.LINES
    deadline = time.monotonic() + 120
    while len(bench.read(lines)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    time.sleep(1)
    before = bench.read(lines)
    assert 2 <= len(before) < 400, "workers must end with their parent"
    assert len(bench.read(lines)) == len(before)
    wanted = small_jobs(len(before) + 1)
    bench.run(wanted, tmp_path, workers=1)
    keys = [line.key for line in bench.read(lines)]
    assert len(keys) == len(set(keys))
    assert {job.key for job in wanted} <= set(keys)


def test_a_table_grows_by_what_it_lacks(tmp_path):
    parquet = tmp_path / "table" / "trainings.parquet"
    assert bench.published(parquet) == set()
    bench.run(small_jobs(1), tmp_path / "one", workers=1)
    assert bench.publish(tmp_path / "one" / bench.LINES, parquet) == 1
    bench.run(small_jobs(2), tmp_path / "two", workers=1)
    assert bench.publish(tmp_path / "two" / bench.LINES, parquet) == 2
    assert bench.published(parquet) == {job.key for job in small_jobs(2)}
    before = parquet.read_bytes()
    assert bench.publish(tmp_path / "empty" / bench.LINES, parquet) == 2
    assert parquet.read_bytes() == before


def test_two_runners_never_share_a_folder(tmp_path):
    with locked(tmp_path), pytest.raises(UsageError, match="another process"):
        bench.run(small_jobs(1), tmp_path, 1)
    assert bench.run(small_jobs(1), tmp_path, 1) == 1


def test_a_line_that_came_twice_is_published_once(tmp_path):
    bench.run(small_jobs(2), tmp_path, 1)
    lines = tmp_path / bench.LINES
    lines.write_text(lines.read_text() * 2)
    assert bench.publish(lines, tmp_path / "table.parquet") == 2
    assert len(pd.read_parquet(tmp_path / "table.parquet")) == 4


def test_a_line_with_spaces_is_read(tmp_path):
    path = tmp_path / bench.LINES
    path.write_text(
        '{"key": "33cf", "origin": "pair", "layers": [[8, 3], [16, 5], [4, 1], [4, 1], [4, 1], '
        '[4, 1]], "dataset": "shapes", "epochs": 10, "clip_rms": null, "training_sigma": 0.1, '
        '"seed": 2, "finished": 1764000000, "tests": [{"images": "selection", "sigma": 0.1, '
        '"adc_levels": null, "adc_rows": null, "mean": 0.512, "std": 0.01, "quantile_10": 0.5, '
        '"draws": 12, "clean": 0.61}]}\n'
    )
    (row,) = bench.table(bench.read(path)).to_dict("records")
    assert (row["training_key"], row["channels_2"], row["kernel_2"]) == ("33cf", 16, 5)
    assert (row["sigma"], row["mean"], row["seed"]) == (0.1, 0.512, 2)
