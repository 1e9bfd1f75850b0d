"""Asks a model what accuracy it expects of a design that somebody else proposes."""

from collections.abc import Sequence

from cim_sim.config import UsageError
from cim_sim.space import Design
from search.llm.client import Client
from search.llm.dialogue import BEGUN, DECIMALS
from search.llm.foreseen import expectation
from search.llm.prompt import Message, answer
from search.record.trace import Exchange


def weigh(
    client: Client, place: int, messages: Sequence[Message], design: Design, seed: int
) -> Exchange:
    """Return an exchange that says what accuracy is expected of a design (`expectation`).

    The model reads the design as the beginning of its own answer, and writes two decimals.

    Args:
        client: whom to ask.
        place: names the exchange, as its attempt in step 0.
        messages: the conversation that asks for a design.
        design: of the space that they tell.
        seed: of the sampling, which the expectation does not depend on but for its hundredths.

    Raises:
        SearchStopped: the server is gone.
        UsageError: the server does not hold the model to a form, or refuses.
    """
    begun, held = f"{answer(design)} {BEGUN}", {"regex": DECIMALS}
    exchange = client.complete(0, place, messages, seed, held, weighed=True, begun=begun)
    if expectation(exchange) is None:
        written = (exchange.reply or "").removeprefix(begun)
        raise UsageError(
            f"model {client.model.name} replied {written!r:.60} and was held to two decimals after "
            f"{begun}: only vLLM does that, as path in a model configuration has it"
        )
    return exchange
