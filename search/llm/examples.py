"""The renderer's digest, and the fixed examples it is taken over: every style and sentence."""

from functools import cache

from cim_sim.config import digest
from cim_sim.hardware import FixedHardware
from cim_sim.scenario import ACCURACY_MARGIN, EnergyObjective, LatencyObjective, Limits, Scenario
from cim_sim.space import Design, HardwareChoices, Space
from cim_sim.variation import Variation
from cim_sim.workload import Workload
from search.llm.dialogue import FACTS
from search.llm.history import Entry
from search.llm.prompt import Style, answer, render, retry_message

_LCDA = Space(name="lcda", channels=(32, 64, 128, 256, 512), kernels=(3, 5, 7))
_EMBEDDED = Space(name="embedded", channels=(16, 24, 32, 48, 64, 96, 128), kernels=(1, 3, 5, 7))
_FREED = HardwareChoices(
    subarray=(64, 128, 256), cell_bits=(1, 2, 4), mapping=("conventional", "novel")
)
_CODESIGN = Space(name="codesign", channels=(24, 36, 48, 64), kernels=(1, 3, 5, 7), hardware=_FREED)

ENERGY = Scenario(
    name="energy",
    workload=Workload(dataset="cifar10"),
    hardware=FixedHardware(subarray=128, cell_bits=2, adc_levels=32, mapping="novel"),
    variation=Variation(sigma=0.04),
    objective=EnergyObjective(metric="energy", normaliser_pj=8e7),
)
LATENCY = Scenario(
    name="latency",
    hardware=FixedHardware(
        device="fefet", node_nm=45, subarray=64, cell_bits=1, adc_levels=64, col_mux=4,
        mapping="conventional", pad="stock",
    ),
    variation=Variation(cell_sigma=0.1, state_dependence="evaxb-fefet2"),
    training_sigma=0.05,
    objective=LatencyObjective(metric="latency", normaliser_fps=1600),
    limits=Limits(area_um2=45.1e6, accuracy=0.55 - ACCURACY_MARGIN),  # the bar is .55
)  # fmt: skip
OPEN = ENERGY.model_copy(update={"hardware": FixedHardware(adc_levels=32)})

DESIGN = _CODESIGN.decode([0, 1, 1, 1, 1, 1, 2, 1, 2, 1, 3, 1, 1, 1, 1])


def _history(space: Space, length: int) -> tuple[Entry, ...]:
    """Different designs with every kind of outcome."""
    faults = ("infeasible: area 45.1 mm2", "infeasible: accuracy 0.412", "failed: crash")
    designs = [space.decode([(step + i) % len(p.choices) for i, p in enumerate(space.parameters)])
               for step in range(length)]  # fmt: skip
    return tuple(_entry(step, design, faults) for step, design in enumerate(designs))


def _entry(step: int, design: Design, faults: tuple[str, ...]) -> Entry:
    if step % 4 == 3:
        return Entry(design, None, faults[step // 4 % len(faults)])
    return Entry(design, step * 7 % 11 / 10 - 0.3, None, step * 3 % 10 / 10)


_STYLES: tuple[Style, ...] = ("codesign", "paper", "naive")

Case = tuple[Scenario, Space, tuple[Entry, ...], Style]

CASES: list[Case] = [
    *(
        (scenario, space, _history(space, length), style)
        for scenario in (ENERGY, LATENCY)
        for space in (_LCDA, _EMBEDDED)
        for length in (0, 27)
        for style in _STYLES
    ),
    *((OPEN, _CODESIGN, _history(_CODESIGN, length), "codesign") for length in (0, 27)),
]

_SHORT = LATENCY.model_copy(
    update={"workload": Workload(dataset="digits", pools_after=(2, 4), hidden=256)}
)

DIALOGUES: list[Case] = [
    (scenario, space, _history(space, length), "dialogue")
    for scenario, space in (
        (ENERGY, _LCDA), (LATENCY, _EMBEDDED), (_SHORT, _EMBEDDED), (OPEN, _CODESIGN),
    )
    for length in (0, 13, 27)
]  # fmt: skip
"""In the longest the conversation has begun anew."""


@cache
def renderer_digest(style: Style = "codesign") -> str:
    """Digest of the renderer's output on fixed examples: a model is bound to what it was taught.

    One for the styles that ask a single question, and one for `dialogue`. Rewriting the code
    without changing a prompt leaves it as it is.
    """
    if style == "dialogue":
        prompts = [render(*case, hidden=facts) for case in DIALOGUES for facts in ((), FACTS)]
        prompts += [render(OPEN, _CODESIGN, (), style, similar=[DESIGN, DESIGN])]
        prompts += [render(*DIALOGUES[4], value=True)]
    else:
        prompts = [render(*case) for case in CASES]
    return digest([prompts, retry_message("no JSON list found"), answer(DESIGN)])
