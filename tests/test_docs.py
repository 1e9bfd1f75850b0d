"""The documents: every command in them exists, with its options; links lead somewhere."""

import ast
import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
import tyro
import yaml

import cim_sim.__main__
import finetune.__main__
import search.__main__
from cim_sim import cli

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ROOT / "finetune/RESULTS.md",
    *(ROOT / part / "README.md" for part in ("cim_sim", "search", "finetune")),
]
CONFIGS = sorted((ROOT / "configs").glob("*/*.yaml"))
"""Their headers name the commands that take them."""
PROGRAMS = {
    "cim_sim": cim_sim.__main__.main,
    "search": search.__main__.main,
    "finetune": finetune.__main__.main,
}
COMMAND = re.compile(r"-m (cim_sim|search|finetune)\b([^`\n#]*)")
QUICK = {
    "cim_sim": {"evaluate", "cost", "explain", "kernels", "validate", "bench", "accuracy",
                "compare-noise"},
    "search": {"results", "export", "bench", "doctor"},
    "finetune": set(),
}  # fmt: skip
"""Verbs that take less than a minute; all others have --dry-run."""
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


def name_of(document):
    return str(document.relative_to(ROOT))


@pytest.fixture(scope="module")
def options():
    """Return the options of each verb of each program, as its --help has them."""
    found = {}

    def helped(verb):
        said = io.StringIO()
        with pytest.raises(SystemExit), contextlib.redirect_stdout(said):
            tyro.cli(verb, args=["--help"])
        return set(re.findall(r"--[a-z][a-z0-9-]*", said.getvalue()))

    def kept(program, description, verbs):
        known = {name: helped(verb) for name, verb in verbs.items()}
        found[program.removeprefix("python -m ")] = known
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "run", kept)
        for program in PROGRAMS.values():
            program()
    return found


def test_the_programs_are_looked_at(options):
    assert {"--dry-run", "--out", "--verify-top"} <= options["search"]["run"]
    assert "--set" in options["finetune"]["train"]


def test_every_long_verb_can_be_tried_dry(options):
    without = {
        program: {verb for verb, known in verbs.items() if "--dry-run" not in known}
        for program, verbs in options.items()
    }
    assert without == QUICK


@pytest.mark.parametrize("document", [*DOCUMENTS, *CONFIGS], ids=name_of)
def test_every_command_exists_with_its_options(document, options):
    for program, rest in COMMAND.findall(document.read_text(encoding="utf-8")):
        words = shlex.split(rest.strip().removesuffix("\\"), posix=False)
        if not words or words[0].startswith("-"):
            continue
        verb = words[0].rstrip(".,:;)")
        if verb in ("VERB", "or"):  # `--help` of any, and "search run or sweep"
            continue
        assert verb in options[program], f"python -m {program} {verb}"
        typed = {word.split("=")[0].strip("[]().,") for word in words[1:] if "--" in word[:3]}
        assert typed <= options[program][verb] | {"--help"}, f"{program} {verb}: {typed}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_target_and_variable_of_make_exists(document):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"\$\(([A-Z_]+)\)|^([A-Z_]+) *\?=", makefile, re.MULTILINE))
    known = {name for pair in variables for name in pair if name}
    code = re.findall(r"^```\n(.*?)^```|`([^`\n]+)`", document.read_text(), re.S | re.M)
    for line in "\n".join(f"{block}\n{inline}" for block, inline in code).splitlines():
        if not line.startswith("make "):
            continue
        words = re.split(r"\s{2,}|#", line)[0].split('"')[0].split()[1:]
        for word in words:
            name, equals, _ = word.partition("=")
            assert name in (known if equals else targets), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_to_a_file(document):
    for target, _ in LINK.findall(document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_file_of_the_configurations_that_is_named_is_there(document):
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"configs/[a-z]+/[A-Za-z0-9.-]+\.yaml", text))
    absent = {name for name in named if not (ROOT / name).is_file()}
    assert absent <= {f"configs/{kind}/{own}.yaml" for kind in ("models", "search")
                      for own in ("mine", "remote", "qwen3", "qwen3-base")}  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_examples_can_be_read(document):
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```", document.read_text(), re.S | re.M):
        if kind == "python":
            ast.parse(block)
        if kind == "yaml":
            assert isinstance(yaml.safe_load(block), dict)


def test_the_citation_has_what_its_format_demands():
    """CFF 1.2: four keys are required, an author is a person or an entity."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert (cited["cff-version"], cited["type"], cited["license"]) == ("1.2.0", "software", "MIT")
    assert cited["authors"] == [{"name": "LCDA-FT maintainers"}]
    person = {"given-names", "family-names"}
    for reference in cited["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        assert all(author.keys() == person for author in reference["authors"])
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{cited["version"]}"' in project
    assert f"## {cited['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
