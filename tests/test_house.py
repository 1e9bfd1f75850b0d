"""The rules of the house, held by the machine: imports, circles, folders, sizes, quick help."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cim_sim", "search", "finetune")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
FORBIDDEN = {
    "cim_sim": {"search", "finetune", "vllm"},
    "search": {"finetune", "vllm"},
    "finetune": {"vllm"},
}
HEAVY = {"torch", "transformers", "trl", "peft", "datasets", "sklearn", "optuna", "matplotlib"}

FOLDERS = {
    "cim_sim": {"accuracy", "commands", "cost", "cost_study"},
    "cim_sim/accuracy": {"bench", "surrogate"},
    "search": {"commands", "comparison", "evaluators", "llm", "optimizers", "record", "study"},
    "finetune": {"commands", "probe"},
}
"""Folders with code, as the page on the design names them; whoever adds one adds it here."""

MOST_ROOMS_OF_SEARCH = 16
"""Files and folders at the top of search/: what one glance takes in."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def imported(tree: ast.AST) -> set[str]:
    """Names of everything that is imported anywhere, inside functions and for types too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inner & MODULES.keys() if inner & MODULES.keys() else {node.module}
            names |= {node.module} if inner - MODULES.keys() else set()
    return names


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def graph(level) -> dict[str, set[str]]:
    """Arrows between modules, or between rooms: package and what stands at its top level."""
    arrows: dict[str, set[str]] = {}
    for module, tree in MODULES.items():
        own = imported(tree) & MODULES.keys()
        targets = {level(name) for name in own if name not in PACKAGES}
        arrows.setdefault(level(module), set()).update(targets - {level(module)})
    return arrows


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way_and_files_stay_short(path):
    package = path.relative_to(ROOT).parts[0]
    assert (
        not {name.split(".")[0] for name in imported(MODULES[name_of(path)])} & FORBIDDEN[package]
    )
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("level", [str, room], ids=["modules", "rooms"])
def test_no_import_runs_in_a_circle(level):
    try:
        TopologicalSorter(graph(level)).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' <- '.join(error.args[1])}")


def test_the_model_knows_nothing_of_what_talks_about_it():
    arrows = graph(str)
    for lower, upper in (
        ("cim_sim.cost.", "cim_sim.cost_study"),
        ("cim_sim.cost.", "cim_sim.accuracy"),
        ("cim_sim.accuracy.", "cim_sim.cost"),
        ("cim_sim.accuracy.", "cim_sim.scenario"),
        ("search.record.", "search.llm"),
        ("search.optimizers.", "search.study"),
    ):
        upwards = {m: t for m, t in arrows.items() if m.startswith(lower)}
        assert not {(m, x) for m, t in upwards.items() for x in t if x.startswith(upper)}


@pytest.mark.parametrize("parent", FOLDERS)
def test_folders_are_those_of_the_design(parent):
    found = {path.parent.name for path in (ROOT / parent).glob("*/*.py")}
    assert found == FOLDERS[parent]


def test_search_shows_its_idea_at_one_glance():
    shown = [path for path in (ROOT / "search").iterdir() if path.suffix in ("", ".py")]
    rooms = {path.stem for path in shown} - {"__init__", "__pycache__"}
    assert len(rooms) <= MOST_ROOMS_OF_SEARCH, sorted(rooms)


def test_nothing_shadows_the_datasets_package():
    assert not list((ROOT / "datasets").rglob("*.py"))
    assert not list((ROOT / "tests").rglob("__init__.py"))
    code = "import datasets; assert datasets.load_dataset"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("package", PACKAGES)
def test_help_loads_nothing_heavy(package):
    code = (
        "import sys; sys.argv = ['x', '--help']\n"
        f"from {package}.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        f"print('LOADED', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert "LOADED []" in done.stdout
    assert "usage: python -m " + package in done.stdout
