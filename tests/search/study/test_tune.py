import pytest
import yaml

from cim_sim.config import UsageError, load
from search.commands.tune_baselines import tune_baselines
from search.optimizers import settings_of
from search.study import tune as tuning
from search.study.sweep import ArmSpec, FamilyPart, Tuned


@pytest.mark.parametrize("optimizer", tuning.CHOICES)
def test_candidates_are_valid_different_and_always_the_same(optimizer):
    found = tuning.candidates(optimizer)
    assert found[0] == {}
    assert len(found) == tuning.CANDIDATES
    assert found == tuning.candidates(optimizer)
    for one in found:
        settings_of(optimizer, one)
    assert all(one not in found[:place] for place, one in enumerate(found))


def test_only_rivals_with_choices_are_tuned(tmp_path):
    with pytest.raises(
        UsageError, match="random is not tuned; choose from reinforce, marl, genetic, tpe"
    ):
        tuning.tune("random", tmp_path, 1, tmp_path / "cache")


@pytest.mark.slow
def test_the_best_of_the_second_round_is_written_and_read_by_a_sweep(tmp_path, monkeypatch, capsys):
    choices = {"population_size": (4, 8), "mutation_prob": (None, 0.2)}
    monkeypatch.setattr(tuning, "CHOICES", {"genetic": choices})
    monkeypatch.setattr(tuning, "CANDIDATES", 3)
    monkeypatch.setattr(tuning, "FINALISTS", 2)
    monkeypatch.setattr(tuning, "EPISODES", {"genetic": 24})
    monkeypatch.setattr(tuning, "FIRST_ROUND", FamilyPart(split="train", count=1))
    monkeypatch.setattr(tuning, "SECOND_ROUND", FamilyPart(split="train", first=1, count=1))
    options = {"out": tmp_path / "tune", "into": tmp_path, "cache": tmp_path / "cache"}
    assert tune_baselines(**options) == 0
    *_, first = capsys.readouterr().out.splitlines()  # runs before it end in any order
    file = tmp_path / "genetic.yaml"
    assert file.read_text().startswith("# Found by `python -m search tune-baselines`: mean regret")
    tuned = load(file, Tuned)
    assert tuned.settings.keys() >= {"population_size", "crossover_prob"}
    arm = {"optimizer": "genetic", "episodes": 5, "settings": str(file)}
    assert ArmSpec.model_validate(arm).settings == tuned.settings
    with pytest.raises(ValueError, match="is for optimizer genetic"):
        ArmSpec.model_validate({**arm, "optimizer": "tpe"})
    assert len(list((tmp_path / "tune").glob("genetic/first/runs/*/*/seed0"))) == 3
    assert len(list((tmp_path / "tune").glob("genetic/second/runs/*/*/seed0"))) == 2
    assert tune_baselines(**options) == 0
    assert capsys.readouterr().out.splitlines()[-1] == first
    kept = yaml.safe_load((tmp_path / "tune" / "genetic" / "first" / "sweep.yaml").read_text())
    assert kept["arms"]["candidate0"]["settings"] == {}
