"""What a comparison counts: the cells that all arms have, and each of them once."""

import numpy as np
import pytest

from cim_sim.config import UsageError
from search.commands.results import results
from search.comparison.compare import compare
from search.comparison.equality import NotComparable, require_comparable
from search.comparison.kernels import beliefs_of
from search.comparison.page import page, volumes_table
from search.comparison.sources import Gathered, Source
from search.optimizers import is_oracle
from search.record.given import Given
from search.stats import Resampling


def compared(*sources, missing=0, absent=(), factors=()):
    named = [one if isinstance(one, Source) else Source(one, None) for one in sources]
    gathered = Gathered(named, missing, absent)
    return compare(gathered, require_comparable(gathered, factors), "the command", factors)


@pytest.fixture
def elsewhere(config):
    """Change a run to another scenario."""
    limited = {**config().scenario.model_dump(exclude_none=True), "limits": {"accuracy": 0.2}}
    return {"scenario": {**limited, "name": "limited"}}


def test_what_an_arm_has_not_finished_lowers_no_figure(make, elsewhere):
    """Hypervolumes are means over the scenarios that count, and these are said."""
    random = [make("a", episodes=9), make("b", episodes=9, **elsewhere)]
    genetic = [
        make(name, optimizer="genetic", **way) for name, way in (("c", {}), ("d", elsewhere))
    ]
    alone = compared(random[0], genetic[0])
    begun = genetic[1]._replace(trials=genetic[1].trials[:3])
    result = compared(*random, genetic[0], begun)
    assert volumes_table(result) == volumes_table(alone)
    assert {front.scenario for front in result.fronts} == {"test"}
    assert (result.counted, len(result.scenarios)) == (1, 2)
    assert "\n1 scenarios x 1 seeds; " in page(result)
    assert "Left out, because not every arm has as many seeds there: limited." in result.notes


def test_cells_beyond_the_seeds_of_all_scenarios_are_said_to_count_nowhere(make, elsewhere):
    runs = [make(f"t{seed}", episodes=9, seed=seed) for seed in (0, 1, 2)]
    runs += [make(f"u{seed}", episodes=9, seed=seed, **elsewhere) for seed in (0, 1)]
    result = compared(*runs)
    assert (result.seeds, result.counted) == (2, 2)
    assert "1 cells that all arms have finished count nowhere" in " ".join(result.notes)


def test_an_arm_that_is_planned_and_has_no_run_is_named(make):
    result = compared(make("a", episodes=9), missing=24, absent=["greybox"])
    assert result.notes[:2] == (
        "24 runs are not finished: figures are over the 1 cells (scenario and seed) that all arms "
        "have.",
        "Planned, and without any run: greybox.",
    )


def test_an_oracle_inside_a_warm_start_is_one(config):
    asked = {"first": {"optimizer": "surrogate"}, "episodes": 2, "then": {"optimizer": "tpe"}}
    assert is_oracle(config(optimizer="warm", settings=asked, evaluator="surrogate"))
    assert not is_oracle(config(optimizer="warm", settings=asked, evaluator="trained"))
    asked["first"] = {"optimizer": "lookup"}
    assert not is_oracle(config(optimizer="warm", settings=asked, evaluator="surrogate"))


def test_runs_that_were_given_different_things_are_no_arm(make):
    one, other = make("a", episodes=9), make("b", episodes=9, seed=1)
    richer = other.manifest.model_copy(update={"given": Given(trace_evaluations=7)})
    with pytest.raises(NotComparable, match="were given 7 trace evaluations and nothing in one a"):
        compared(one, other._replace(manifest=richer))


def test_two_scenarios_of_one_name_are_refused(make, elsewhere):
    again = {"scenario": {**elsewhere["scenario"], "name": "test"}}
    with pytest.raises(NotComparable, match="two different scenarios are called test; rename one"):
        compared(make("a", episodes=9), make("b", episodes=9, **again))


def test_two_random_arms_make_one_claim(make):
    runs = [make("a", episodes=9), make("b", episodes=9, screen=8), make("c", optimizer="tpe")]
    pairs = [(claim.arm, claim.against) for claim in compared(*runs, factors=["screen"]).claims]
    assert pairs == [("random", "random+screen8"), ("tpe", "random"), ("tpe", "random+screen8")]


def test_a_band_ends_where_the_interval_of_its_last_episode_does():
    resampling = Resampling(8, 3)
    curves = np.random.default_rng(0).random((24, 2))
    low, high = resampling.band(curves)
    last = resampling.interval(curves[:, -1])
    assert (low[-1], high[-1]) == pytest.approx((last.low, last.high))
    assert Resampling(2, 2).band(curves[:4]) is None


def test_a_damaged_probe_and_a_folder_that_is_not_there_are_said(tmp_path):
    (tmp_path / "probe.json").write_text('{"model": {"name": "x"}, "beliefs": []}')
    with pytest.raises(UsageError, match=r"probe\.json: no result of a probe"):
        list(beliefs_of([tmp_path / "probe.json"]))
    with pytest.raises(UsageError, match=r"nowhere/README\.md: not there; name a folder with one"):
        results(tmp_path / "nowhere")
