"""A small real problem: the exact cost model, and an accuracy that is quick and known."""

import json
import sys

import pytest

from cim_sim.accuracy import Accuracy
from cim_sim.config import load, parse
from cim_sim.evaluate import Evaluator
from cim_sim.space import Space
from search.evaluators import build
from search.execute import execute
from search.record.manifest import RunConfig
from search.record.trace import UNTIMED

SCENARIO = {
    "name": "test",
    "hardware": {"subarray": 128, "cell_bits": 2, "adc_levels": 32, "mapping": "novel"},
    "variation": {"sigma": 0.07},
    "objective": {"metric": "energy"},
}

OWN = {
    "scenario": {
        "name": "one layer",
        "choose": "an array for one layer",
        "facts": {"layer": "3x3, stride 1", "rows": 64},
        "objective": "speed over the rival's",
    },
    "space": {
        "name": "arrays",
        "choices": {
            "tile": {"low": 1, "high": 16},
            "dataflow": ["ws", "os"],
            "buffer": {"ordered": ["small", "large"]},
        },
    },
    "evaluator": {"python": "toy_array:evaluate"},
}
"""A problem of the user's own, which the module TOY judges."""
TOY = """
def screen(design, facts, seed):
    tile = design["tile"]
    return {"infeasible": f"tile {tile} exceeds the buffer"} if tile > 12 else {}


def evaluate(design, facts, seed):
    if design["tile"] > 12:
        return screen(design, facts, seed)
    slow = abs(design["tile"] - 9) + 3 * (design["dataflow"] == "ws") + seed
    return {"reward": -float(slow), "measured": {"cycles": facts["rows"] * slow}}
"""


def accuracy_of(queries):
    """Between .1 and .6, from the key of the question alone."""
    means = [0.1 + int(query.key[:4], 16) / 2**17 for query in queries]
    return [Accuracy(mean=m, std=0.02, quantile_10=m - 0.03, draws=16, clean=m) for m in means]


@pytest.fixture
def space():
    return load("configs/spaces/embedded.yaml", Space)


@pytest.fixture
def config():
    """Make a run configuration of the small problem."""

    def make(**changes):
        data = {"optimizer": "random", "scenario": SCENARIO, "episodes": 12}
        data["space"] = "configs/spaces/embedded.yaml"
        return parse({**data, **changes}, RunConfig, "test")

    return make


@pytest.fixture
def judge():
    """Make the evaluator of a configuration; `source` answers accuracy questions."""

    def make(config, source=accuracy_of):
        return Evaluator(config.scenario, config.space, source, config.accuracy_seed)

    return make


@pytest.fixture
def accuracy():
    """Answer accuracy questions."""
    return accuracy_of


@pytest.fixture
def untimed():
    """Drop the fields in which an unbroken and a resumed run may differ."""

    def drop(records):
        return [record.model_copy(update=UNTIMED) for record in records]

    return drop


@pytest.fixture
def run_of(config, judge):
    """Run an optimiser to the end of its budget; returns its trials."""

    def run(path, *, resume=False, source=accuracy_of, **changes):
        wanted = config(**changes)
        return execute(wanted, judge(wanted, source), path, resume=resume)

    return run


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Run an optimiser on the problem of the user's own; returns its trials."""
    (tmp_path / "toy_array.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "toy_array", raising=False)

    def run(path, *, resume=False, workers=1, **changes):
        wanted = parse({"optimizer": "random", "episodes": 12, **OWN, **changes}, RunConfig, "own")
        judge = build(wanted.scenario, wanted.space, wanted, workers=workers)
        return execute(wanted, judge, path, resume=resume)

    return run


@pytest.fixture
def last_json(capsys):
    """Read the closing line of JSON of the command that just ran."""
    return lambda: json.loads(capsys.readouterr().out.splitlines()[-1])
