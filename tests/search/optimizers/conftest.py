"""A model that goes on after a design with an accuracy that belongs to it."""

from contextlib import contextmanager

import pytest

from search.llm.client import Client, Completion


class Held:
    """Expects of a design what `accuracy` says, else something between .2 and .7."""

    def __init__(self, accuracy=None):
        self.requests, self.accuracy = [], accuracy or {}

    def send(self, request):
        self.requests.append(request)
        text = held_to(request)
        expected = self.accuracy.get(text, 0.2 + sum(text.encode()) % 50 / 100)
        return Completion(f"{expected:.2f}"[2:], "stop", {})

    def close(self):
        pass


def held_to(request):
    """Return the design after which a request lets the model write two decimals."""
    begun = request["messages"][-1]
    assert begun["role"] == "assistant"
    assert begun["content"].endswith(" accuracy 0.")
    asks = {name: request[name] for name in ("continue_final_message", "add_generation_prompt")}
    assert asks == {"continue_final_message": True, "add_generation_prompt": False}
    assert request["structured_outputs"] == {"regex": "[0-9][0-9]"}
    return begun["content"].removesuffix(" accuracy 0.")


@pytest.fixture
def held_model():
    return Held


@pytest.fixture
def held():
    """Stands where a server would be connected."""

    @contextmanager
    def connected(model, directory, recorded=()):
        yield Client(model, Held(), recorded)

    return connected
