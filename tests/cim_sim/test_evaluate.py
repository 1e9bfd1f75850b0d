"""The order of work, infeasibility as data, and the two rewards of the paper."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cim_sim import cost
from cim_sim.accuracy import Accuracy
from cim_sim.config import UsageError, load, parse
from cim_sim.evaluate import INFEASIBLE_REWARD, Evaluation, Evaluator, _alone
from cim_sim.scenario import Scenario
from cim_sim.space import Space, parse_design

EMBEDDED = load("configs/spaces/embedded.yaml", Space)
CODESIGN = load("configs/spaces/codesign.yaml", Space)
PAPER = parse_design("[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]", "paper")
NARROW = parse_design("[[16,3],[16,3],[16,3],[16,3],[16,3],[16,3]]", "narrow")
HARDWARE = {"subarray": 128, "cell_bits": 2, "adc_levels": 32, "mapping": "novel"}


def scenario(**changes):
    data = {
        "name": "test",
        "hardware": HARDWARE,
        "variation": {"sigma": 0.07},
        "objective": {"metric": "energy"},
        **changes,
    }
    return parse(data, Scenario, "test")


class Counting:
    """Answers every question with one accuracy and remembers the questions."""

    def __init__(self, mean=0.5):
        self.mean, self.queries = mean, []

    def __call__(self, queries):
        self.queries += queries
        one = Accuracy(mean=self.mean, std=0.02, quantile_10=0.4, draws=16, clean=0.6)
        return [one for _ in queries]


def evaluate(design, accuracy=None, space=EMBEDDED, **changes):
    source = accuracy or Counting()
    (one,) = Evaluator(scenario(**changes), space, source).evaluate([design])
    return one


def test_rewards_are_the_papers_equations():
    energy = evaluate(PAPER)
    assert energy.reward == pytest.approx(0.5 - sqrt(energy.cost.energy_pj / 8e7))
    latency = evaluate(PAPER, objective={"metric": "latency"})
    assert latency.reward == pytest.approx(0.5 + 1e9 / latency.cost.latency_ns / 1600)
    assert energy.cost == latency.cost


def test_no_floorplan_is_a_reason_and_is_never_trained():
    accuracy = Counting()
    one = evaluate(NARROW, accuracy)
    assert one.infeasible.kind == "floorplan"
    assert one.cost is None
    assert one.reward is None
    assert one.score == INFEASIBLE_REWARD
    assert accuracy.queries == []


def test_area_limit_is_checked_before_training():
    accuracy = Counting()
    one = evaluate(PAPER, accuracy, limits={"area_um2": 1e6})
    assert one.infeasible.kind == "area"
    assert one.infeasible.reason.endswith("mm2 exceeds the limit 1.00 mm2")
    assert one.cost.area_um2 > 1e6
    assert accuracy.queries == []


def test_accuracy_limit_with_its_margin_is_decided_on_the_mean():
    assert evaluate(PAPER, limits={"accuracy": 0.45}).infeasible is None
    one = evaluate(PAPER, limits={"accuracy": 0.46})
    assert one.infeasible.reason == "accuracy 0.500 is below 0.510, the limit with its margin"
    assert one.reward is None
    assert one.accuracy.mean == 0.5


def test_what_is_asked_of_accuracy_knows_no_hardware():
    accuracy = Counting()
    evaluate(PAPER, accuracy)
    evaluate(PAPER, accuracy, objective={"metric": "latency"}, limits={"area_um2": 1e9})
    evaluate(PAPER, accuracy, hardware={**HARDWARE, "device": "fefet", "mapping": "conventional"})
    assert len({query.key for query in accuracy.queries}) == 1
    query = accuracy.queries[0]
    assert query.layers == ((8, 3), (8, 3), (16, 3), (16, 3), (32, 3), (32, 3))
    assert query.training_sigma == query.sigma == 0.07
    assert query.images == "selection"


def test_cell_bits_act_on_accuracy_through_sigma():
    accuracy = Counting()
    fixed = {"adc_levels": 32}
    for bits in (1, 2, 4):
        chosen = {"subarray": 128, "cell_bits": bits, "mapping": "conventional"}
        layers = [(48, 3)] * 6
        design = CODESIGN.decode([0] * 15).model_validate({"layers": layers, "hardware": chosen})
        evaluate(design, accuracy, CODESIGN, hardware=fixed, variation={"cell_sigma": 0.05})
    assert [round(query.sigma, 4) for query in accuracy.queries] == [0.0577, 0.0775, 0.0939]


def test_accuracy_sees_the_converters_that_are_costed():
    accuracy = Counting()
    evaluate(PAPER, accuracy)
    evaluate(PAPER, accuracy, hardware={**HARDWARE, "subarray": 64, "adc_levels": 16})
    found = [query.adc.model_dump() for query in accuracy.queries]
    assert found == [{"levels": 32, "rows": 128}, {"levels": 16, "rows": 64}]


def test_a_field_is_fixed_or_freed_but_not_both_or_neither():
    with pytest.raises(UsageError, match=r"hardware\.subarray is fixed by the one and freed"):
        Evaluator(scenario(), CODESIGN, Counting())
    with pytest.raises(UsageError, match=r"hardware\.mapping is neither fixed nor freed"):
        Evaluator(scenario(hardware={**HARDWARE, "mapping": None}), EMBEDDED, Counting())


def test_a_design_outside_the_space_is_refused():
    with pytest.raises(UsageError, match="layer 1: channels 33 not in"):
        evaluate(parse_design("[[33,3],[32,3],[64,3],[64,3],[128,3],[128,3]]", "x"))


@settings(deadline=None)
@given(st.lists(st.integers(0, EMBEDDED.size - 1), min_size=1, max_size=5))
def test_a_batch_is_its_designs_one_by_one(numbers):
    designs = []
    for number in numbers:
        shape = [len(parameter.choices) for parameter in EMBEDDED.parameters]
        designs.append(EMBEDDED.decode(np.unravel_index(number, shape)))
    evaluator = Evaluator(scenario(), EMBEDDED, Counting())
    together = evaluator.evaluate(designs)
    assert together == [evaluator.evaluate([design])[0] for design in designs]
    assert [Evaluation.model_validate_json(one.model_dump_json()) for one in together] == together


def test_what_was_screened_by_itself_is_priced_once(monkeypatch):
    priced = []
    real = cost.evaluate_mixed
    monkeypatch.setattr(
        cost, "evaluate_mixed", lambda stack, chips: priced.append(len(chips)) or real(stack, chips)
    )
    _alone.cache_clear()
    evaluator = Evaluator(scenario(), EMBEDDED, Counting())
    (screened,) = evaluator.screen([PAPER])
    (evaluated,) = evaluator.evaluate([PAPER])
    assert (evaluated.cost, priced) == (screened.cost, [1])
    assert screened.accuracy is None
    evaluator.evaluate([PAPER, NARROW])
    assert priced == [1, 2]
