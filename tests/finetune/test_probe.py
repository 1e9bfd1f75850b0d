"""Probe: balanced questions, on which no rule scores, asked of a model as of a lookup."""

from collections import Counter, defaultdict
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.config import UsageError, load
from cim_sim.evaluate import Evaluator
from finetune.inference import encode, token_logprobs
from finetune.probe.ask import ask, choice, named, prompt, settings_for
from finetune.probe.habit import habit, habits
from finetune.probe.judged import EXPECTED, answered, by_cost, judged
from finetune.probe.questions import balanced, drawn
from finetune.probe.report import Probe, beliefs, page, score
from finetune.probe.sceptics import by_rule, looked_up
from finetune.probe.truth import CLEAR_ACCURACY, KINDS, true_accuracy
from search.evaluators import build
from search.execute import execute
from search.llm.client import Client, Completion
from search.llm.connection import connected
from search.llm.model import ModelConfig
from search.record.manifest import RunConfig
from search.study.family import tasks as family

MOST = 60


@pytest.fixture(scope="module")
def found():
    return drawn(family("near", 6), seed=0)


@pytest.fixture(scope="module")
def every(found):
    return [question for kind in KINDS for question in balanced(found, kind, MOST, 0)[0]]


def test_a_few_scenarios_give_many_questions_and_a_seed_gives_the_same(found, every):
    counts = Counter(question.kind for question in every)
    assert all(counts[kind] == MOST for kind in ("latency", "utilisation", "reward", "feasible"))
    again = drawn(family("near", 1), seed=0)
    assert again.clear["reward"] == [one for one in found.clear["reward"] if one.scenario == 0]
    assert balanced(found, "reward", MOST, 0) == balanced(found, "reward", MOST, 0)
    assert balanced(found, "reward", MOST, 1) != balanced(found, "reward", MOST, 0)


RULES = {
    "larger": lambda q: 1.0,
    "smaller": lambda q: 0.0,
    "first": lambda q: float(q.larger_first),
    "second": lambda q: float(not q.larger_first),
    "larger in early layers": lambda q: float(q.stratum.layer < 3),
    "larger unless 1x1 is the other": lambda q: float(q.stratum.small == 1),
    "7x7 for latency": lambda q: float(q.stratum.metric == "latency" and q.stratum.large == 7),
    "smaller under the novel mapping": lambda q: float(q.stratum.mapping != "novel"),
    "first where novel, else larger": lambda q: float(
        q.larger_first if q.stratum.mapping == "novel" else True
    ),
    "a constant for each stratum": lambda q: float(hash(q.stratum) % 2),
    "a constant for each stratum and order": lambda q: float(hash((q.stratum, q.larger_first)) % 2),
    "nothing": lambda q: 0.5,
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_fixed_rule_scores_one_half(every, kind, rule):
    own = [question for question in every if question.kind == kind]
    if own:
        assert score(own, np.array([rule(question) for question in own])).mean == 0.5


def test_the_best_rule_of_all_training_pairs_scores_one_half_too(found, every):
    for kind in KINDS:
        own = [question for question in every if question.kind == kind]
        if own:
            assert score(own, by_rule(own, found)).mean == 0.5


def test_each_stratum_is_balanced_in_truth_and_order(every):
    cells = defaultdict(Counter)
    for one in every:
        cells[one.kind, one.stratum][one.larger_wins, one.larger_first] += 1
    for counts in cells.values():
        assert len({counts[both] for both in product((True, False), repeat=2)}) == 1


def test_what_cannot_be_balanced_is_left_out_and_counted(found):
    for kind in KINDS:
        questions, dropped = balanced(found, kind, 10**6, 0)
        sides = defaultdict(set)
        for one in found.clear[kind]:
            sides[one.stratum].add(one.larger_wins)
        lost = [one for one in found.clear[kind] if len(sides[one.stratum]) == 1]
        assert dropped.pairs >= len(lost)
        asked = {question.stratum for question in questions}
        assert dropped.strata == len(sides) - len(asked)


def test_labels_are_the_evaluators_and_clear(every):
    for one in every[::7]:
        judge = Evaluator(one.task.scenario, one.task.space, surrogate.load().answer)
        low, high = judge.evaluate([one.smaller, one.larger])
        if one.kind == "feasible":
            assert (high.infeasible is None) == one.larger_wins
            assert (low.infeasible is None) != one.larger_wins
            continue
        assert low.infeasible is None
        assert high.infeasible is None
        better = {
            "accuracy": high.accuracy.mean - low.accuracy.mean,
            "reward": high.reward - low.reward,
            "latency": low.cost.latency_ns - high.cost.latency_ns,
            "utilisation": high.cost.utilisation - low.cost.utilisation,
        }[one.kind]
        assert (better > 0) == one.larger_wins
        if one.kind in ("accuracy", "reward"):
            assert abs(better) >= CLEAR_ACCURACY - 1e-9


def test_a_question_shows_one_open_kernel(every):
    for one in every[::11]:
        differ = [a != b for a, b in zip(one.smaller.layers, one.larger.layers, strict=True)]
        assert np.flatnonzero(differ).tolist() == [one.stratum.layer]
        (message,) = prompt(one)
        assert message["content"].count(",x]") == 1
        assert message["content"].endswith(
            f"Answer with {' or '.join(named(one))} and nothing else."
        )
        assert (int(named(one)[0]) == one.stratum.large) == one.larger_first


@pytest.mark.parametrize(
    ("text", "is_larger"),
    [("7", 1), ("Kernel 3.", 0), ("I think 5, then 7", 1), ("73", 0.5), ("", 0.5), ("both", 0.5)],
)
def test_a_free_answer_is_read(text, is_larger):
    question = SimpleNamespace(stratum=("layer", 3, 7, "energy", "novel"))
    assert choice(question, text) == is_larger


class Second:
    """A transport that is held to a choice and takes its second; left free, it rambles."""

    def send(self, request):
        held = request.get("structured_outputs")
        assert request["temperature"] == 0
        return Completion(held["choice"][1] if held else "it depends", "stop", {})

    def close(self):
        pass


def test_a_model_is_asked_held_and_free(found, every):
    model = settings_for(ModelConfig(name="m", model="x"))
    said = ask(Client(model, Second()), every)
    assert said.likelier.tolist() == [float(not one.larger_first) for one in every]
    assert set(said.written) == {0.5}
    answers = {
        **said._asdict(),
        "judged": by_cost(every),
        "cost": by_cost(every),
        "larger": by_cost(every, CLEAR_ACCURACY),
        "lookup": looked_up(every),
        "rule": by_rule(every, found),
    }
    result = beliefs(every, answers, found.clear)
    for one in result.values():
        assert (one.right["likelier"].mean, one.first, one.answered) == (0.5, 0, 0)
    assert result["reward"].right["lookup"].low > 0.5
    dropped = {kind: balanced(found, kind, MOST, 0)[1] for kind in KINDS}
    probe = Probe(
        model={}, split="near", scenarios=8, seed=0, surrogate="s",
        beliefs={k: one for k, one in result.items() if k != "latency"},
        dropped=dropped, habits=habits([]),
    )  # fmt: skip
    assert "| latency | 0 |" in page(probe)
    assert Probe.model_validate_json(probe.model_dump_json()) == probe


def both(questions, accuracy_of):
    """What is expected of the smaller and of the larger design of each question."""
    return (
        np.array([accuracy_of(one.task, getattr(one, side)) for one in questions])
        for side in ("smaller", "larger")
    )


def truth(task, design):
    return float(true_accuracy(task, np.array([task.space.encode(design)]))[0])


def test_who_expects_the_truth_answers_every_question(every):
    right = [float(one.larger_wins) for one in every]
    assert answered(every, *both(every, truth)).tolist() == right


def test_cost_alone_answers_what_is_cost_and_no_more(every):
    said = by_cost(every)
    for kind in ("latency", "utilisation"):
        own = [place for place, one in enumerate(every) if one.kind == kind]
        assert score([every[place] for place in own], said[own]).mean == 1.0
    own = [place for place, one in enumerate(every) if one.kind == "reward"]
    assert score([every[place] for place in own], said[own]).mean < 0.9


class Judge:
    """A transport that expects .40 of designs with a 7x7 kernel, and .60 of others."""

    def __init__(self):
        self.requests = []

    def send(self, request):
        self.requests.append(request)
        design = request["messages"][-1]["content"]
        assert request["structured_outputs"] == {"regex": "[0-9][0-9]"}
        return Completion("40" if ",7]" in design else "60", "stop", {})

    def close(self):
        pass


def test_a_judge_is_asked_of_each_design_once_as_in_a_search(every):
    judge = Judge()
    said = judged(Client(settings_for(ModelConfig(name="m", model="x")), judge), every)
    asked = [one for one in every if one.kind in EXPECTED]
    sides = {(one.scenario, design) for one in asked for design in (one.smaller, one.larger)}
    assert len(judge.requests) == len(sides)
    told = judge.requests[0]["messages"][0]["content"]
    assert "Similar tasks chose" in told
    assert "Add the accuracy that you expect." in told
    assert judge.requests[0]["messages"][-1]["content"].endswith("] accuracy 0.")
    low, high = both(
        every, lambda _, design: 0.4 if any(kernel == 7 for _, kernel in design.layers) else 0.6
    )
    assert said.tolist() == answered(every, low, high).tolist()
    assert said.tolist() != by_cost(every).tolist()


@pytest.mark.slow
@pytest.mark.vllm
def test_the_likelier_kernel_is_the_one_with_more_likelihood(every, base, served_base, tmp_path):
    """As transformers sees the one token of a kernel, but for near ties, which rounding decides."""
    asked = every[::12]
    with connected(settings_for(served_base), tmp_path) as client:
        said = ask(client, asked)
    margins = []
    for one in asked:
        small, large = (
            token_logprobs(base[0], *encode(base[1], prompt(one), str(kernel)))[0]
            for kernel in (one.stratum.small, one.stratum.large)
        )
        margins.append(large - small)
    clear = np.abs(margins) > 0.1
    assert clear.sum() > len(asked) / 2
    assert ((np.array(margins) > 0) == (said.likelier == 1))[clear].all()


def test_blind_scenarios_cannot_be_asked_about():
    with pytest.raises(UsageError, match=r"split blind: .* choose another --split"):
        drawn(family("blind", 1), seed=0)


def test_habits_of_gpt4_and_of_a_run(every, tmp_path):
    task = every[0].task
    config = RunConfig(
        optimizer="random", scenario=task.scenario, space=task.space, episodes=5,
        evaluator="surrogate",
    )  # fmt: skip
    execute(config, build(task.scenario, task.space, config), tmp_path / "run")
    found = habits([tmp_path / "run"])
    assert list(found) == ["random", "GPT-4, energy", "GPT-4, latency"]
    assert found["random"].steps == 4
    assert (found["GPT-4, latency"].steps, found["GPT-4, energy"].steps) == (21, 13)


def test_a_habit_is_counted_step_by_step(every):
    one, two = every[0].smaller, every[0].larger
    grown = habit([[one, two, two, one], [one, two]])
    assert (grown.steps, grown.enlarges.mean, grown.shrinks) == (4, 0.5, 0.25)
    assert grown.enlarges.n == 2


@pytest.mark.parametrize("model", ["smollm2", "released"])
def test_the_page_of_results_shows_the_committed_results(model):
    probe = load(f"finetune/probe/{model}.json", Probe)
    shown = Path("finetune/RESULTS.md").read_text(encoding="utf-8").splitlines()
    assert {line for line in page(probe).splitlines() if line} <= set(shown)
