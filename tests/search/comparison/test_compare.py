"""Comparing runs: what is refused and why, what is measured, and what is claimed."""

import json
import sys

import numpy as np
import pytest

from cim_sim.intervals import Interval
from search.__main__ import main
from search.comparison.claims import claims_of
from search.comparison.compare import compare
from search.comparison.equality import NotComparable, arms_of, require_comparable
from search.comparison.page import page
from search.comparison.result import Comparison
from search.comparison.sources import Gathered, Source, gather
from search.record.adapter import Adapter, AdapterManifest, Lineage, RoundTrip
from search.stats import Resampling

GOOD = "[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]"
WIDE = "[[128,3],[128,3],[128,3],[128,3],[128,3],[128,3]]"
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


def altered(run, **changes):
    return run._replace(manifest=run.manifest.model_copy(update=changes))


def tuned(run, round_trip, trained_on=(), **lineage):
    """Give a run the lineage of a fine-tuned model."""
    manifest = MANIFEST.model_copy(update={"trained_on": tuple(trained_on)})
    adapter = Adapter(path="runs/a", manifest=manifest, round_trip=round_trip)
    lineage = Lineage(**{"adapter": adapter, **lineage})
    return altered(run, lineage=lineage, model={**run.manifest.model, "weights": "w"})


def found(*runs):
    return Gathered([Source(run, None) for run in runs], 0)


def refusal(*runs, **options):
    with pytest.raises(NotComparable) as refused:
        require_comparable(found(*runs), **options)
    return str(refused.value)


def result_of(*runs, missing=0):
    gathered = Gathered([Source(run, None) for run in runs], missing)
    return compare(gathered, require_comparable(gathered), "the command")


def test_equal_terms_are_accepted(make, make_model):
    runs = [make("a"), make("b", seed=1), make_model("base"), make_model("base", seed=1)]
    assert [arm.name for arm in require_comparable(found(*runs))] == ["base", "random"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"space": "configs/spaces/lcda.yaml"}, "space.channels: [16, 24, 32, 48, 64, 96, 128] is"),
        ({"accuracy_seed": 3}, "accuracy_seed: 0 is not 3"),
        ({"screen": 4}, "screen: 0 is not 4"),
        ({"batch": 3}, "batch: 1 is not 3"),
        ({"told": False}, "told: True is not False"),
        ({"evaluator": "surrogate"}, "evaluator.kind: 'trained' is not 'surrogate'"),
    ],
)
def test_whatever_differs_is_named(make, change, said):
    one, other = make("a"), make("b", **change)
    message = refusal(one, other)
    assert message.startswith("these runs cannot be compared:\n  ")
    assert f"{one.path} and {other.path}: {said}" in message


def test_a_new_setting_of_runs_is_part_of_the_problem(make):
    """Whatever the configuration holds must be equal, unless it is one of a few that are named."""
    one = make("a")
    terms = set(type(one.config).model_fields)
    free = {"optimizer", "settings", "scenario", "episodes", "seed", "batch", "screen"}
    assert terms - free == {"evaluator", "accuracy_seed", "space", "told"}


def test_screening_and_batch_may_be_the_question(make):
    runs = [make("a"), make("b", screen=4), make("c", batch=3)]
    arms = require_comparable(found(*runs), ["screen", "batch"])
    assert [arm.name for arm in arms] == ["random (batch 1)", "random+screen4", "random (batch 3)"]


def test_arms_of_one_name_in_folders_of_one_name_are_told_apart_by_their_paths(make):
    first = make("x/seed0", optimizer="lookup", settings={"nearest": 5})
    second = make("y/seed0", optimizer="lookup", settings={"nearest": 6})
    names = [arm.name for arm in arms_of(found(first, second).sources)]
    assert names == [f"lookup ({first.path})", f"lookup ({second.path})"]


def test_another_scenario_set_is_refused(make, make_model, config):
    """Two arms stand side by side only where both were."""
    tight = {**config().scenario.model_dump(exclude_none=True), "limits": {"accuracy": 0.2}}
    runs = [make("a"), make("b", scenario={**tight, "name": "tight"}), make_model("base")]
    assert "base and random: scenario tight (" in refusal(*runs)
    assert refusal(*runs).endswith("is in the latter alone")


def test_other_seeds_are_refused(make, make_model):
    runs = [make("a"), make("b", seed=1), make_model("base"), make_model("base", seed=2)]
    assert "base and random: seeds [0, 2] and [0, 1] in scenario test (" in refusal(*runs)


def test_two_budgets_in_one_arm_are_refused(make):
    message = refusal(make("a"), make("b", seed=1, episodes=9))
    assert "random: budgets of 6 and 9 episodes in one arm; raise the smaller ones" in message
    assert "--resume --episodes 9 --out RUN" in message


def test_another_simulator_is_refused(make):
    one, other = make("a"), make("b", seed=1)
    digests = other.manifest.digests.model_copy(update={"simulator": "0" * 16})
    assert "is not '0000000000000000'" in refusal(one, altered(other, digests=digests))


def test_models_must_be_asked_alike_unless_that_is_the_question(make_model):
    base = make_model("base")
    naive = make_model("base", style="naive")
    hot = make_model("hot", sampling={"temperature": 1.5})
    busy = make_model("busy", concurrency=2)
    fp32 = make_model("fp32", server={"dtype": "float32"})
    newer = altered(make_model("newer"), model={**base.manifest.model, "server": "vllm 9"})
    assert "prompt.style: 'codesign' is not 'naive'" in refusal(base, naive)
    assert "sampling.temperature: 0.7 is not 1.5" in refusal(base, hot)
    assert "server.concurrency: 8 is not 2" in refusal(base, busy)
    assert "server.dtype: None is not 'float32'" in refusal(base, fp32)
    assert "server.version: None is not 'vllm 9'" in refusal(base, newer)
    require_comparable(found(base, naive), factors=["prompt"])
    require_comparable(found(base, hot), factors=["sampling"])
    require_comparable(found(base, busy, fp32), factors=["server"])


def test_a_model_of_which_patience_alone_differs_is_asked_alike(make_model):
    require_comparable(found(make_model("a"), make_model("b", timeout_s=5, tries=2, pause_s=0.1)))


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
    require_comparable(found(tuned(local, PASSED)))


def test_a_round_trip_may_be_made_after_the_search(make_model, tmp_path):
    local = tuned(make_model("local"), None)
    adapter = local.manifest.lineage.adapter.model_copy(update={"path": str(tmp_path)})
    local = altered(local, lineage=Lineage(adapter=adapter))
    assert refusal(local).endswith(f"python -m finetune roundtrip --adapter {tmp_path}")
    file = tmp_path / "roundtrip.json"
    file.write_text(PASSED.model_copy(update={"served": "old"}).model_dump_json())
    assert "was made with weights old" in refusal(local)
    file.write_text(PASSED.model_dump_json())
    require_comparable(found(local))


def test_weights_without_a_card_are_refused_and_served_ones_named(make, make_model):
    bare = Lineage(adapter=None, unknown="no card")
    assert "model local: no card beside the weights" in refusal(
        make("a"), altered(make_model("local"), lineage=bare)
    )
    served = bare.model_copy(update={"unknown": "served elsewhere"})
    notes = result_of(make("c"), altered(make_model("far", reply=WIDE), lineage=served)).notes
    assert "Of far nobody knows what it was trained on (unknown: served elsewhere)." in notes


def test_a_seed_twice_is_refused(make):
    assert "random: seed 0 is there 2 times in test (" in refusal(make("a"), make("b"))


def test_an_arm_of_a_sweep_keeps_its_name(make):
    runs = [make("a"), make("b", seed=1), make("c", screen=4)]
    sources = [Source(run, label) for run, label in zip(runs, ("x", "x", "y"), strict=True)]
    arms = arms_of(sources)
    assert [(arm.name, len(arm.runs)) for arm in arms] == [("x", 2), ("y+screen4", 1)]


def trained(run, seed, path="runs/a", **changes):
    """Give a run a model that was trained with a seed."""
    manifest = MANIFEST.model_copy(update={"seed": seed, "recipe": {"seed": seed}, **changes})
    adapter = Adapter(path=path, manifest=manifest, round_trip=PASSED)
    model = {**run.manifest.model, "weights": "w"}
    return altered(run, lineage=Lineage(adapter=adapter), model=model)


def test_trainings_of_one_recipe_make_one_arm(make, make_model):
    random = make("a", episodes=9)
    one = trained(make_model("first", reply=WIDE), 0, "runs/a")
    other = trained(make_model("second", reply=GOOD), 1, "runs/b")

    def compared(**labelled):
        sources = [Source(run, label) for label, runs in labelled.items() for run in runs]
        return compare(Gathered(sources, 0), arms_of(sources), "the command")

    each = {
        seed: compared(random=[random], judge=[run], rest=[rest]).arms[0].curve[-1]
        for seed, run, rest in ((0, one, other), (1, other, one))
    }
    result = compared(random=[random], judge=[one, other])
    judge = result.arms[0]
    assert (judge.name, judge.runs) == ("judge", 2)
    assert judge.trainings == pytest.approx(each, abs=1e-4)
    assert each[0] != each[1]
    assert judge.regret[6].mean.mean == pytest.approx(sum(each.values()) / 2, abs=1e-4)
    assert judge.origin.words == "tuned with runs/a, runs/b"
    assert "judge stands for 2 trainings of one recipe, with seeds 0, 1, which end at " in " ".join(
        result.notes
    )


def test_other_models_of_one_name_stay_arms_of_their_own(make_model):
    one = trained(make_model("first", reply=WIDE), 0)
    second = make_model("second", reply=GOOD)
    faster = trained(second, 1, recipe={"seed": 1, "learning_rate": 1.0})
    further = trained(second, 1, went_on_from="runs/a")
    for other in (faster, further, trained(second, 1, data_digest="other")):
        assert len(arms_of([Source(one, "judge"), Source(other, "judge")])) == 2
    same = trained(second, 1)
    assert len(arms_of([Source(one, None), Source(same, None)])) == 2
    assert len(arms_of([Source(one, "judge"), Source(same, "judge")])) == 1
    unnamed = trained(second, 1, recipe={})
    assert len(arms_of([Source(one, "judge"), Source(unnamed, "judge")])) == 1


def test_a_cell_that_one_training_has_not_finished_is_left_out(make, make_model):
    random = [make("a", episodes=9), make("b", episodes=9, seed=1)]
    runs = [trained(make_model("first", reply=WIDE, seed=seed), 0) for seed in (0, 1)]
    runs += [trained(make_model("second", reply=GOOD, seed=seed), 1) for seed in (0, 1)]
    runs[-1] = runs[-1]._replace(trials=runs[-1].trials[:3])
    sources = [Source(run, "random") for run in random] + [Source(run, "judge") for run in runs]
    gathered = Gathered(sources, 0)
    result = compare(gathered, require_comparable(gathered), "the command")
    assert (result.seeds, result.unfinished) == (1, 1)


def test_regret_goes_from_the_best_of_the_runs_to_the_median_of_random(make, make_model):
    random, base = make("a", episodes=9), make_model("base", reply=WIDE)
    result = result_of(random, base)
    (scenario,) = result.scenarios
    scores = [trial.score for trial in random.trials if trial.feasible]
    assert scenario.median_random == pytest.approx(np.median(scores))
    assert scenario.optimum == max(*scores, base.trials[0].score)
    assert scenario.best_in["random"].reward == max(scores)
    assert scenario.best_in["base"].design == json.loads(WIDE)
    assert [arm.episodes for arm in result.arms] == [6, 9]
    best = np.fmax.accumulate([t.score if t.feasible else np.nan for t in random.trials])
    span = scenario.optimum - scenario.median_random
    regret = np.clip(np.nan_to_num((scenario.optimum - best) / span, nan=1), 0, 1)
    assert result.arms[1].curve == pytest.approx(regret, abs=1e-4)
    assert result.arms[1].area.mean == pytest.approx(regret.mean())
    assert list(result.arms[1].regret) == [1, 5, 9]
    (claim,) = result.claims
    assert (claim.arm, claim.against, claim.episodes, claim.shown) == ("base", "random", 6, False)
    assert claim.difference.low is None
    assert claim.sentence.startswith("Not shown: the regret of base is ")
    assert "over 1 x 1; an interval takes 8 scenarios x 3 seeds" in claim.sentence


def test_what_a_model_wastes_is_counted(make, make_model):
    lines = f"no design here\n{GOOD}\n{WIDE}"
    base = make_model("base", reply=lines)
    arm = result_of(make("a", episodes=9), base).arms[0]
    firsts = [one for one in base.exchanges if one.attempt == 0]
    tokens = sum(one.usage["completion_tokens"] for one in base.exchanges)
    assert arm.shares.first_try == sum(one.error is None for one in firsts) / 6
    assert arm.shares.invalid == sum(trial.failure is not None for trial in base.trials) / 6
    assert arm.shares.duplicate == sum(t.duplicate_of is not None for t in base.trials) / 6
    assert arm.effort.completion_tokens == tokens / 6


def test_what_is_not_finished_is_left_out_and_said(make, make_model):
    whole = [make("a", episodes=9), make("b", episodes=9, seed=1), make_model("x", reply=WIDE)]
    begun = make_model("x", reply=WIDE, seed=1)
    begun = begun._replace(trials=begun.trials[:3])
    result = result_of(*whole, begun, missing=2)
    assert (result.seeds, result.unfinished) == (1, 3)
    assert result.notes[0].startswith("3 runs are not finished: figures are over the 1 cells")
    with pytest.raises(NotComparable, match="no scenario and seed is finished by every arm; still"):
        result_of(*whole[:2], begun._replace(config=begun.config), missing=1)


def test_without_a_scale_it_says_what_gives_one(make_model):
    with pytest.raises(NotComparable, match="it takes a random arm that found something feasible"):
        result_of(make_model("base"))


def test_the_page_says_what_must_be_kept_in_mind(make, make_model):
    random = make("a", episodes=9)
    digest = random.manifest.digests.scenario
    base, local = make_model("base", reply="no"), make_model("local", reply=WIDE)
    local = tuned(local, PASSED, trained_on=["x", digest])
    said = page(result_of(random, base, local))
    assert "- local was trained on test: its result there shows memory." in said
    assert "- base found nothing feasible in 100% of its runs; that counts as regret 1." in said
    assert "- Regret 0 is the best of these runs" in said
    assert "no random arm" not in said
    assert "\n| base | 1.000 | 1.000 | 1.000 |  | - | 1.000 |" in said
    near = tuned(local, PASSED, nearest=("train-0007", 0.21))
    assert "local: test lies nearest to what it was trained on, train-0007 at distance 0.21; " in (
        page(result_of(random, near))
    )
    unrecorded = page(result_of(random, tuned(local, PASSED)))
    assert "local: its training tasks are not recorded" in unrecorded


@pytest.fixture
def claims(make, make_model):
    """Claim from regrets given by hand, [cells, episodes], of a model and of random."""
    result = result_of(make("a", episodes=9), make_model("base", reply=WIDE))

    def claim(base, random):
        resampling = Resampling(8, 3)
        curves = {"base": np.array(base), "random": np.array(random)}
        return claims_of(result.arms, curves, resampling)

    return claim


def test_a_claim_that_the_interval_supports_is_a_sentence(claims):
    noise = np.random.default_rng(0).normal(0, 0.02, (24, 9))
    random = np.linspace(0.9, 0.5, 9) + noise
    (claim,) = claims(np.linspace(0.7, 0.3, 6) + noise[:, :6], random)
    assert claim.shown
    assert claim.difference.mean == pytest.approx(0.35, abs=0.02)
    assert claim.sentence.startswith("After 6 episodes the regret of base is lower than that of ")
    assert (claim.match.episodes, claim.match.low, claim.match.high) == (4, 4, 4)
    assert "Episodes to match random@9: 4 [4, 4]." in claim.sentence
    (worse,) = claims(random[:, :6], np.full((24, 9), 0.1) + noise)
    assert worse.shown
    assert "the regret of base is higher than that of random" in worse.sentence
    assert "Episodes to match random@9: > 6 [> 6, > 6]." in worse.sentence


def test_a_claim_that_it_does_not_support_is_not_shown(claims):
    noise = np.random.default_rng(0).normal(0, 0.3, (2, 24, 9))
    (claim,) = claims(0.5 + noise[0][:, :6], 0.5 + noise[1])
    assert not claim.shown
    assert claim.difference.contains_zero
    assert claim.sentence.startswith("Not shown: that base and random differ after 6 episodes; ")


def test_many_claims_are_corrected(make, make_model):
    random, rival = make("a", episodes=9), make("g", optimizer="genetic", episodes=9)
    arms = result_of(random, rival, make_model("base", reply=WIDE)).arms
    noise = np.random.default_rng(1).normal(0, 0.1, (3, 24, 9))
    curves = dict(zip([arm.name for arm in arms], 0.5 + noise, strict=True))
    curves["base"] -= 0.06
    claims = claims_of(arms, curves, Resampling(8, 3))
    assert [(one.arm, one.against) for one in claims] == [
        ("base", "random"), ("base", "genetic"), ("genetic", "random"),
    ]  # fmt: skip
    least, most = sorted(claims[:2], key=lambda one: one.p)
    assert least.p_holm == pytest.approx(min(2 * least.p, 1))
    assert most.p_holm == pytest.approx(max(most.p, least.p_holm))
    assert claims[2].p_holm == claims[2].p, "claims on models are a family of their own"


def test_without_model_and_random_each_arm_is_held_against_those_after_it(make):
    names = ("genetic", "reinforce", "tpe")
    runs = [make(name[0], optimizer=name, episodes=9) for name in names]
    arms = [arm for arm in result_of(make("a"), *runs).arms if arm.optimizer != "random"]
    curves = {arm.name: np.full((24, 9), 0.5) for arm in arms}
    claims = claims_of(arms, curves, Resampling(8, 3))
    assert [(one.arm, one.against) for one in claims] == [
        ("genetic", "reinforce"), ("genetic", "tpe"), ("reinforce", "tpe"),
    ]  # fmt: skip


def test_unequal_information_is_part_of_the_claim(make, make_model):
    greybox = make("g", optimizer="greybox", episodes=9)
    (claim,) = result_of(make("a", episodes=9), greybox).claims
    assert claim.sentence.endswith(
        "Not equally informed: greybox was given cost model; random was given nothing."
    )


def type_in(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["search", "compare", *map(str, words)])
    return main()


def test_the_verb_writes_one_object_in_many_forms(
    make, make_model, tmp_path, monkeypatch, last_json
):
    paths = [make("a", episodes=9).path, make_model("base", reply=WIDE).path]
    assert type_in(monkeypatch, *paths, "--out", tmp_path / "c") == 0
    said = last_json()
    names = {"comparison.json", "comparison.md", "comparison.schema.json", "report.html"}
    names |= {
        f"{stem}.{kind}" for stem in ("regret", "claims", "fronts") for kind in ("png", "svg")
    }
    assert {file.name for file in (tmp_path / "c").iterdir()} == names
    result = Comparison.model_validate_json((tmp_path / "c" / "comparison.json").read_text())
    assert said["regret"] == {
        "base@6": result.arms[0].curve[-1],
        "random@9": result.arms[1].curve[-1],
    }
    assert (tmp_path / "c" / "comparison.md").read_text() == page(result)
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((tmp_path / "c" / "comparison.schema.json").read_text())
    jsonschema.validate(result.model_dump(mode="json"), schema)
    assert (
        result.command == f"python -m search compare {paths[0]} {paths[1]} --out {tmp_path / 'c'}"
    )


def test_equal_inputs_give_equal_bytes(make, make_model, tmp_path, monkeypatch):
    paths = [make("a", episodes=21).path, make_model("base", reply=WIDE).path]
    whole = []
    for _ in range(2):
        assert type_in(monkeypatch, *paths, "--out", tmp_path / "c") == 0
        whole.append({file.name: file.read_bytes() for file in (tmp_path / "c").iterdir()})
    assert whole[0] == whole[1]
    assert {"rewards.png", "rewards.svg"} < whole[0].keys()


def test_the_verb_refuses_with_exit_3(make, tmp_path, monkeypatch, capsys):
    paths = [make("a").path, make("b", screen=2).path]
    assert type_in(monkeypatch, *paths, "--out", tmp_path / "c") == 3
    assert "screen: 0 is not 2" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_bad_usage_is_one_clear_message(make, tmp_path, monkeypatch, capsys):
    out = tmp_path / "c"
    assert type_in(monkeypatch, "--out", out) == 2
    assert "name runs or sweeps, as in runs/a runs/b --out runs/c" in capsys.readouterr().err
    assert type_in(monkeypatch, "nowhere", "--out", out) == 2
    assert "nowhere: holds neither a run (manifest.json) nor a sweep" in capsys.readouterr().err
    run = make("a", episodes=9).path
    (tmp_path / "probe.json").write_text("{}")
    assert type_in(monkeypatch, run, "--out", out, "--probe", tmp_path / "probe.json") == 2
    assert "probe.json: no result of a probe; make one: python -m finetune probe" in (
        capsys.readouterr().err
    )
    out.write_text("")
    assert type_in(monkeypatch, run, "--out", out) == 2
    assert "c: is a file; name a directory" in capsys.readouterr().err


def test_a_sweep_that_has_begun_is_gathered(make, tmp_path, config):
    sweep = {"space": "configs/spaces/embedded.yaml", "seeds": 2, "evaluator": "trained"}
    arm = {"optimizer": "random", "episodes": 6}
    tasks = [config().scenario.model_dump(mode="json", exclude_none=True)]
    sweep |= {"scenarios": tasks, "arms": {"plain": arm, "other": arm}}
    (tmp_path / "sweep.yaml").write_text(json.dumps(sweep))
    with pytest.raises(Exception, match="no run has recorded anything yet"):
        gather([tmp_path])
    make("runs/test/plain/seed0")
    gathered = gather([tmp_path])
    assert [source.label for source in gathered.sources] == ["plain"]
    assert (gathered.missing, gathered.complete) == (3, False)


def test_an_interval_is_written_with_its_ends():
    assert f"{Interval(mean=0.5, low=0.1, high=0.9, n=24):.1f}" == "0.5 [0.1, 0.9]"
