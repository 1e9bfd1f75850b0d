"""Asks a served model: which of two kernels it finds likelier as the answer, and what it writes."""

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from cim_sim.progress import counted
from cim_sim.types import Floats
from finetune.probe.questions import Question
from finetune.probe.truth import Kind
from search.llm.client import Client
from search.llm.dialogue import facts
from search.llm.model import ModelConfig, Sampling
from search.llm.prompt import Message
from search.record.trace import Exchange

LONGEST_ANSWER = 16
"""Tokens of a free answer: room for a sentence that begins with the kernel."""

WORDS: dict[Kind, str] = {
    "accuracy": "With which kernel is the network more accurate under this variation?",
    "latency": "With which kernel is the chip faster, so that an image takes less time?",
    "utilisation": "With which kernel are the arrays filled better, with fewer cells unused?",
    "reward": "With which kernel is the reward higher?",
    "feasible": "With one of them a limit is missed. With which kernel are all limits kept?",
}


class Said(NamedTuple):
    """Answers to questions, [questions] each: 1 the larger kernel, 0 the smaller, .5 neither."""

    likelier: Floats
    """Of the two kernels as the whole answer, the one to which the model gives more likelihood."""
    written: Floats
    """The first of the two that its free answer names."""


def settings_for(model: ModelConfig) -> ModelConfig:
    """Return the model asked at temperature 0, for a short answer."""
    sampling = Sampling(temperature=0.0, max_tokens=LONGEST_ANSWER)
    return model.model_copy(update={"sampling": sampling})


def ask(client: Client, questions: Sequence[Question]) -> Said:
    """Put every question twice: held to the two kernels, and free.

    A greedy reply that may only be one of two single tokens is the likelier of them. So are the
    kernels of all spaces here; of longer numbers it compares the first digit in which they differ.

    Raises:
        SearchStopped: the server is gone.
        UsageError: it refuses the request; only vLLM holds a reply to a choice.
    """
    with ThreadPoolExecutor(client.model.concurrency) as pool:
        answered = pool.map(lambda one: _asked(client, *one), enumerate(questions))
        with counted("questions", len(questions)) as step:
            asked = []
            for question, exchanges in zip(questions, answered, strict=True):
                asked.append(exchanges)
                step(question.kind)
    pairs = zip(questions, asked, strict=True)
    answers = [[choice(one, exchange.reply or "") for exchange in both] for one, both in pairs]
    likelier, written = np.array(answers, dtype=np.float64).reshape(-1, 2).T
    return Said(likelier, written)


def choice(question: Question, text: str) -> float:
    """Return which kernel a text names first; .5 where it names neither."""
    _, small, large, *_ = question.stratum
    named = next((int(n) for n in re.findall(r"\d+", text) if int(n) in (small, large)), None)
    return 0.5 if named is None else float(named == large)


def prompt(question: Question) -> list[Message]:
    """Return the question; what is told of the scenario comes first, as servers cache prefixes."""
    lines = [
        "A network runs on a compute-in-memory chip.",
        *facts(question.task.scenario, question.task.space),
        f"Design, as [channels,kernel] of each convolution: {_open(question)}.",
        f"Kernel x of convolution {question.stratum.layer + 1} is {' or '.join(named(question))}.",
        WORDS[question.kind],
        f"Answer with {' or '.join(named(question))} and nothing else.",
    ]
    return [{"role": "user", "content": "\n".join(lines)}]


def named(question: Question) -> list[str]:
    """Return the two kernels in the order in which the question names them."""
    kernels = [str(question.stratum.small), str(question.stratum.large)]
    return kernels[::-1] if question.larger_first else kernels


def _asked(client: Client, step: int, question: Question) -> list[Exchange]:
    messages = prompt(question)
    held = client.complete(step, 0, messages, 0, {"choice": named(question)})
    return [held, client.complete(step, 1, messages, 0)]


def _open(question: Question) -> str:
    """Return the design with an x for the kernel that is asked about."""
    design = question.smaller
    pairs = [
        f"[{channels},{'x' if place == question.stratum.layer else kernel}]"
        for place, (channels, kernel) in enumerate(design.layers)
    ]
    chosen = design.hardware.chosen()
    chip = f" with {json.dumps(chosen, separators=(',', ':'))}" if chosen else ""
    return f"[{','.join(pairs)}]{chip}"
