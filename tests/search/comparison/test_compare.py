"""Comparing runs: what is refused and why, and what the page says."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from search.__main__ import main
from search.comparison.compare import compare, regret_ends
from search.comparison.equality import NotComparable, arms_of, require_comparable
from search.comparison.page import page
from search.record.adapter import Adapter, AdapterManifest, Lineage, RoundTrip
from search.record.runs import read_run
from search.study.optimum import Optimum

GOOD = "[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]"
WIDE = "[[128,3],[128,3],[128,3],[128,3],[128,3],[128,3]]"
OPTIMUM = Optimum(
    scenario="s", reward=9.0, median_feasible=0.0, feasible_share=0.5, method="searches"
)
MANIFEST = AdapterManifest(
    base="b", base_digest="d", data="data", data_digest="d", trained_on=(), examples=1,
    renderer="r", template="t", end_token="e", seed=0, steps=1, dtype="float32",
    dtype_reason="", seconds=1.0, recipe={}, versions={},
)  # fmt: skip
PASSED = RoundTrip(
    passed=True, faults=(), prompts=1, tokens=1, concurrency=8, dtype="float32",
    tuned_against_transformers=0.0, base_against_transformers=0.0, tuned_against_base=1.0,
    same_text=1.0, served="w", base="d",
)  # fmt: skip


@pytest.fixture
def make(tmp_path, run_of):
    """Make a run and read it back."""

    def run(name, **changes):
        run_of(tmp_path / name, **{"episodes": 6, **changes})
        return read_run(tmp_path / name)

    return run


@pytest.fixture
def make_model(tmp_path, make):
    """Make a run of a scripted model that always says the same."""

    def run(name, reply=GOOD, style="codesign", seed=0, **model):
        script = tmp_path / f"{model.get('name', name)}.txt"
        script.write_text(reply)
        settings = {"model": {"name": name, "script": str(script), **model}, "style": style}
        return make(f"{name}-{style}-{seed}", optimizer="llm", settings=settings, seed=seed)

    return run


def tuned(run, round_trip, trained_on=(), stand_in=False):
    """Give a run the lineage of a fine-tuned model."""
    manifest = MANIFEST.model_copy(update={"trained_on": tuple(trained_on)})
    adapter = Adapter(path="runs/a", manifest=manifest, round_trip=round_trip)
    lineage = Lineage(stand_in=stand_in, adapter=adapter)
    changes = {"lineage": lineage, "model": {**run.manifest.model, "weights": "w"}}
    return run._replace(manifest=run.manifest.model_copy(update=changes))


def refusal(*runs, **options):
    with pytest.raises(NotComparable) as refused:
        require_comparable(runs, **options)
    return str(refused.value)


def test_equal_terms_are_accepted(make, make_model):
    require_comparable([make("a"), make("b", seed=1), make_model("base")])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"space": "configs/spaces/lcda.yaml"}, "space.channels: [16, 24, 32, 48, 64, 96, 128] is"),
        ({"accuracy_seed": 3}, "accuracy_seed: 0 is not 3"),
        ({"screen": 4}, "screen: 0 is not 4"),
        ({"evaluator": "surrogate"}, "evaluator.kind: 'trained' is not 'surrogate'"),
    ],
)
def test_whatever_differs_is_named(make, change, said):
    one, other = make("a"), make("b", **change)
    message = refusal(one, other)
    assert message.startswith("these runs cannot be compared:\n  ")
    assert f"{one.path} and {other.path}: {said}" in message


def test_another_scenario_is_named_to_the_key(make, config):
    tight = {**config().scenario.model_dump(exclude_none=True), "limits": {"accuracy": 0.2}}
    message = refusal(make("a"), make("b", scenario=tight, seed=1))
    assert "scenario.limits.accuracy: None is not 0.2" in message
    assert message.count("\n") == 1


def test_another_simulator_is_refused(make):
    one, other = make("a"), make("b", seed=1)
    digests = other.manifest.digests.model_copy(update={"simulator": "0" * 16})
    other = other._replace(manifest=other.manifest.model_copy(update={"digests": digests}))
    assert "is not '0000000000000000'" in refusal(one, other)


def test_models_must_be_asked_alike_unless_that_is_the_question(make_model):
    base = make_model("base")
    naive = make_model("base", style="naive")
    hot = make_model("hot", sampling={"temperature": 1.5})
    busy = make_model("busy", concurrency=2)
    assert "prompt.style: 'codesign' is not 'naive'" in refusal(base, naive)
    assert "sampling.temperature: 0.7 is not 1.5" in refusal(base, hot)
    fp32 = make_model("fp32", server={"dtype": "float32"})
    assert "server.concurrency: 8 is not 2" in refusal(base, busy)
    assert "server.dtype: None is not 'float32'" in refusal(base, fp32)
    require_comparable([base, naive], factors=["prompt"])
    require_comparable([base, hot], factors=["sampling"])
    require_comparable([base, busy, fp32], factors=["server"])
    assert [arm.name for arm in arms_of([base, naive])] == [
        "base (base-codesign-0)", "base (base-naive-0)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (None, "adapter runs/a was never made"),
        ({"passed": False, "faults": ("differs by 0.0000",)}, "failed (differs by 0.0000)"),
        ({"served": "old"}, "was made with weights old at concurrency 8, not ('w', 8)"),
        ({"concurrency": 1}, "at concurrency 1, not ('w', 8)"),
    ],
)
def test_an_adapter_without_a_passed_round_trip_is_refused(make, make_model, changes, said):
    local = tuned(make_model("local"), changes and PASSED.model_copy(update=changes))
    message = refusal(make("a"), local)
    assert said in message
    assert "python -m finetune roundtrip --adapter runs/a" in message
    require_comparable([tuned(local, PASSED)])


def test_a_seed_twice_is_refused(make):
    assert "random: seed 0 is there 2 times" in refusal(make("a"), make("b"))


def test_arms_share_all_but_the_seed(make, make_model):
    runs = [make("b", seed=1), make_model("base"), make("a", seed=0), make("c", batch=2, seed=4)]
    arms = arms_of(runs)
    assert [(arm.name, [run.config.seed for run in arm.runs]) for arm in arms] == [
        ("random (a)", [0, 1]), ("base", [0]), ("random (c)", [4]),
    ]  # fmt: skip


def test_the_budget_is_the_shortest_run_and_regret_ends_at_the_best(make, make_model):
    runs = [make("a", episodes=9), make("b", seed=1), make_model("base", reply=WIDE)]
    arms = arms_of(runs)
    scale = regret_ends(arms)
    result = compare(arms, scale)
    random, base = result.arms
    assert result.budget == 6
    assert [run.episodes for run in random.runs] == [9, 6]
    firsts = [max(t.score for t in run.trials[:6]) for run in runs[:2]]
    assert random.best_reward.mean == pytest.approx(np.mean(firsts))
    assert (random.best_reward.low, random.best_reward.high) == pytest.approx(sorted(firsts))
    assert base.best_reward.low is None
    assert base.regret.mean == pytest.approx(
        np.clip(
            (scale.optimum - base.best_reward.mean) / (scale.optimum - scale.median_random), 0, 1
        )
    )
    (difference,) = result.differences
    assert (difference.arm, difference.against) == ("base", "random")
    assert difference.difference.mean == pytest.approx(base.best_reward.mean - firsts[0])
    assert difference.difference.contains_zero is None


def test_a_known_optimum_ends_the_scale_unless_a_run_beats_it(make):
    arms = arms_of([make("a")])
    assert regret_ends(arms, optimum=3.0).source == "given"
    assert regret_ends(arms, optimum=3.0, median_random=0.0) == (3.0, 0.0, "given")
    best = max(trial.score for trial in arms[0].runs[0].trials)
    assert regret_ends(arms, optimum=best - 0.01)[::2] == (best, "the best of these runs")
    assert regret_ends(arms, median_random=best + 1) is None


def test_the_page_says_what_must_be_kept_in_mind(make, make_model):
    random = make("a")
    digest = random.manifest.digests.scenario
    base, local = make_model("base", reply="no"), make_model("local")
    local = tuned(local, PASSED, trained_on=["x", digest], stand_in=True)
    manifest = random.manifest.model_copy(update={"status": "interrupted"})
    arms = arms_of([random._replace(manifest=manifest), base, local])
    result = compare(arms, regret_ends(arms))
    said = page(result)
    assert "local is the embedded base, or was tuned from it: a tiny stand-in for a general" in said
    assert "local was trained on data of this very scenario" in said
    assert "One seed only for random, base, local: it allows no interval" in said
    assert f"{random.path} is interrupted: it has 6 episodes" in said
    assert "base found nothing feasible with seed 0; that counts as -1" in said
    assert "no random arm" not in said
    assert f"| local | 0 | {result.arms[2].best_reward.mean:.4f} |" in said
    assert f"`{json.dumps(json.loads(GOOD))}`" in said
    assert "| base | 0 | -1.0000 | 1.0000 | - | - (6) |" in said
    without = arms_of([base])
    assert "There is no random arm" in page(compare(without, regret_ends(without)))


def test_an_interval_that_contains_zero_is_said_to(make, make_model):
    runs = [make("a"), make("b", seed=1), make_model("x"), make_model("x", seed=1)]
    arms = arms_of(runs)
    lines = page(compare(arms, None)).splitlines()
    (said,) = [line for line in lines if line.startswith("- x minus random: ")]
    assert said.endswith(
        ("contains zero: no difference is shown.", "interval does not contain zero.")
    )


def test_the_verb_writes_page_figure_and_json(make, tmp_path, monkeypatch, capsys):
    runs = [make("a"), make("b", seed=1)]
    paths = [str(run.path) for run in runs]
    known = OPTIMUM.model_copy(update={"digests": runs[0].manifest.digests})
    (tmp_path / "optimum.json").write_text(known.model_dump_json())
    words = ["--out", str(tmp_path / "c"), "--optimum", str(tmp_path / "optimum.json")]
    monkeypatch.setattr(sys, "argv", ["search", "compare", *paths, *words])
    assert main() == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    written = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert last["best_reward"] == {"random": written["arms"][0]["best_reward"]["mean"]}
    assert (last["budget"], written["optimum"], written["median_random"]) == (6, 9.0, 0.0)
    assert "best_so_far.png" in (tmp_path / "c" / "comparison.md").read_text()
    with Image.open(tmp_path / "c" / "best_so_far.png") as figure:
        assert figure.size[0] > 800


def test_the_verb_refuses_with_exit_3(make, tmp_path, monkeypatch, capsys):
    paths = [str(make("a").path), str(make("b", screen=2).path)]
    monkeypatch.setattr(sys, "argv", ["search", "compare", *paths, "--out", str(tmp_path / "c")])
    assert main() == 3
    assert "screen: 0 is not 2" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


@pytest.fixture
def complaint(tmp_path, monkeypatch, capsys):
    """Type a comparison that is bad usage; returns what is said."""

    def type_in(*words):
        words = ["search", "compare", *map(str, words), "--out", str(tmp_path / "c")]
        monkeypatch.setattr(sys, "argv", words)
        assert main() == 2
        return capsys.readouterr().err

    return type_in


def test_bad_usage_is_one_clear_message(make, complaint, tmp_path):
    begun, bad, other = make("a"), tmp_path / "bad.json", tmp_path / "other.json"
    run = begun.path
    bad.write_text("[]")
    digests = begun.manifest.digests.model_copy(update={"scenario": "x", "evaluator": "y"})
    other.write_text(OPTIMUM.model_copy(update={"digests": digests}).model_dump_json())
    assert "name the run directories" in complaint()
    assert "nowhere: holds no run" in complaint("nowhere")
    assert "--optimum high: neither a number nor a file" in complaint(run, "--optimum", "high")
    assert "--optimum nan: not a reward" in complaint(run, "--optimum", "nan")
    assert "bad.json: expected keys of Optimum" in complaint(run, "--optimum", bad)
    assert "is of another scenario and evaluator than the runs" in complaint(
        run, "--optimum", other
    )
