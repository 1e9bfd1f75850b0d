"""What a user without an optional package is told."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cim_sim import cli
from cim_sim.extras import REQUIREMENTS, missing


def verb() -> int:
    """Need what is not there."""
    raise ModuleNotFoundError("No module named 'trl'", name="trl.trainer")


def test_a_verb_without_its_package_says_what_to_type(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", "verb"])
    assert cli.run("x", "y", {"verb": verb, "other": verb}) == cli.EXIT_USAGE
    told = "trl is not installed; type: pip install '.[finetune]', in the checkout of LCDA-FT\n"
    assert capsys.readouterr().err == told


def test_what_no_extra_installs_stays_a_fault_of_the_code(monkeypatch):
    error = ModuleNotFoundError("No module named 'serach'", name="serach")
    assert missing(error) is error


def test_every_requirement_is_one_of_the_project():
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = {f".[{name}]" for name in project["optional-dependencies"]}
    dev = set(project["optional-dependencies"]["dev"])
    assert set(REQUIREMENTS.values()) <= extras | dev


@pytest.mark.parametrize(
    ("module", "package", "requirement"),
    [("search.environment", "gymnasium", ".[gym]")],
)
def test_a_module_for_users_without_its_package(module, package, requirement):
    code = f"import sys; sys.modules[{package!r}] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    told = f"{package} is not installed; type: pip install '{requirement}', in the checkout"
    assert told in done.stderr.splitlines()[-1]
