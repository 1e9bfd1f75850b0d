"""No scenario of a test split, and no training found by searching one, is behind a trace or a fit.

Read from the files themselves: the lookup table, the benchmark table, the traces of a fine-tuning.
"""

import pandas as pd

from cim_sim.paths import BENCH_TABLE
from search.record.lookup import LOOKUP_TABLE, read_lookup
from search.study.cut import (
    BENCH_SIGMAS,
    HELD_CELLS,
    SIGMA_BANDS,
    Platform,
    cells,
    platforms,
)
from search.study.family import tasks

HELD_SIGMAS = {k for bands in SIGMA_BANDS.values() for band in bands for k in band}


def assert_training_ground(task):
    hardware = task.scenario.hardware
    assert platforms()[Platform(hardware.device, hardware.adc_levels, hardware.node_nm)] == "train"
    assert not cells(task.space, hardware) & HELD_CELLS
    options = task.space.hardware.cell_bits or (hardware.cell_bits,)
    sigmas = {round(1000 * task.scenario.variation.effective(bits)) for bits in options}
    assert not sigmas & HELD_SIGMAS
    assert task.scenario.objective.metric in ("energy", "latency")
    assert task.scenario.workload.dataset == "shapes"
    assert task.space.width_divisor == 4
    assert 36 not in task.space.channels


def test_the_lookup_table_holds_training_tasks_and_no_other():
    solved = read_lookup(LOOKUP_TABLE)
    assert len(solved) >= 100
    for row in solved:
        assert_training_ground(row.task)
    assert [row.task for row in solved[:3]] == tasks("train", 3)


def test_the_tasks_of_a_fine_tuning_are_training_ones():
    for task in [*tasks("train", 20, bench_sigmas=True), *tasks("train", 20, first=700)]:
        assert_training_ground(task)


def test_listed_trainings_of_the_benchmark_table_are_at_training_levels():
    rows = pd.read_parquet(BENCH_TABLE, columns=["origin", "training_sigma"])
    listed = rows[~rows["origin"].str.startswith("found")]["training_sigma"]
    assert set(listed) <= {0.0, *BENCH_SIGMAS}


def test_trainings_found_by_optimisers_are_at_training_sigmas():
    rows = pd.read_parquet(BENCH_TABLE, columns=["origin", "sigma", "training_sigma"])
    found = rows[rows["origin"].str.startswith("found")]
    for column in ("sigma", "training_sigma"):
        assert not set((1000 * found[column]).round().astype(int)) & HELD_SIGMAS
