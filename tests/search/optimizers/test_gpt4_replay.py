import pytest

from cim_sim.config import UsageError, load
from cim_sim.evaluate import screen
from cim_sim.hardware import FixedHardware
from cim_sim.scenario import EnergyObjective, LatencyObjective, Scenario
from cim_sim.space import Space
from cim_sim.variation import Variation
from search.optimizers.gpt4_replay import Gpt4Replay, Settings, rollouts
from search.proposal import Problem, SearchStopped
from search.record.tasks import Task
from search.study.sweep import SweepConfig, jobs

LCDA = load("configs/spaces/lcda.yaml", Space)
ENERGY, LATENCY = EnergyObjective(metric="energy"), LatencyObjective(metric="latency")


def replay(objective, space=LCDA):
    scenario = Scenario(
        name="s",
        hardware=FixedHardware(subarray=128, cell_bits=2, adc_levels=32, mapping="novel"),
        variation=Variation(sigma=0.04),
        objective=objective,
    )
    return Gpt4Replay(
        Problem(Task(scenario=scenario, space=space), lambda designs: [], seed=0), Settings()
    )


@pytest.mark.parametrize(
    ("objective", "count", "first", "last"),
    [
        (
            LATENCY,
            22,
            [[32, 3], [64, 3], [128, 3], [256, 3], [512, 3], [512, 3]],
            [[64, 3], [128, 5], [256, 7], [512, 3], [512, 7], [256, 5]],
        ),
        (
            ENERGY,
            14,
            [[64, 3], [128, 3], [128, 5], [256, 5], [256, 7], [512, 7]],
            [[32, 3], [32, 3], [32, 3], [32, 3], [64, 3], [128, 3]],
        ),
    ],
)
def test_the_objective_chooses_the_recording(objective, count, first, last):
    recorded = replay(objective)
    proposals = recorded.suggest(2) + recorded.suggest(count - 2)
    recorded.update([])
    wires = [proposal.design.wire() for proposal in proposals]
    assert (wires[0], wires[-1]) == (first, last)
    with pytest.raises(SearchStopped, match=f"has {count} recorded .* --episodes {count} or fewer"):
        recorded.suggest(1)


def test_a_last_batch_may_have_empty_slots():
    recorded = replay(ENERGY)
    batches = [recorded.suggest(4) for _ in range(4)]
    assert [one.design is not None for one in batches[-1]] == [True, True, False, False]
    assert batches[-1][3].failure.message == "the recording is at its end"
    with pytest.raises(SearchStopped, match="none left"):
        recorded.suggest(4)


def test_another_space_is_refused():
    with pytest.raises(UsageError, match="outside space embedded; they were recorded in configs"):
        replay(ENERGY, load("configs/spaces/embedded.yaml", Space))


@pytest.mark.parametrize(
    ("metric", "counts", "energies_uj", "frames"),
    [
        ("energy", (14, 13), (3.3, 38.4), (637, 3334)),
        ("latency", (22, 22), (24.8, 104.1), (329, 1659)),
    ],
)
def test_what_the_recorded_designs_cost_here(metric, counts, energies_uj, frames):
    """The figures of search/README.md, without any training."""
    scenario = load(f"configs/scenarios/paper-{metric}.yaml", Scenario)
    screened = screen(rollouts(metric), scenario)
    built = [one.cost for one in screened if one.cost]
    assert (len(screened), len(built)) == counts
    energies = [cost.energy_pj / 1e6 for cost in built]
    assert (min(energies), max(energies)) == pytest.approx(energies_uj, abs=0.05)
    rates = [1e9 / cost.latency_ns for cost in built]
    assert (min(rates), max(rates)) == pytest.approx(frames, abs=0.5)
    if metric == "latency":
        assert rates[0] == max(rates), "none of the 21 that follow is as fast as the first"


@pytest.mark.parametrize("metric", ["energy", "latency"])
def test_the_papers_sweep_replays_the_whole_recording(metric, tmp_path):
    config = load(f"configs/search/paper-{metric}.yaml", SweepConfig)
    models = [name for name, arm in config.arms.items() if arm.optimizer == "llm"]
    assert models == ["base", "tuned"]  # neither is there on a fresh clone
    others = {name: arm for name, arm in config.arms.items() if name not in models}
    runs = {
        job.arm: job.config for job in jobs(config.model_copy(update={"arms": others}), tmp_path)
    }
    assert runs["gpt4-replay"].episodes == len(rollouts(metric))
    assert [(run.evaluator, run.scenario.metric) for run in runs.values()] == [
        ("trained", metric)
    ] * 4
