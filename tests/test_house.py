"""The rules of the house, held by the machine: imports, folders, sizes, quick help."""

import ast
import subprocess
import sys
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


def imports(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way_and_files_stay_short(path):
    package = path.relative_to(ROOT).parts[0]
    text = path.read_text()
    assert not imports(ast.parse(text)) & FORBIDDEN[package]
    assert len(text.splitlines()) <= 500


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
