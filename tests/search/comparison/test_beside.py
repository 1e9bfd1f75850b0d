"""Comparisons side by side: each column a page, each line an arm."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from cim_sim.config import UsageError
from cim_sim.intervals import Interval
from search.commands.compare import compare
from search.commands.results import RIVALS, results, side_by_side
from search.comparison.beside import apart, below, reached, short
from search.comparison.result import Contrast


def interval(mean, spread=0.01):
    return Interval(mean=mean, low=mean - spread, high=mean + spread, n=24)


def arm(name, **regret):
    at = {int(key[1:]): SimpleNamespace(mean=interval(mean)) for key, mean in regret.items()}
    return SimpleNamespace(name=name, regret=at)


def claim(against, mean, *, shown, p):
    return SimpleNamespace(
        arm="judge", against=against, difference=interval(mean), shown=shown, p_holm=p
    )


def contrast(against, metric, rival_episodes, mean, episodes=20):
    return Contrast(
        arm="judge", against=against, metric=metric, episodes=episodes,
        rival_episodes=rival_episodes, difference=interval(mean),
    )  # fmt: skip


@pytest.fixture
def pages():
    judge = arm("judge", _1=0.3, _5=0.1, _20=0.014)
    near = SimpleNamespace(
        counted=24,
        arms=[judge, arm("genetic", _1=0.9, _5=0.8, _20=0.64, _50=0.5, _500=0.065)],
        claims=[claim("genetic", 0.626, shown=True, p=1e-9)],
        contrasts=[
            contrast("genetic", "latency", 20, 0.7),
            contrast("genetic", "all", 500, 0.051),
            contrast("genetic", "energy", 20, 0.5),
            contrast("genetic", "all", 20, 0.626),
            contrast("genetic", "energy", 5, 0.4, episodes=5),
        ],
    )
    tight = SimpleNamespace(
        counted=8,
        arms=[judge, arm("lookup", _1=0.4, _5=0.2)],
        claims=[claim("lookup", -0.002, shown=False, p=None)],
        contrasts=[],
    )
    return {"near": near, "tight": tight}


def test_what_each_arm_reaches(pages):
    assert reached(pages) == [
        "| arm | `near`, 24 tasks | `tight`, 8 tasks |",
        "|---|---|---|",
        "| judge | .300 .100 **.014** [.004, .024] | .300 .100 **.014** [.004, .024] |",
        "| genetic | .900 .800 **.640** [.630, .650]; @500 .065 |  |",
        "| lookup |  | .400 .200 |",
    ]


def test_how_far_an_arm_lies_below_the_others(pages):
    assert below(pages, "judge") == [
        "| judge is below | `near` | `tight` |",
        "|---|---|---|",
        "| genetic | **.626** [.616, .636], p 1e-09 |  |",
        "| lookup |  | -.002 [-.012, .008] |",
    ]


def test_objectives_and_later_episodes_apart(pages):
    """What a claim has told, and what is of earlier episodes, is left out."""
    assert apart(pages, "judge")[2:] == [
        "| genetic @500, all | .051 [.041, .061] |  |",
        "| genetic, energy | .500 [.490, .510] |  |",
        "| genetic, latency | .700 [.690, .710] |  |",
    ]


def test_the_whole_budget_of_an_arm_is_told_beside_its_twenty(pages):
    pages["near"].contrasts.append(contrast("genetic", "all", 500, 0.06, episodes=40))
    heads, _, first, *_ = apart(pages, "judge")
    assert heads.startswith("| judge @20 or as said is below |")
    assert first == "| genetic @500, all | .051 [.041, .061] |  |"
    assert "| @40: genetic @500, all | .060 [.050, .070] |  |" in apart(pages, "judge")


def test_a_pair_that_names_the_arm_second_is_turned_round(pages):
    assert below(pages, "genetic")[2:] == ["| judge | **-.626** [-.636, -.616], p 1e-09 |  |"]
    assert apart(pages, "genetic")[2:] == [
        "| judge, energy | -.500 [-.510, -.490] |  |",
        "| judge, latency | -.700 [-.710, -.690] |  |",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0144, ".014"), (-0.0021, "-.002"), (1.0, "1.000"), (-0.0001, ".000"), (-1.2, "-1.200")],
)
def test_numbers_are_short(value, said):
    assert short(value) == said


def test_kept_pages_are_printed_and_nothing_is_written(tmp_path, run_of, capsys):
    run_of(tmp_path / "a", episodes=5)
    assert compare((tmp_path / "a",), out=tmp_path / "kept" / "near") == 0
    capsys.readouterr()
    before = sorted(tmp_path.rglob("*"))
    assert results(tmp_path / "kept", beside=("near",)) == 0
    assert capsys.readouterr().out.startswith(
        "| arm | `near`, 1 tasks |\n|---|---|\n| random | 1.000"
    )
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(UsageError, match="--arm judge: no such arm there; there are random"):
        side_by_side(tmp_path / "kept", ["near"], "judge")
    with pytest.raises(
        UsageError, match="--arm judge: say beside which; type --beside NAME, a fold"
    ):
        results(tmp_path / "kept", arm="judge")
    with pytest.raises(UsageError, match=r"tight/comparison\.json"):
        side_by_side(tmp_path / "kept", ["tight"], None)


def test_the_page_of_results_has_the_tables_that_its_commands_print():
    text = Path("finetune/RESULTS.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python -m search results --beside (.+) --arm (.+)$", text, re.M)
    assert commands
    for names, arm in commands:
        printed = side_by_side(RIVALS, names.split(), arm)
        assert {line for line in printed.splitlines() if line} <= set(text.splitlines())
