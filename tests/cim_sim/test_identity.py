"""Identities hang on results: pinned here, and the same when only words about the code change."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cim_sim import identity
from cim_sim.accuracy.bench.jobs import LEVELS, jobs
from cim_sim.accuracy.query import Query, Recipe
from cim_sim.config import load
from cim_sim.cost.hierarchy import Chip
from cim_sim.identity import simulator_digest
from cim_sim.paths import BENCH_TABLE
from cim_sim.scenario import Scenario
from cim_sim.variation import Variation

ENERGY, CODESIGN = (f"configs/scenarios/{n}.yaml" for n in ("embedded-energy", "codesign-latency"))
RICH = {
    "layers": [[8, 3], [8, 5], [16, 3], [16, 1], [32, 3], [32, 7]],
    "dataset": "digits-16",
    "hidden": 64,
    "recipe": {"epochs": 3, "weight_bits": 5, "clip_rms": 2.5},
    "training_sigma": 0.05,
    "sigma": 0.2,
    "adc": {"levels": 32, "rows": 128},
}


def test_the_simulator_is_pinned():
    assert simulator_digest() == "c0dc20c2ddc97849"


def test_scenarios_are_pinned():
    assert load(ENERGY, Scenario).digest == "a3f58d951bce9143"
    assert load(CODESIGN, Scenario).digest == "d178635978c8dfb3"


def test_training_keys_are_pinned():
    assert Query.model_validate(RICH).training_key == "2bb9ee937a2b0bfa"
    assert jobs()[0].key == "5b115df86880e220"


def test_every_training_of_the_published_table_is_in_the_list_or_was_found():
    table = pd.read_parquet(BENCH_TABLE)
    listed = {job.key for job in jobs()}
    assert len(listed) == 1060
    found = table["origin"].str.startswith("found")
    assert set(table.loc[~found, "training_key"]) <= listed


def test_no_noise_in_the_published_table_is_that_of_a_held_out_scenario():
    """Designs that an optimiser found come from training scenarios; see the tests of the family."""
    table = pd.read_parquet(BENCH_TABLE)
    listed = table[~table["origin"].str.startswith("found")]
    assert set(listed["sigma"]) | set(listed["training_sigma"]) <= set(LEVELS)
    assert set(table["images"]) == {"selection"}


class LaterRecipe(Recipe):
    augment: float | None = None


class LaterQuery(Query):
    recipe: LaterRecipe = LaterRecipe()
    drift_s: float | None = None


class LaterVariation(Variation):
    stuck: float | None = None


class LaterScenario(Scenario):
    variation: LaterVariation
    drift_s: float | None = None


def test_a_later_field_whose_default_is_none_changes_no_identity():
    for question in (RICH, jobs()[0].queries[0].model_dump()):
        now, later = Query.model_validate(question), LaterQuery.model_validate(question)
        assert (later.training_key, later.key) == (now.training_key, now.key)
    aged = LaterQuery.model_validate({**RICH, "drift_s": 1.0})
    assert aged.training_key != Query.model_validate(RICH).training_key
    for file in (ENERGY, CODESIGN):
        assert load(file, LaterScenario).digest == load(file, Scenario).digest


@pytest.fixture
def fresh(monkeypatch):
    """The digest computed anew, whatever was computed before."""
    return identity.simulator_digest.__wrapped__


def test_another_last_digit_is_the_same_simulator_and_another_cost_is_not(fresh, monkeypatch):
    before, area = fresh(), Chip.area_um2.func
    for factor, same in ((1 + 2e-15, True), (1 + 1e-6, False)):
        scaled = property(lambda chip, factor=factor: area(chip) * np.float64(factor))
        monkeypatch.setattr(Chip, "area_um2", scaled)
        assert (fresh() == before) is same


def test_other_constants_are_another_simulator(fresh, monkeypatch):
    before = fresh()
    unpacked = identity.gzip.decompress
    monkeypatch.setattr(identity.gzip, "decompress", lambda data: unpacked(data) + b"one more row")
    assert fresh() != before


DIGESTS = f"""
from cim_sim.config import load
from cim_sim.identity import simulator_digest
from cim_sim.scenario import Scenario
from search.llm.examples import renderer_digest
print(simulator_digest(), renderer_digest(), load({ENERGY!r}, Scenario).digest)
"""


def digests(folder):
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS],
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_comments_and_sentences_change_no_identity(tmp_path):
    for package in ("cim_sim", "search"):
        shutil.copytree(package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (*tmp_path.rglob("*.py"), *tmp_path.rglob("*.md")):
        with file.open("a") as words:
            words.write("\n# A comment.\n" if file.suffix == ".py" else "\nA sentence.\n")
    assert digests(tmp_path) == digests(Path.cwd())
