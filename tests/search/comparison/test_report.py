"""The page: what it holds, and that nothing in a reply gets out of its place."""

import json
from pathlib import Path

import pytest

from search.comparison.report import report
from search.comparison.story import LETTERS
from search.comparison.write import compared

EVIL = "<script>document.title='owned'</script></script><img src=x onerror=alert(1)> **b** | a"
GOOD = '{"layers": [[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]}'
PROBE = Path("finetune/probe/smollm2.json")


@pytest.fixture
def page_of(tmp_path):
    """Compare runs; returns the page, without the figures that lie beside it."""

    def write(*runs, **options):
        paths, page = [run.path for run in runs], tmp_path / "report.html"
        page.write_text(report(*compared(paths, tmp_path / "page", **options)), encoding="utf-8")
        return page

    return write


def test_the_page_holds_every_episode_and_can_be_made_again(make, make_model, page_of, data_of):
    runs = [make_model("base"), make("a", episodes=9)]
    page = page_of(*runs)
    text, data = page.read_text(), data_of(page)
    assert text.count("Plotly.register") <= 1
    assert "python -m search compare " + " ".join(str(run.path) for run in runs) in text
    assert [data["arms"][run["arm"]]["name"] for run in data["runs"]] == ["base", "random"]
    trials = [trial for run in runs for trial in run.trials]
    rewards = [float(f"{one.score:.5g}") if one.feasible else None for one in trials]
    assert data["trials"]["reward"] == rewards
    assert data["trials"]["episode"] == [trial.step + 1 for trial in trials]
    assert data["designs"][0] == "32x3 32x3 64x3 64x3 128x3 128x3"
    assert runs[0].manifest.digests.simulator in text


def test_what_a_reply_says_stays_where_it_belongs(make, make_model, page_of, data_of):
    """Tags and Markdown are text; the page's own parts are as many as ever."""
    plain = page_of(make("a", episodes=9), make_model("base", reply=f"x {GOOD}"))
    before = plain.read_text()
    page = page_of(make("b", episodes=9), make_model("evil", reply=f"{EVIL} {GOOD}"))
    after, data = page.read_text(), data_of(page)
    for tag in ("<script", "</script", "<img", "<b>"):
        assert before.count(tag) == after.count(tag), tag
    story = next(one for one in data["stories"] if one["arm"] == "evil")
    assert story["steps"][0]["replies"] == [f"{EVIL} {GOOD}"]


def test_a_megabyte_of_reply_adds_a_few_kilobytes(make, make_model, page_of, data_of):
    page = page_of(make("a", episodes=9), make_model("base", reply="x" * 2**20 + GOOD))
    step = data_of(page)["stories"][0]["steps"][0]
    assert step["replies"][0].endswith(" characters more")
    assert len(step["replies"][0]) < LETTERS + 50
    assert page.stat().st_size < 6e6


def test_a_name_with_tags_is_escaped_by_the_template(make, make_model, page_of):
    page = page_of(make("a", episodes=9), make_model("base<b>&"))
    assert "<h1>base&lt;b&gt;&amp;, random</h1>" in page.read_text()


def test_a_story_says_what_changed_and_what_that_did(make, make_model, page_of, data_of):
    lines = "\n".join(GOOD.replace("[64,3],[64,3]", f"[64,{k}],[64,3]") for k in (3, 5))
    run = make_model("base", reply=lines)
    story = data_of(page_of(run, make("a", episodes=9)))["stories"][0]
    kernels = [trial.design.layers[2].kernel for trial in run.trials]
    steps = story["steps"]
    assert [step["episode"] for step in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[0]["changes"] == ""
    for step, old, new in zip(steps[1:], kernels, kernels[1:], strict=False):
        assert step["changes"] == ("nothing" if old == new else f"layer 3: 64x{old} -> 64x{new}")
        assert bool(step["findings"]) == (old != new)
    changed = next(step for step in steps[1:] if step["findings"])
    assert any(text.startswith("latency ") for text in changed["findings"])
    assert "Choose" in steps[0]["asked"]
    assert steps[0]["best"]
    assert not any(step["best"] for step in steps if step["result"].endswith("as in episode 1"))


def test_kernels_and_beliefs_stand_side_by_side(make, page_of, data_of):
    page = page_of(make("a", episodes=9), probes=[PROBE])
    data = data_of(page)
    assert [row["kernel"] for row in data["kernels"]] == [1, 3, 5, 7]
    assert all(row["accuracy"] is None for row in data["kernels"]), "trained, and not known"
    latencies = [row["latency_ns"] for row in data["kernels"]]
    assert latencies == sorted(latencies)
    probe = json.loads(PROBE.read_text())
    assert {row["kind"]: row["says_larger"] for row in data["beliefs"]} == {
        kind: belief["larger"] for kind, belief in probe["beliefs"].items()
    }
