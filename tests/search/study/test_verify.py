import json

import pandas as pd
import pytest

from cim_sim.accuracy import Accuracy
from cim_sim.config import load
from cim_sim.space import Space, from_wire
from search.record.tasks import Task
from search.study import verify
from search.study.verify import Winner, retrain, winners
from search.study.verify_page import verified_page

DESIGNS = [from_wire([[width, 3]] * 6) for width in (16, 32, 64)]


def task_of(scenario):
    return Task(scenario=scenario, space=load("configs/spaces/embedded.yaml", Space))


def trial(arm, design, reward, scenario="test", screen=0):
    return {
        "scenario": scenario, "arm": arm, "screen": screen, "reward": reward,
        "design": json.dumps(design.wire()),
        "accuracy": 0.5, "energy_pj": 2e7, "latency_ns": 1e6,
    }  # fmt: skip


def test_the_winner_of_an_arm_is_its_best_without_screening(config):
    nan = float("nan")
    table = pd.DataFrame(
        [
            trial("a", DESIGNS[0], 0.1),
            trial("a", DESIGNS[1], 0.3),
            trial("a", DESIGNS[2], 0.9, screen=8),
            trial("b", DESIGNS[2], 0.2),
            trial("b", DESIGNS[0], 0.9, scenario="other"),
            trial("c", DESIGNS[0], nan),
        ]
    )
    found = winners(table, [task_of(config().scenario)])
    assert [(one.arm, one.design, one.reward) for one in found] == [
        ("a", DESIGNS[1], 0.3),
        ("b", DESIGNS[2], 0.2),
    ]


def test_winners_are_judged_by_the_mean_of_their_trainings(config):
    asked = []

    def accuracy(queries):
        asked.extend(queries)
        means = [0.2 + query.layers[0].channels / 100 + query.seed / 100 for query in queries]
        return [Accuracy(mean=m, std=0, quantile_10=m, draws=16, clean=m) for m in means]

    scenario = config().scenario
    limited = scenario.model_copy(
        update={"limits": scenario.limits.model_copy(update={"accuracy": 0.255})}
    )
    best = [
        Winner(task_of(limited), "a", DESIGNS[0], 0.4, 0.6, 2e7, 1e6),
        Winner(task_of(limited), "b", DESIGNS[1], 0.3, 0.5, 2e7, 1e6),
    ]
    result = retrain(best, (1, 2), accuracy)
    assert [(query.layers[0].channels, query.seed) for query in asked] == [
        (4, 1), (4, 2), (8, 1), (8, 2),
    ]  # fmt: skip
    assert {query.images for query in asked} == {"exam"}, "no search saw these images"
    a, b = result.winners
    assert a.accuracies == pytest.approx((0.25, 0.26))
    assert a.holds == 0.5
    assert b.holds == 1.0
    price = (2e7 / scenario.objective.normaliser_pj) ** 0.5
    assert a.reward == pytest.approx(0.255 - price)
    assert result.scenarios == (1, 1)
    assert result.kendall_tau == pytest.approx(-1.0)
    assert result.arms[0].accuracy_bias == pytest.approx(0.6 - 0.255)
    text = verified_page(result)
    assert "| a | 0.400 |" in text
    assert "within a scenario: -1.00." in text


def test_what_misses_the_least_accuracy_counts_as_infeasible(config):
    scenario = config().scenario
    limits = scenario.limits.model_copy(update={"accuracy": 0.4})
    limited = scenario.model_copy(update={"limits": limits})
    winner = Winner(task_of(limited), "a", DESIGNS[0], 0.4, 0.6, 2e7, 1e6)
    answers = [Accuracy(mean=m, std=0, quantile_10=m, draws=16, clean=m) for m in (0.41, 0.37)]
    again = verify.judged(winner, answers)
    assert (again.reward, again.holds) == (-1.0, 0.5)


def test_arms_are_averaged_where_all_of_them_found_something():
    def verified(scenario, arm, reward):
        return verify.Verified(
            scenario=scenario, arm=arm, design="[]", predicted_accuracy=0.5, accuracies=(0.4,),
            predicted_reward=reward, reward=reward, holds=None,
        )  # fmt: skip

    every = [verified("easy", "a", 0.5), verified("easy", "b", 0.4), verified("hard", "b", 0.1)]
    assert verify.shared(every) == {"easy"}


def test_a_single_winner_has_no_order():
    one = verify.Verified(
        scenario="s", arm="a", design="[]", predicted_accuracy=0.5, accuracies=(0.4,),
        predicted_reward=0.1, reward=0.0, holds=None,
    )  # fmt: skip
    assert verify.kendall_tau([one]) is None
