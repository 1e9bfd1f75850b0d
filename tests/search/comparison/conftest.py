"""Runs to compare: real loops, quick accuracies, a scripted model."""

import json

import pytest

from search.record.runs import read_run


@pytest.fixture
def make(tmp_path, run_of):
    """Make a run and read it back."""

    def run(name, **changes):
        run_of(tmp_path / name, **{"episodes": 6, **changes})
        return read_run(tmp_path / name)

    return run


@pytest.fixture
def make_model(tmp_path, make):
    """Make a run of a scripted model that says one of the lines of `reply`."""

    def run(name, reply="[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]", **changes):
        seed, style = changes.pop("seed", 0), changes.pop("style", "codesign")
        value, episodes = changes.pop("value", False), changes.pop("episodes", 6)
        script = tmp_path / f"{changes.get('name', name)}.txt"
        script.write_text(reply)
        settings = {"model": {"name": name, "script": str(script), **changes}, "style": style}
        settings |= {"value": value}
        return make(
            f"{name}-{style}-{seed}",
            optimizer="llm",
            settings=settings,
            seed=seed,
            episodes=episodes,
        )

    return run


@pytest.fixture
def data_of():
    """Read the data inside a page."""

    def read(page):
        text = page.read_text(encoding="utf-8")
        inside = text.split('<script type="application/json" id="data">')[1].split("</script>")[0]
        return json.loads(inside)

    return read
