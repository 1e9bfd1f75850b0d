"""Real trainings, small ones: learning, determinism, cache, processes."""

import sqlite3
from contextlib import closing
from threading import Timer

import pytest

from cim_sim.accuracy import Adc, Query, cache, trained
from cim_sim.accuracy.images import load as images_of
from cim_sim.config import UsageError

SMALL = ((8, 3), (8, 3), (8, 1), (8, 3), (8, 1), (16, 3))


def query(**changes):
    base = {
        "layers": SMALL,
        "dataset": "digits",
        "hidden": 32,
        "recipe": {"epochs": 1, "draws": 3},
        "training_sigma": 0.05,
        "sigma": 0.05,
    }
    return Query.model_validate({**base, **changes})


def test_training_learns_and_variation_hurts():
    recipe = {"epochs": 4, "draws": 4, "batch_size": 50}
    mild, wild = trained.measure_group([query(recipe=recipe, sigma=s) for s in (0.0, 0.4)])
    assert mild.mean == mild.clean == mild.quantile_10 > 0.5
    assert mild.std == 0
    assert wild.clean == mild.clean > wild.mean + 0.1
    assert wild.quantile_10 <= wild.mean
    assert wild.standard_error == pytest.approx(wild.std / 2)


def test_five_steps_are_enough_and_single_images_are_refused():
    count = len(images_of("digits").train.images)
    answer = trained.measure(query(recipe={"epochs": 5, "batch_size": count, "draws": 2}))
    assert 0 <= answer.mean <= 1
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        query(recipe={"batch_size": 1})


def test_the_same_query_gives_the_same_answer_whatever_ran_before():
    first = trained.measure(query())
    other = trained.measure(query(seed=1))
    again = trained.measure_group([query(sigma=0.2), query()])[1]
    assert first == again
    assert first != other


def test_a_cached_answer_is_not_trained_again(tmp_path, monkeypatch):
    file = tmp_path / "deep" / "accuracy.sqlite"
    first = trained.measure(query(), file)
    monkeypatch.setattr(trained, "_network", lambda *_: pytest.fail("trained again"))
    assert trained.measure(query(), file) == first


def test_a_kept_network_answers_other_sigmas_as_a_new_training_would(tmp_path, monkeypatch):
    file = tmp_path / "accuracy.sqlite"
    trained.measure(query(), file)
    changes = {"sigma": 0.2, "adc": Adc(levels=16, rows=64), "state_dependence": "evaxb-rram4"}
    fresh = trained.measure(query(**changes))
    from cim_sim.accuracy import training

    monkeypatch.setattr(training, "train", lambda *_: pytest.fail("trained again"))
    assert trained.measure(query(**changes), file) == fresh


def test_old_networks_make_room_and_answers_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "NETWORKS_KEPT", 2)
    file = tmp_path / "accuracy.sqlite"
    for seed in range(3):
        asked = query(seed=seed)
        cache.store_network(file, asked, {})
        cache.store(file, asked, trained.measure(query()))
    kept = [cache.find_network(file, query(seed=seed)) is not None for seed in range(3)]
    assert kept == [False, True, True]
    assert cache.find(file, query(seed=0)) is not None


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tmp_path):
    queries = [query(seed=seed, sigma=sigma) for seed in (0, 1) for sigma in (0.05, 0.1)]
    queries.append(queries[0])
    one = trained.measure_many(queries, None, workers=1)
    two = trained.measure_many(queries, tmp_path / "accuracy.sqlite", workers=2)
    assert one == two
    assert one[0] == one[4]


def test_quantised_networks_train_too():
    recipe = {
        "epochs": 4,
        "batch_size": 50,
        "draws": 2,
        "weight_bits": 5,
        "activation_bits": 5,
        "clip_rms": 2.5,
    }
    assert trained.measure(query(recipe=recipe, sigma=0.0)).mean > 0.3


def test_a_file_that_is_no_cache_is_named(tmp_path):
    file = tmp_path / "accuracy.sqlite"
    file.write_text("not a database, long enough to be looked at by SQLite, really" * 10)
    with pytest.raises(UsageError, match=r"accuracy\.sqlite: file is not a database"):
        trained.measure(query(), file)


def test_the_cache_holds_the_whole_question(tmp_path):
    file = tmp_path / "accuracy.sqlite"
    trained.measure(query(), file)
    with sqlite3.connect(file) as connection:
        ((stored,),) = connection.execute("SELECT query FROM answers").fetchall()
    assert Query.model_validate_json(stored) == query()


def test_a_new_cache_waits_for_another_process_that_makes_it(tmp_path):
    file = tmp_path / "accuracy.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as holder:
        holder.execute("CREATE TABLE other (id INTEGER)")
        holder.execute("BEGIN IMMEDIATE")
        Timer(0.3, holder.rollback).start()
        assert cache.find(file, query()) is None


def test_a_locked_cache_is_waited_for_and_then_named(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PATIENCE_SECONDS", 0.2)
    file = tmp_path / "accuracy.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UsageError, match=r"accuracy\.sqlite: database is locked$"):
            cache.find(file, query())
