"""A model that writes the very design that it is held to, and an accuracy that belongs to it."""

import re
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
        return Completion(f"{text} accuracy {expected:.2f}", "stop", {})

    def close(self):
        pass


def held_to(request):
    """Return the only design that a request lets the model write."""
    design = request["structured_outputs"]["regex"].removesuffix(r" accuracy 0\.[0-9][0-9]")
    text = re.sub(r"\\(.)", r"\1", design)
    assert re.fullmatch(design, text)
    return text


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
