import json

import numpy as np
import pandas as pd
import pytest

from cim_sim.accuracy import Accuracy
from cim_sim.config import load
from cim_sim.space import Space, from_wire
from search.record.tasks import Task
from search.study import verify
from search.study.verify import Winner, names_of, retrain, winners
from search.study.verify_page import verified_page

DESIGNS = [from_wire([[width, 3]] * 6) for width in (16, 32, 64)]


def task_of(scenario):
    return Task(scenario=scenario, space=load("configs/spaces/embedded.yaml", Space))


def trial(arm, design, reward, *, scenario="test", screen=0, step=0):
    return {
        "scenario": scenario, "arm": arm, "screen": screen, "step": step, "reward": reward,
        "design": json.dumps(design.wire()),
        "accuracy": 0.5, "energy_pj": 2e7, "latency_ns": 1e6,
    }  # fmt: skip


def test_the_winner_of_an_arm_is_its_best_in_so_many_episodes(config):
    nan = float("nan")
    table = pd.DataFrame(
        [
            trial("a", DESIGNS[0], 0.1),
            trial("a", DESIGNS[1], 0.3, step=7),
            trial("a", DESIGNS[2], 0.9, screen=8),
            trial("b", DESIGNS[2], 0.2),
            trial("b", DESIGNS[0], 0.9, scenario="other"),
            trial("c", DESIGNS[0], nan),
        ]
    )
    tasks = [task_of(config().scenario)]

    def won(episodes):
        return [(w.arm, w.design, w.reward) for w in winners(table, tasks, episodes)]

    rest = [("a+screen8", DESIGNS[2], 0.9), ("b", DESIGNS[2], 0.2)]
    assert won(None) == won(8) == [("a", DESIGNS[1], 0.3), *rest]
    assert won(7) == [("a", DESIGNS[0], 0.1), *rest]


def test_winners_are_judged_by_each_of_their_trainings(config):
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
    assert a.rewards == pytest.approx((-1.0, 0.26 - price)), "the first misses the least accuracy"
    assert a.reward == pytest.approx(np.mean(a.rewards))
    assert result.scenarios == 1
    assert result.kendall_tau == pytest.approx(-1.0)
    assert result.arms[0].accuracy_bias == pytest.approx(0.6 - 0.255)
    text = verified_page(result)
    assert "| a | 1 | 0.400 |" in text
    assert f"| a | b | {a.reward - b.reward:+.3f} |" in text, "no interval over one scenario"
    assert "within a scenario: -1.00." in text


def test_differences_are_paired_and_an_arm_without_a_winner_gets_the_paper_s_punishment(config):
    def scenario(name):
        return config().scenario.model_copy(update={"name": name})

    def accuracy(queries):
        means = [0.5 + query.layers[0].channels / 100 for query in queries]
        return [Accuracy(mean=m, std=0, quantile_10=m, draws=16, clean=m) for m in means]

    names = [f"task-{number}" for number in range(8)]
    best = [Winner(task_of(scenario(n)), "a", DESIGNS[1], 0.4, 0.6, 2e7, 1e6) for n in names]
    rival = [Winner(task_of(scenario(n)), "b", DESIGNS[0], 0.4, 0.6, 2e7, 1e6) for n in names[1:]]
    result = retrain([*best, *rival], (1, 2, 3), accuracy)
    (difference,) = result.differences
    own = result.winners[0].reward
    assert (difference.arm, difference.against) == ("a", "b")
    assert difference.reward.mean == pytest.approx((7 * 0.04 + own + 1) / 8)
    assert difference.reward.contains_zero is True, "one scenario makes most of it"
    assert [(arm.arm, arm.winners) for arm in result.arms] == [("a", 8), ("b", 7)]
    predicted = [arm.predicted_reward for arm in result.arms]
    assert predicted == pytest.approx([0.4, (7 * 0.4 - 1) / 8]), "over the same scenarios"
    assert result.arms[1].reward.mean == pytest.approx((7 * (own - 0.04) - 1) / 8)


def test_an_arm_that_found_nothing_at_all_stands_at_the_punishment(config):
    def accuracy(queries):
        return [Accuracy(mean=0.5, std=0, quantile_10=0.5, draws=16, clean=0.5) for _ in queries]

    nothing = [trial("a", DESIGNS[0], 0.4), trial("b", DESIGNS[0], float("nan"), screen=8)]
    names = names_of(pd.DataFrame(nothing))
    assert names == ["a", "b+screen8"]
    best = [Winner(task_of(config().scenario), "a", DESIGNS[1], 0.4, 0.6, 2e7, 1e6)]
    result = retrain(best, (1, 2, 3), accuracy, names)
    b = result.arms[1]
    assert (b.arm, b.winners, b.reward.mean, b.accuracy_bias) == ("b+screen8", 0, -1.0, None)
    assert "| b+screen8 | 0 | -1.000 | -1.000 |  |" in verified_page(result)
    told = result.model_copy(update={"episodes": 20, "searches": 3})
    assert "the best of the first 20 episodes of its 3 searches." in verified_page(told)


def test_a_search_that_found_nothing_has_nothing_to_train():
    result = retrain([], (1, 2), lambda queries: [])
    assert (result.winners, result.arms, result.differences, result.scenarios) == ((), (), (), 0)


def test_a_single_winner_has_no_order():
    one = verify.Verified(
        scenario="s", arm="a", design="[]", predicted_accuracy=0.5, accuracies=(0.4,),
        predicted_reward=0.1, rewards=(0.0,), reward=0.0, holds=None,
    )  # fmt: skip
    assert verify.kendall_tau([one]) is None
