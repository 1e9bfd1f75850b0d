"""Conversations for pre-training: the search's own prompts, answered from beliefs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cim_sim.config import load
from cim_sim.space import Design, Space
from cim_sim.types import Indices
from finetune.tiny.beliefs import CHANGED, World, propose, random_world, typical
from search.landscape import draw, mutated
from search.llm.prompt import Message, Style, answer, render, retry_message
from search.llm.reply import ReplyError, parse_reply

SPACES = tuple(Path("configs/spaces") / f"{name}.yaml" for name in ("embedded", "lcda", "codesign"))
LONGEST_HISTORY = 20
RETRIES = 0.05
"""Share of conversations in which a first, broken answer is sent back with the parser's words."""


def conversations(count: int, seed: int) -> Iterator[list[Message]]:
    """Yield `count` conversations, each from its own stream of random numbers."""
    spaces = [load(path, Space) for path in SPACES]
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        yield _conversation(spaces[rng.choice(len(spaces), p=[0.5, 0.2, 0.3])], rng)


def _conversation(space: Space, rng: np.random.Generator) -> list[Message]:
    world, style = random_world(space, rng), _style(space, rng)
    history = _history(world, rng)
    entries = world.entries(history) if len(history) else []
    prompt = render(world.scenario, space, entries, style)
    design = propose(world, history, style, rng)
    broken = _retry(space, design, rng) if rng.random() < RETRIES else []
    return [*prompt, *broken, {"role": "assistant", "content": answer(design)}]


def _style(space: Space, rng: np.random.Generator) -> Style:
    if space.freed:
        return "codesign"
    styles: Sequence[Style] = ("codesign", "paper", "naive")
    return styles[int(rng.choice(3, p=[0.8, 0.1, 0.1]))]


def _history(world: World, rng: np.random.Generator) -> Indices:
    """Mostly short; one in six holds nothing feasible, as where a limit is tight."""
    length = int(LONGEST_HISTORY * rng.random() ** 2)
    ideas = np.concatenate(
        [draw(world.space, 2 * length, rng), typical(world.space, 2 * length, rng)]
    )
    near = mutated(world.space, ideas, CHANGED, rng)
    ideas = np.unique(np.concatenate([ideas, near]), axis=0)
    rng.shuffle(ideas)
    if rng.random() < 1 / 6:
        ideas = ideas[~world.feasible(ideas)]
    return ideas[:length]


def _retry(space: Space, design: Design, rng: np.random.Generator) -> list[Message]:
    """Return a broken answer and what the search says to it."""
    text = _spoil(answer(design), rng)
    try:
        parse_reply(text, space)
    except ReplyError as error:
        return [{"role": "assistant", "content": text}, retry_message(str(error))]
    return []  # a foreign number that this space happens to know


def _spoil(text: str, rng: np.random.Generator) -> str:
    """Break an answer the way models do: cut, too long, a foreign number, prose."""
    cut = int(rng.integers(1, len(text)))
    ways = (
        text[:cut],
        text.replace("],", "],[32,3],", 1),
        text.replace(",3]", ",4]").replace("[32,", "[40,"),
        "I suggest a network with wider layers.",
    )
    return ways[int(rng.integers(len(ways)))]
