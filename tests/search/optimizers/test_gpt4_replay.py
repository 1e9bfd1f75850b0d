import pytest

from cim_sim.config import UsageError, load
from cim_sim.hardware import FixedHardware
from cim_sim.scenario import EnergyObjective, LatencyObjective, Scenario
from cim_sim.space import Space
from cim_sim.variation import Variation
from search.optimizers.gpt4_replay import Gpt4Replay, Settings
from search.proposal import Problem, SearchStopped
from search.record.tasks import Task

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
