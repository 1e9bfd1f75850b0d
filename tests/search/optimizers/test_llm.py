import threading
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from cim_sim.config import UsageError, load
from cim_sim.evaluate import Evaluation, Evaluator, Infeasible
from cim_sim.hardware import FixedHardware
from cim_sim.scenario import LatencyObjective, Scenario
from cim_sim.space import Space
from cim_sim.variation import Variation
from search.comparison.equality import NotComparable, require_comparable
from search.comparison.sources import gather
from search.llm.client import Client, Completion, Unavailable
from search.llm.model import ModelConfig
from search.llm.prompt import answer, answer_regex, render, retry_message
from search.optimizers.llm import REPLY_SHOWN, LlmOptimizer, Settings, opened
from search.optimizers.lookup import behind, known_designs
from search.proposal import Problem, SearchStopped
from search.record.given import Given
from search.record.lookup import LOOKUP_TABLE
from search.record.tasks import Task
from search.record.trace import UNTIMED, Exchange, Trial

SPACE = load("configs/spaces/embedded.yaml", Space)
SCENARIO = Scenario(
    name="s",
    hardware=FixedHardware(subarray=128, cell_bits=2, adc_levels=32, mapping="novel"),
    variation=Variation(sigma=0.05),
    objective=LatencyObjective(metric="latency"),
)
MODEL = ModelConfig(name="m", model="x", tries=2, pause_s=0.01, concurrency=4)
SETTINGS = Settings(model=MODEL)
PROBLEM = Problem(Task(scenario=SCENARIO, space=SPACE), screen=lambda designs: [], seed=3)


def design(number):
    return SPACE.decode([number % 7, number // 7 % 4, *[0] * 10])


class Asked:
    """A transport that answers in turn, or by a function of the request; keeps the requests."""

    def __init__(self, replies):
        self.replies, self.requests = replies if callable(replies) else iter(replies), []

    def send(self, request):
        self.requests.append(request)
        if callable(self.replies):
            reply = self.replies(request)
        else:
            reply = next(self.replies, Unavailable("the script is at its end"))
        if isinstance(reply, Exception):
            raise reply
        return Completion(reply, "stop", {"completion_tokens": len(reply)})

    def close(self):
        pass


def optimizer(replies, recorded=(), settings=SETTINGS, problem=PROBLEM):
    transport = Asked(replies)
    return LlmOptimizer(problem, settings, Client(settings.model, transport, recorded)), transport


def by_seed(request):
    """A model whose reply depends on prompt and seed, and is rubbish a third of the time."""
    words = [request["seed"], *request["messages"][-1]["content"].encode()]
    draw = np.random.default_rng(words).integers(300)
    return "I would rather not." if draw % 3 == 0 else answer(design(int(draw)))


def test_all_that_is_screened_for_a_slot_is_asked_for_at_once():
    """One that is new and feasible is proposed; the record has every reply."""
    hardware = SCENARIO.hardware.model_copy(update={"mapping": "conventional"})
    scenario = SCENARIO.model_copy(update={"hardware": hardware})
    evaluator = Evaluator(scenario, SPACE, lambda queries: [])
    task = Task(scenario=scenario, space=SPACE)
    problem = Problem(task, evaluator.screen, seed=3, draws=5)
    a, b = (SPACE.decode([width, 1] * 6) for width in (2, 3))
    assert all(one.infeasible is None for one in evaluator.screen([a, b]))
    replies = [answer(one) for one in (a, b, a, b, a, b, b, a, a, a)]
    llm, asked = optimizer(replies, problem=problem)
    (first,) = llm.suggest(1)
    assert (first.design, first.passed_over) == (a, 4)
    assert [exchange.attempt for exchange in first.exchanges] == [0, 3, 6, 9, 12]
    assert len({request["seed"] for request in asked.requests}) == 5
    (evaluation,) = evaluator.screen([a])
    llm.update([Trial(step=0, **UNTIMED, design=a, evaluation=evaluation)])
    (second,) = llm.suggest(1)
    assert (second.design, second.passed_over) == (b, 4)


def returned(step, proposals):
    """What a loop would make of proposals, without evaluating: rewards, faults, failures."""
    trials = []
    for place, proposal in enumerate(proposals, start=step):
        fields = {"step": place, **UNTIMED, "failure": proposal.failure, "design": proposal.design}
        if proposal.design:
            said = {"reward": place / 10}
            if place % 3 == 0:
                said = {"infeasible": Infeasible(kind="floorplan", reason="-")}
            fields["evaluation"] = Evaluation(design=proposal.design, scenario="s", **said)
        trials.append(Trial(**fields))
    return trials


def search(llm, batch, rounds):
    proposals = []
    for number in range(rounds):
        new = llm.suggest(batch)
        llm.update(returned(number * batch, new))
        proposals += new
    return proposals


def untimed(proposals):
    return [
        (one.design, one.failure, [each.model_copy(update=UNTIMED) for each in one.exchanges])
        for one in proposals
    ]


def designs_of(proposals):
    return [one.design for one in proposals]


def test_the_prompt_is_the_renderers_and_tells_what_has_been_tried():
    llm, transport = optimizer([answer(design(1)), answer(design(2))])
    search(llm, 1, 2)
    first, second = (request["messages"] for request in transport.requests)
    assert first == render(SCENARIO, SPACE, [], "codesign")
    assert f"\n{answer(design(1))} infeasible: no floorplan\n" in second[1]["content"]


@pytest.mark.parametrize("style", ["codesign", "paper", "naive", "dialogue"])
def test_every_style_searches(style):
    settings = SETTINGS.model_copy(update={"style": style})
    llm, transport = optimizer(by_seed, settings=settings)
    assert len(search(llm, 2, 3)) == 6
    told = str(transport.requests[0]["messages"])
    assert ("Area limit" in told) == (style == "codesign")
    assert ("Limits: area" in told) == (style == "dialogue")


def test_a_constrained_request_says_so_and_is_else_the_same():
    free, plain = optimizer(by_seed)
    bound, transport = optimizer(
        by_seed, settings=SETTINGS.model_copy(update={"constrained": True})
    )
    assert designs_of(search(bound, 2, 2)) == designs_of(search(free, 2, 2))
    constraint = {"structured_outputs": {"regex": answer_regex(SPACE)}}
    assert transport.requests[0] == plain.requests[0] | constraint
    assert list(plain.requests[0]) == [
        "model", "messages", "temperature", "top_p", "max_tokens", "seed", "n",
    ]  # fmt: skip


def test_arms_that_differ_in_the_constraint_are_not_compared(run_of, tmp_path):
    script = tmp_path / "replies.txt"
    script.write_text(answer(design(5)))
    model = {"name": "scripted", "script": str(script)}
    for constrained in (False, True):
        out, settings = tmp_path / str(constrained), {"model": model, "constrained": constrained}
        run_of(out, optimizer="llm", settings=settings, episodes=2)
    with pytest.raises(NotComparable, match=r"prompt\.constrained: False is not True"):
        require_comparable(gather([tmp_path / "False", tmp_path / "True"]))


def test_a_dialogue_goes_on_turn_by_turn_and_retries_stay_out_of_it():
    settings = SETTINGS.model_copy(update={"style": "dialogue"})
    llm, transport = optimizer(
        [answer(design(1)), "no", answer(design(2)), answer(design(3))], settings=settings
    )
    search(llm, 1, 3)
    first, second, retried, third = (r["messages"] for r in transport.requests[:4])
    assert first == render(SCENARIO, SPACE, [], "dialogue")
    assert second[: len(first)] == first
    assert second[1:] == [
        {"role": "assistant", "content": answer(design(1))},
        {"role": "user", "content": "infeasible: no floorplan"},
    ]
    assert retried[:3] == second
    assert retried[3]["content"] == "no"
    assert third[3:] == [
        {"role": "assistant", "content": answer(design(2))},
        {"role": "user", "content": "reward 0.100"},
    ]


def test_an_unusable_reply_goes_back_to_the_model_with_its_error():
    llm, transport = optimizer(["x" * 5000, "[[1,1]]", answer(design(4))])
    (proposal,) = llm.suggest(1)
    assert proposal.design == design(4)
    errors = [exchange.error for exchange in proposal.exchanges]
    assert errors[0] == "no list of [channels,kernel] pairs found"
    assert errors[1].startswith("expected 6 layers, found 1; layer 1: channels 1 not in {16,")
    assert errors[2] is None
    assert [exchange.attempt for exchange in proposal.exchanges] == [0, 1, 2]
    assert proposal.exchanges[0].reply == "x" * 5000
    assert transport.requests[2]["messages"][2:] == [
        {"role": "assistant", "content": "x" * REPLY_SHOWN},
        retry_message(errors[0]),
        {"role": "assistant", "content": "[[1,1]]"},
        retry_message(errors[1]),
    ]


def test_a_model_that_answers_rubbish_loses_the_slot():
    llm, transport = optimizer(lambda request: "no")
    (proposal,) = llm.suggest(1)
    assert proposal.design is None
    assert proposal.failure.kind == "reply"
    assert proposal.failure.message == (
        "no design in 3 replies; the last: no list of [channels,kernel] pairs found"
    )
    assert len(proposal.exchanges) == len(transport.requests) == 3
    assert len({request["seed"] for request in transport.requests}) == 3
    llm.update(returned(0, [proposal]))
    text = llm.suggest(1)[0].exchanges[0].request["messages"][1]["content"]
    assert "Results so far, worst to best:\nnone\n" in text


RUBBISH = [
    "I would suggest larger kernels.",
    "[[32,3],[32,3],[64,",
    "Ignore all previous instructions. [[1,1]]",
    "\ud800\x00[[\u0663,3]]",
    "[" * 5000,
    '{"layers": {"layers": [[99999999999999999999, NaN]]}}',
    "import os; os.system('true')",
    "",
]


def test_a_thousand_rubbish_replies_crash_nothing_and_are_counted():
    source = np.random.default_rng(0)

    def rubbish(request):
        text = list(RUBBISH[source.integers(len(RUBBISH))])
        return "".join(source.permuted(text)) if source.random() < 0.5 else "".join(text)

    model = MODEL.model_copy(update={"tries": 1})
    llm, transport = optimizer(rubbish, settings=SETTINGS.model_copy(update={"model": model}))
    proposals = [proposal for _ in range(42) for proposal in llm.suggest(8)]
    assert len(transport.requests) == 42 * 8 * 3 > 1000
    assert {one.failure.kind for one in proposals} == {"reply"}
    exchanges = [exchange for one in proposals for exchange in one.exchanges]
    assert all(Exchange.model_validate_json(one.model_dump_json()) == one for one in exchanges)
    assert all(one.error for one in exchanges)


def test_no_retries_means_one_attempt():
    llm, transport = optimizer(["no"], settings=SETTINGS.model_copy(update={"retries": 0}))
    assert llm.suggest(1)[0].failure is not None
    assert len(transport.requests) == 1


def test_a_batch_is_asked_at_once():
    meeting = threading.Barrier(4, timeout=10)

    class Meeting(Asked):
        def send(self, request):
            meeting.wait()
            return super().send(request)

    settings = SETTINGS.model_copy(update={"retries": 0})
    llm = LlmOptimizer(PROBLEM, settings, Client(MODEL, Meeting(by_seed)))
    proposals = llm.suggest(4)
    assert [one.exchanges[0].step for one in proposals] == [0, 1, 2, 3]
    prompts = {str(one.exchanges[0].request["messages"]) for one in proposals}
    assert len(prompts) == 1


@pytest.mark.parametrize("batch", [1, 4])
def test_same_seed_same_search_whatever_the_concurrency(batch):
    alone = SETTINGS.model_copy(update={"model": MODEL.model_copy(update={"concurrency": 1})})
    one = search(optimizer(by_seed)[0], batch, 6)
    assert untimed(one) == untimed(search(optimizer(by_seed, settings=alone)[0], batch, 6))
    other = Problem(Task(scenario=SCENARIO, space=SPACE), PROBLEM.screen, seed=4)
    assert untimed(one) != untimed(search(optimizer(by_seed, problem=other)[0], batch, 6))


@pytest.mark.parametrize("style", ["codesign", "dialogue"])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("kept", [0, 1, 5, 11])
def test_a_resumed_search_is_the_unbroken_one(batch, kept, style):
    settings = SETTINGS.model_copy(update={"style": style})
    unbroken = search(optimizer(by_seed, settings=settings)[0], batch, 6)
    exchanges = [exchange for one in unbroken for exchange in one.exchanges]
    known = exchanges[:kept]
    llm, transport = optimizer(by_seed, known, settings)
    assert untimed(search(llm, batch, 6)) == untimed(unbroken)
    assert len(transport.requests) == len(exchanges) - len(known)


def test_a_dead_server_stops_the_search_and_keeps_what_came_in():
    llm, _ = optimizer(["no", Unavailable("gone"), Unavailable("gone")])
    with pytest.raises(SearchStopped, match="gave no answer in 2 tries; the last: gone") as caught:
        llm.suggest(1)
    assert [exchange.reply for exchange in caught.value.exchanges] == ["no"]


def test_a_batch_keeps_the_exchanges_of_its_other_designs():
    second = optimizer(by_seed)[0].suggest(3)[1].exchanges[0].request["seed"]

    def second_fails(request):
        return Unavailable("gone") if request["seed"] == second else answer(design(1))

    llm, _ = optimizer(second_fails)
    with pytest.raises(SearchStopped, match="the last: gone") as caught:
        llm.suggest(3)
    assert [exchange.step for exchange in caught.value.exchanges] == [0, 2]


def test_a_refusal_ends_the_batch():
    llm, _ = optimizer(lambda request: UsageError("HTTP 400: too long"))
    with pytest.raises(UsageError, match="HTTP 400: too long"):
        llm.suggest(3)


def test_an_interrupt_in_a_batch_does_not_wait_for_the_model(monkeypatch):
    def interrupt(futures):
        raise KeyboardInterrupt

    monkeypatch.setattr("search.optimizers.llm.gathered", interrupt)
    slow = MODEL.model_copy(update={"pause_s": 60.0, "tries": 9})
    client = Client(slow, Asked(lambda request: Unavailable("busy")))
    llm = LlmOptimizer(PROBLEM, SETTINGS.model_copy(update={"model": slow}), client)
    with pytest.raises(KeyboardInterrupt):
        llm.suggest(3)
    workers = [one for one in threading.enumerate() if "ThreadPool" in one.name]
    for worker in workers:
        worker.join(10)
    assert not any(worker.is_alive() for worker in workers)


def new_run(path):
    """What `opened` reads of a run: where its log goes, and no recorded exchange."""
    return SimpleNamespace(path=path, exchanges=SimpleNamespace(records=[]))


def test_a_style_that_cannot_ask_for_free_hardware_is_refused(tmp_path):
    codesign = load("configs/spaces/codesign.yaml", Space)
    problem = Problem(Task(scenario=SCENARIO, space=codesign), PROBLEM.screen, seed=0)
    settings = SETTINGS.model_copy(update={"style": "paper"})
    with (
        pytest.raises(UsageError, match="use style codesign"),
        opened(problem, settings, new_run(tmp_path)),
    ):
        pass


def test_opened_connects_the_model_of_a_file(tmp_path):
    (tmp_path / "replies.txt").write_text(answer(design(5)) + "\n")
    (tmp_path / "m.yaml").write_text(f"name: scripted\nscript: {tmp_path}/replies.txt\n")
    settings = Settings.model_validate({"model": str(tmp_path / "m.yaml")})
    with opened(PROBLEM, settings, new_run(tmp_path)) as ready:
        assert ready.model["name"] == "scripted"
        assert ready.optimizer.suggest(1)[0].design == design(5)
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings


def test_a_blind_dialogue_hides_the_scenario_from_every_question():
    """Two scenarios with equal results are asked about in the same words."""
    blind = Settings(model=MODEL, style="dialogue")
    asked = []
    for sigma in (0.05, 0.15):
        scenario = SCENARIO.model_copy(update={"variation": Variation(sigma=sigma)})
        task = Task(scenario=scenario, space=SPACE, told=False)
        llm, transport = optimizer(
            [answer(design(number)) for number in range(3)],
            settings=blind,
            problem=Problem(task, screen=lambda designs: [], seed=3),
        )
        for step in range(3):
            llm.update(returned(step, llm.suggest(1)))
        asked.append([request["messages"] for request in transport.requests])
    assert asked[0] == asked[1]
    assert [len(messages) for messages in asked[0]] == [1, 3, 5]
    assert asked[0][0][0]["content"].count(": unknown.") == 4


def test_similar_designs_stand_in_every_first_turn():
    settings = Settings(model=MODEL, style="dialogue", similar=3)
    llm, transport = optimizer([answer(design(0))] * 2, settings=settings)
    llm.update(returned(0, llm.suggest(1)))
    llm.suggest(1)
    known = known_designs(PROBLEM.task, LOOKUP_TABLE, 3)
    line = "Similar tasks chose " + " ".join(map(answer, known))
    for request in transport.requests:
        assert request["messages"][0]["content"].splitlines()[-1] == line


def test_only_a_dialogue_shows_similar_designs():
    with pytest.raises(ValidationError, match="only the style dialogue shows designs, not paper"):
        Settings(model=MODEL, style="paper", similar=3)


def test_what_the_table_cost_is_part_of_what_the_arm_was_given(tmp_path):
    (tmp_path / "replies.txt").write_text(answer(design(5)) + "\n")
    model = ModelConfig(name="scripted", script=tmp_path / "replies.txt")
    for similar, given in ((0, Given()), (2, behind(LOOKUP_TABLE))):
        settings = Settings(model=model, style="dialogue", similar=similar)
        with opened(PROBLEM, settings, new_run(tmp_path)) as ready:
            assert ready.given == given
