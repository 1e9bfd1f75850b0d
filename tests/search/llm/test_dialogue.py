"""The style `dialogue`: every fact once, then turns that only grow until they begin anew."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cim_sim.hardware import FixedHardware
from cim_sim.scenario import EnergyObjective, LatencyObjective, Limits, Scenario
from cim_sim.space import HardwareChoices, Space
from cim_sim.variation import Variation
from cim_sim.workload import Workload
from search.llm import examples
from search.llm.dialogue import FACTS, KEPT, LONGEST, shown
from search.llm.examples import renderer_digest
from search.llm.history import Entry
from search.llm.prompt import answer, render
from search.llm.reply import parse_reply

EMBEDDED = Space(name="e", channels=(16, 24, 32, 48, 64, 96, 128), kernels=(1, 3, 5, 7))
FREED = Space(
    name="f",
    channels=(24, 36),
    kernels=(1, 3),
    hardware=HardwareChoices(subarray=(64, 128), mapping=("conventional", "novel")),
)


def first_turn(scenario, space):
    return render(scenario, space, [], "dialogue")[0]["content"]


def test_the_first_turn_tells_the_whole_scenario():
    assert first_turn(examples.LATENCY, EMBEDDED) == (
        "Choose a CNN for this compute-in-memory chip.\n"
        "Data: shapes 3x16x16, 10 classes.\n"
        "Network: 6 convolutions, channels 16,24,32,48,64,96,128, kernels 1,3,5,7.\n"
        "Chip: fefet 45 nm, subarray 64, cell_bits 1, adc_levels 64, mapping conventional, mux 4, "
        "pad stock.\n"
        "Variation: cell sigma 0.1, evaxb-fefet2, training 0.05.\n"
        "Reward: accuracy + (frames per second) / 1600.\n"
        "Limits: area 45.1 mm2, accuracy 0.55.\n"
        "Answer like [[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]"
    )
    text = first_turn(examples.OPEN, FREED)
    assert text.startswith("Choose a CNN and its compute-in-memory chip.\nData: cifar10 3x32x32")
    assert "Chip: rram 22 nm, adc_levels 32, mux 8.\n" in text
    assert "Free: subarray 64,128; mapping conventional,novel.\n" in text
    assert "Reward: accuracy - sqrt(energy / 80 uJ).\nLimits: area none, accuracy none.\n" in text
    parse_reply(text.split(" like ")[1], FREED)


def test_what_is_hidden_is_unknown_and_what_the_space_offers_is_told():
    """A blind task is one text whatever its scenario, and still says how to answer."""
    (first,) = render(examples.LATENCY, EMBEDDED, [], "dialogue", hidden=FACTS)
    lines = first["content"].splitlines()
    assert lines[3:7] == [
        "Chip: unknown.", "Variation: unknown.", "Reward: unknown.", "Limits: unknown.",
    ]  # fmt: skip
    assert lines[2] == first_turn(examples.LATENCY, EMBEDDED).splitlines()[2]
    assert lines[7].startswith("Answer like [[")
    (told,) = render(examples.LATENCY, EMBEDDED, [], "dialogue", hidden=["variation"])
    assert told["content"] == first_turn(examples.LATENCY, EMBEDDED).replace(
        "cell sigma 0.1, evaxb-fefet2, training 0.05", "unknown"
    )


def test_designs_of_similar_tasks_take_the_example_s_place():
    a, b = designs(2)
    (first,) = render(examples.LATENCY, EMBEDDED, [], "dialogue", similar=[a, b])
    known = first_turn(examples.LATENCY, EMBEDDED).splitlines()
    assert first["content"].splitlines() == [
        *known[:-1], f"Similar tasks chose {answer(a)} {answer(b)}",
    ]  # fmt: skip


def numbers(low, high, decimals):
    scale = 10**decimals
    whole = st.integers(round(low * scale), round(high * scale))
    return whole.map(lambda number: number / scale)


def hardware():
    return st.builds(
        FixedHardware,
        device=st.sampled_from(["rram", "fefet"]),
        node_nm=st.sampled_from([22, 32, 45]),
        subarray=st.sampled_from([64, 128, 256]),
        cell_bits=st.sampled_from([1, 2, 4]),
        adc_levels=st.sampled_from([16, 32]),
        mapping=st.sampled_from(["conventional", "novel"]),
        col_mux=st.sampled_from([4, 8, 16]),
        pad=st.sampled_from(["same", "stock"]),
    )


scenarios = st.builds(
    Scenario,
    name=st.just("s"),
    workload=st.builds(
        Workload,
        dataset=st.sampled_from(["shapes", "shapes-32", "digits", "digits-16", "cifar10"]),
        hidden=st.sampled_from([128, 1024]),
        pools_after=st.sampled_from([(), (2,), (2, 4), (2, 4, 6)]),
    ),
    hardware=hardware(),
    variation=st.builds(
        Variation,
        sigma=numbers(0, 0.2, 3),
        state_dependence=st.sampled_from(["uniform", "evaxb-rram4"]),
    )
    | st.builds(Variation, cell_sigma=numbers(0, 0.2, 3)),
    training_sigma=st.just("matched") | numbers(0, 0.2, 3),
    objective=st.builds(
        EnergyObjective, metric=st.just("energy"), normaliser_pj=st.sampled_from([8e7, 2.1e10])
    )
    | st.builds(
        LatencyObjective, metric=st.just("latency"), normaliser_fps=st.sampled_from([1600, 3600.0])
    ),
    limits=st.builds(
        Limits,
        area_um2=st.none() | numbers(1, 500, 1).map(lambda mm2: mm2 * 1e6),
        accuracy=st.none() | numbers(0.1, 0.99, 2),
    ),
)  # fmt: skip


@settings(max_examples=150)
@given(scenarios, scenarios, st.data())
def test_no_fact_is_lost_two_problems_have_two_texts(one, other, data):
    """Also where the two differ in a single field."""
    fields = [name for name in Scenario.model_fields if name not in ("name", "recipe")]
    kept = data.draw(st.sets(st.sampled_from(fields)))
    other = other.model_copy(update={name: getattr(one, name) for name in kept})
    same = first_turn(one, EMBEDDED) == first_turn(other, EMBEDDED)
    assert same == (one.digest == other.digest)


def designs(count):
    return [EMBEDDED.decode([i % 7, i // 7 % 4, *[0] * 10]) for i in range(count)]


def conversation(history):
    return render(examples.ENERGY, EMBEDDED, history, "dialogue")


def test_a_design_and_its_result_are_two_turns():
    a, b = designs(2)
    turns = conversation([Entry(a, 0.5324), Entry(b, None, "infeasible: accuracy 0.412")])[1:]
    assert [turn["role"] for turn in turns] == ["assistant", "user"] * 2
    assert [turn["content"] for turn in turns] == [
        answer(a), "reward 0.532", answer(b), "infeasible: accuracy 0.412",
    ]  # fmt: skip


rewards = st.one_of(st.none(), st.integers(-9, 9))


@given(st.lists(st.tuples(st.integers(0, 27), rewards), max_size=70))
def test_a_conversation_grows_until_it_begins_anew_with_the_best(drawn):
    known = designs(28)
    history = [
        Entry(known[i], score, None if score is not None else "failed: crash")
        for i, score in drawn
    ]  # fmt: skip
    for length in range(1, len(history) + 1):
        before, now = shown(history[: length - 1]), shown(history[:length])
        assert len(now) < LONGEST
        assert len(now) == len(set(now))
        top = max((e.score for e in history[:length] if e.score is not None), default=None)
        assert max((e.score for e in now if e.score is not None), default=None) == top
        if now[: len(before)] != before:
            assert (len(before), len(now)) == (LONGEST - 1, KEPT)


def test_what_is_repeated_is_told_once():
    a, b = designs(2)
    once = [Entry(a, 0.1), Entry(b, 0.2)]
    assert conversation([*once, *once]) == conversation(once)
    late = Entry(a, 0.3)
    assert shown([Entry(a, None, "failed: crash"), late])[1] == late


def test_the_dialogue_is_the_one_that_models_were_taught():
    """A change here means: train every adapter that was taught dialogues anew, then pin it."""
    assert renderer_digest("dialogue") == "c176aaac7f118591"
    assert renderer_digest("dialogue") != renderer_digest()


def test_the_examples_speak_for_every_kind_of_turn():
    told = [[message["content"] for message in render(*case)] for case in examples.DIALOGUES]
    results = {text.split(" ")[0] for texts in told for text in texts[2::2]}
    assert results == {"reward", "infeasible:", "failed:"}
    begun_anew = [len(texts) == 1 + 2 * (KEPT + 27 - LONGEST) for texts in told]
    assert any(begun_anew)
    assert any(len(texts) == 1 for texts in told)
