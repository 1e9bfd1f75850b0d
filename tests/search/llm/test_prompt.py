import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cim_sim.config import UsageError, load
from cim_sim.evaluate import Cost, Evaluation, Infeasible
from cim_sim.space import Space, from_wire
from search.llm import examples
from search.llm.examples import renderer_digest
from search.llm.history import Entry, entries, selection
from search.llm.prompt import answer, answer_regex, render, retry_message
from search.llm.reply import parse_reply
from search.record.trace import Failure, Trial

NAMES = ("lcda", "embedded", "codesign")
SPACES = {name: load(f"configs/spaces/{name}.yaml", Space) for name in NAMES}
ENERGY, LATENCY, OPEN = examples.ENERGY, examples.LATENCY, examples.OPEN
PAIRS = [[32, 3], [32, 3], [64, 3], [64, 3], [128, 3], [128, 3]]

ALGORITHM_1 = """Your task is to assist me in selecting the best rollout numbers for a given \
model architecture. The model will be trained and tested on CIFAR10, and your objective will be \
to maximize the model's performance on CIFAR10. The model architecture will be defined as the \
following. {Model} For the 'rollout' variable to design the model, the available number for each \
index would be: {Choices} Your objective is to define the optimal number of rollouts for each \
layer based on the given options above to maximize the model's performance on CIFAR10. The \
model's performance is a combination of hardware performance and model accuracy. If the hardware \
is invalid (e.g., too large in area), the performance I give you will be -1. After you give me a \
rollout list, I will give you the model's performance I calculated. Your response should be the \
rollout list consisting of 6 number pairs(e.g. [[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]). \
Here are some experimental results that you can use as a reference: {results} Please suggest a \
rollout list that can improve the model's performance on CIFAR10 beyond the experimental results \
provided above. Please do not include anything else other than the rollout list in your response."""


def user(scenario, space, history=(), style="codesign"):
    system, message = render(scenario, SPACES[space], history, style)
    assert (system["role"], message["role"]) == ("system", "user")
    return message["content"]


def words(text):
    return " ".join(text.split())


def test_paper_style_is_algorithm_1_word_for_word():
    design = from_wire(PAIRS)
    history = [Entry(design, 0.5), Entry(design, None, "infeasible: area 9 mm2")]
    text = words(user(ENERGY, "lcda", history, "paper"))
    parts = [words(part) for part in ALGORITHM_1.replace("{", "|").replace("}", "|").split("|")]
    for fixed in parts[::2]:
        assert fixed in text
    place = [text.index(fixed) for fixed in parts[::2]]
    assert place == sorted(place)
    assert f"{answer(design)} gives a performance of 0.500" in text
    assert f"{answer(design)} gives a performance of -1 Please" in text
    assert "rollout[5][0]: [32,64,128,256,512], rollout[5][1]: [3,5,7]" in text
    assert "Conv2d(3, rollout[0][0], kernel_size=rollout[0][1], padding='same'), ReLU" in text
    system = render(ENERGY, SPACES["lcda"], [], "paper")[0]["content"]
    assert system == "You are an expert in the field of neural architecture search."


def test_paper_style_names_the_dataset_that_is_used():
    text = user(LATENCY, "embedded", style="paper")
    assert "trained and tested on shapes" in text
    assert "CIFAR10" not in text


def test_naive_style_says_no_word_of_hardware():
    for scenario in (ENERGY, LATENCY):
        messages = render(scenario, SPACES["lcda"], [], "naive")
        text = " ".join(message["content"] for message in messages).lower()
        for word in ("hardware", "accelerator", "co-design", "area", "energy", "-1", "device"):
            assert word not in text


def test_codesign_style_tells_the_whole_scenario():
    text = user(LATENCY, "embedded")
    for fact in (
        "Dataset: shapes, 3x16x16, 10 classes.",
        "device fefet, node 45 nm, subarray 64, cell_bits 1, adc_levels 64, mux 4",
        "mapping conventional, pad stock",
        "sigma 0.100 of a cell's range, evaxb-fefet2, training sigma 0.050, adc quantisation on",
        "accuracy + (frames per second) / 1600",
        "Area limit: 45.1 mm2. Accuracy limit: 0.550.",
        "Channels: 16,24,32,48,64,96,128. Kernels: 1,3,5,7.",
        "for example [[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]",
    ):
        assert fact in text
    text = user(ENERGY, "lcda")
    assert "accuracy - sqrt(energy / 80 uJ)" in text
    assert "sigma 0.040 of the largest weight, uniform, training matched" in text
    assert "Area limit: none. Accuracy limit: none." in text
    assert len(text) < 1800


def test_freed_hardware_is_asked_for_and_only_by_codesign():
    text = user(OPEN, "codesign")
    assert "subarray free, cell_bits free, adc_levels 32" in text
    assert (
        "Free subarray: 64,128,256.\nFree cell_bits: 1,2,4.\nFree mapping: conventional,novel."
        in text
    )
    example = text.split("for example ")[1].split("\n")[0]
    parse_reply(example, SPACES["codesign"])
    assert len(text) < 1800
    for style in ("paper", "naive"):
        fault = f"{style} asks for number pairs alone, but space codesign frees subarray, cell_bits"
        with pytest.raises(UsageError, match=fault):
            user(OPEN, "codesign", style=style)


def numbered(count):
    space = SPACES["embedded"]
    return [space.decode([i % 7, i // 7 % 4, *[0] * 10]) for i in range(count)]


def test_history_is_the_best_and_the_latest_worst_first_each_once():
    designs = numbered(28)
    history = [Entry(design, -float(i)) for i, design in enumerate(designs)]
    chosen = selection(history)
    assert [entry.score for entry in chosen] == [*range(-27, -17), *range(-9, 1)]
    repeated = selection([*history, *history[:3]])
    assert [entry.score for entry in repeated] == [*range(-27, -20), *range(-9, 1)]


def test_history_puts_what_has_no_reward_first_in_the_order_of_episodes():
    designs = numbered(4)
    history = [
        Entry(designs[0], None, "infeasible: area 45.1 mm2"),
        Entry(designs[1], -0.75),
        Entry(designs[2], None, "failed: timeout"),
        Entry(designs[3], -0.0001),
    ]
    lines = user(ENERGY, "embedded", history).split("worst to best:\n")[1].split("\n")[:4]
    assert lines == [
        f"{answer(designs[0])} infeasible: area 45.1 mm2",
        f"{answer(designs[2])} failed: timeout",
        f"{answer(designs[1])} -0.750",
        f"{answer(designs[3])} 0.000",
    ]


def trial(step, **fields):
    return Trial(step=step, started_at="", seconds=0, **fields)


def test_entries_say_in_few_words_what_became_of_a_trial():
    design = from_wire(PAIRS)
    blank = Evaluation(design=design, scenario="x")
    cost = Cost(
        dynamic_energy_pj=1, leakage_energy_pj=1, latency_ns=1, area_um2=45.14e6, utilisation=1
    )
    large = Infeasible(kind="area", reason="-")
    area = blank.model_copy(update={"cost": cost, "infeasible": large})
    plan = blank.model_copy(update={"infeasible": Infeasible(kind="floorplan", reason="-")})
    found = entries(
        [
            trial(0, failure=Failure(kind="reply", message="prose")),
            trial(1, design=design, failure=Failure(kind="crash", message="boom")),
            trial(2, design=design, evaluation=area),
            trial(3, design=design, evaluation=plan),
            trial(4, design=design, evaluation=blank.model_copy(update={"reward": 0.25})),
        ]
    )
    assert [(entry.score, entry.fault) for entry in found] == [
        (None, "failed: crash"),
        (None, "infeasible: area 45.1 mm2"),
        (None, "infeasible: no floorplan"),
        (0.25, None),
    ]


def test_the_retry_turn_carries_the_error():
    assert retry_message("layer 1: channels 33 not in {16}") == {
        "role": "user",
        "content": "Your answer cannot be used: layer 1: channels 33 not in {16}. "
        "Answer again with one design and nothing else.",
    }


def test_the_prompt_is_the_one_that_models_were_taught():
    """A change here means: train every adapter anew, then pin the digest."""
    assert renderer_digest() == "1ab013b6bdd0c50f"


@given(st.data(), st.sampled_from(sorted(SPACES)))
def test_an_answer_is_compact_and_parses_back(data, name):
    space = SPACES[name]
    indices = [data.draw(st.integers(0, len(p.choices) - 1)) for p in space.parameters]
    design = space.decode(indices)
    assert " " not in answer(design)
    assert parse_reply(answer(design), space) == design


@pytest.mark.parametrize("space", SPACES.values(), ids=NAMES)
@given(data=st.data())
def test_the_regex_is_what_the_renderer_writes_and_no_more(space, data):
    regex = re.compile(answer_regex(space))
    indices = [data.draw(st.integers(0, len(p.choices) - 1)) for p in space.parameters]
    assert regex.fullmatch(answer(space.decode(indices)))
    text = data.draw(st.from_regex(regex, fullmatch=True))
    design = parse_reply(text, space)
    assert not space.check(design)
    assert answer(design) == text
