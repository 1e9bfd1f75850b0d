"""A warm start: who proposes what, and that the second one knows the first one's results."""

import json

import pytest

from cim_sim.config import UsageError
from search.optimizers import model_of, settings_of
from search.optimizers.warm import heard
from search.record.adapter import Lineage
from search.record.runs import read_run
from search.study.family import tasks

LOOKUP = {"first": {"optimizer": "lookup"}, "episodes": 4}


def designs(trials):
    return [trial.design for trial in trials]


@pytest.mark.parametrize("then", ["greybox", "informed", "tpe"])
def test_the_first_episodes_are_the_first_ones_and_none_is_repeated_where_costs_are_known(
    run_of, tmp_path, then
):
    settings = {**LOOKUP, "then": {"optimizer": then}}
    warm = run_of(tmp_path / "warm", optimizer="warm", settings=settings, episodes=10)
    alone = run_of(tmp_path / "alone", optimizer="lookup", episodes=10)
    assert designs(warm)[:4] == designs(alone)[:4]
    assert designs(warm)[4:] != designs(alone)[4:]
    if then != "tpe":
        assert len(set(designs(warm))) == 10


def test_the_second_one_has_learnt_from_the_first(run_of, tmp_path):
    """After ten results of a lookup greybox models accuracy at once, and draws nothing."""
    then = {"optimizer": "greybox", "settings": {"n_startup_trials": 6}}
    settings = {"first": {"optimizer": "random"}, "episodes": 8, "then": then}
    warm = run_of(tmp_path / "warm", optimizer="warm", settings=settings, episodes=10)
    cold = run_of(tmp_path / "cold", optimizer="greybox", settings=then["settings"], episodes=2)
    assert designs(warm)[8:] != designs(cold)


def test_settings_of_both_are_spelt_out_and_a_model_is_found_in_the_first(config, run_of, tmp_path):
    run_of(tmp_path / "run", optimizer="warm", settings=LOOKUP, episodes=1)
    stored = read_run(tmp_path / "run").config.settings
    assert stored["then"]["settings"]["n_startup_trials"] == 10
    assert stored["first"]["settings"]["nearest"] == 20
    (tmp_path / "replies.txt").write_text("[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]\n")
    model = {"name": "parrot", "script": str(tmp_path / "replies.txt")}
    first = {"optimizer": "llm", "settings": {"model": model}}
    wanted = config(optimizer="warm", settings={"first": first, "episodes": 2})
    assert model_of(wanted).name == "parrot"
    trials = run_of(tmp_path / "llm", optimizer="warm", settings=wanted.settings, episodes=4)
    assert designs(trials)[0] == designs(trials)[1] != designs(trials)[2]
    assert settings_of("warm", {}).first.optimizer == "lookup"


def test_what_the_screening_passes_over_is_no_episode_of_the_first(run_of, tmp_path):
    """On this tight task half of what is recalled is not feasible for free."""
    settings = {**LOOKUP, "then": {"optimizer": "informed"}}
    (task,) = tasks("tight", 1, first=18)
    shared = {"scenario": task.scenario, "space": task.space, "screen": 8, "episodes": 6}
    warm = run_of(tmp_path / "warm", optimizer="warm", settings=settings, **shared)
    alone = run_of(tmp_path / "alone", optimizer="lookup", **shared)
    assert sum(trial.screened for trial in alone[:4]) > 0
    assert designs(warm)[:4] == designs(alone)[:4]
    assert designs(warm)[4] != designs(alone)[4]


def test_a_model_goes_on_and_is_shown_what_the_first_one_found(config, run_of, tmp_path):
    (tmp_path / "replies.txt").write_text("[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]\n")
    model = {"name": "parrot", "script": str(tmp_path / "replies.txt")}
    then = {"optimizer": "llm", "settings": {"model": model}}
    settings = {**LOOKUP, "then": then}
    trials = run_of(tmp_path / "run", optimizer="warm", settings=settings, episodes=6, batch=3)
    alone = run_of(tmp_path / "alone", optimizer="lookup", episodes=6)
    assert designs(trials) == designs(alone), "the first has two whole batches"
    trials = run_of(tmp_path / "more", optimizer="warm", settings=settings, episodes=6)
    run = read_run(tmp_path / "more")
    assert designs(trials)[:4] == designs(alone)[:4]
    assert [exchange.step for exchange in run.exchanges] == [4, 5], "steps are those of the trials"
    asked = json.dumps(run.exchanges[0].request["messages"])
    assert all(str(trial.design.wire()).replace(" ", "") in asked for trial in trials[:4])
    assert model_of(config(optimizer="warm", settings=settings)).name == "parrot"
    with pytest.raises(UsageError, match="a run has one language model"):
        settings_of("warm", {"first": {**then}, "then": then})
    judge = {"optimizer": "ranked", "settings": {"model": model}}
    with pytest.raises(UsageError, match="a run has one language model"):
        settings_of("warm", {"first": judge, "then": then})
    with pytest.raises(UsageError, match="warm begins with another optimiser, not with itself"):
        settings_of("warm", {"first": {"optimizer": "warm"}})


def test_a_model_is_heard_where_it_was_trained_near_by():
    def proposals(distance, **settings):
        lineage = Lineage(adapter=None, nearest=("train-0007", distance))
        return heard(lineage, settings_of("warm", {"episodes": 7, **settings}))

    assert proposals(9.0) == 7
    assert proposals(3.4, trust=3.4) == 7
    assert proposals(3.5, trust=3.4) == 0
    with pytest.raises(UsageError, match=r"trust: 3\.4 asks how near llm was trained"):
        heard(None, settings_of("warm", {"first": {"optimizer": "llm"}, "trust": 3.4}))


def test_trust_in_what_has_no_record_is_refused(run_of, tmp_path):
    with pytest.raises(UsageError, match="only a model tuned here has on record; leave trust out"):
        run_of(tmp_path / "run", optimizer="warm", settings={**LOOKUP, "trust": 1.0})
