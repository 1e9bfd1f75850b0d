"""The surrogate: its algebra, what it refuses, and that its check measures what it says."""

import json

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from cim_sim.accuracy import Adc, Query
from cim_sim.accuracy.bench.columns import families
from cim_sim.accuracy.bench.jobs import fresh
from cim_sim.accuracy.surrogate import check as surrogate_check
from cim_sim.accuracy.surrogate import fit as surrogate_fit
from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.accuracy.surrogate import process
from cim_sim.accuracy.surrogate.features import Inputs, features, of_queries
from cim_sim.config import UsageError

LAYERS = ((8, 3), (8, 3), (16, 5), (16, 3), (32, 1), (32, 3))


def query(**changes):
    base = {"layers": LAYERS, "dataset": "shapes", "training_sigma": 0.1, "sigma": 0.1}
    base |= {"adc": Adc(levels=32, rows=128)}
    return Query.model_validate({**base, **changes})


@pytest.fixture(scope="module")
def committed():
    return surrogate.load()


def random_inputs(count, seed=0):
    rng = np.random.default_rng(seed)
    sigma = rng.choice([0.05, 0.1, 0.2], count)
    ones = np.ones(count)
    channels, kernels = rng.choice([4, 8, 16, 32], (count, 6)), rng.choice([1, 3, 5, 7], (count, 6))
    return Inputs(channels, kernels, sigma, sigma, 0 * ones, 0 * ones, 32 * ones, 128 * ones)


def test_a_batch_is_predicted_as_one_by_one(committed):
    inputs = random_inputs(300)
    names = ("channels", "kernels", "sigma", "training_sigma")
    adc = {"adc_levels": 32, "adc_rows": 128}
    whole = committed.predict_arrays(*(getattr(inputs, name) for name in names), **adc)
    single = committed.predict_arrays(*(getattr(inputs, name)[7:8] for name in names), **adc)
    np.testing.assert_allclose([part[7] for part in whole], [part[0] for part in single], rtol=1e-6)


def test_queries_and_arrays_agree_and_carry_a_predictive_std(committed):
    channels, kernels = np.array([LAYERS]).transpose(2, 0, 1)
    asked = [query(), query(dataset="digits"), query(recipe={"clip_rms": None})]
    means, stds = committed.predict(asked)
    for place, changes in enumerate(({}, {"dataset": "digits"}, {"unclipped": True})):
        mean, std = committed.predict_arrays(
            channels, kernels, 0.1, 0.1, adc_levels=32, adc_rows=128, **changes
        )
        assert (means[place], stds[place]) == pytest.approx((mean[0], std[0]))
    assert len(set(means.round(4))) == 3
    asked, mean, std = asked[0], means[0], stds[0]
    (answer,) = committed.answer([asked])
    assert (answer.mean, answer.predictive_std) == pytest.approx((mean, std))
    assert std > 0
    assert answer.clean is None
    assert 0 <= answer.quantile_10 <= answer.mean
    assert committed.answer([]) == []


def test_more_variation_never_pays_on_average(committed):
    inputs = random_inputs(200)
    low, high = (
        committed.predict_arrays(
            inputs.channels, inputs.kernels, sigma, 0.05, adc_levels=0, adc_rows=0
        )[0].mean()
        for sigma in (0.05, 0.2)
    )
    assert low > high + 0.1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"dataset": "digits-16"}, "dataset digits-16"),
        ({"recipe": {"clip_rms": 2.0}}, "recipe.clip_rms 2.0"),
        ({"recipe": {"epochs": 20}}, "recipe.epochs 20"),
        ({"images": "exam"}, "images of the exam"),
        ({"layers": ((64, 3), *LAYERS[1:])}, "layer 1: 64 channels, kernel 3"),
        ({"sigma": 0.3}, "sigma 0.3, trained at 0.1"),
        ({"recipe": {"weight_bits": 5}}, "recipe.weight_bits 5"),
        ({"state_dependence": "evaxb-rram4"}, "state dependence evaxb-rram4"),
        ({"layers": LAYERS[:5]}, "5 convolutions"),
        ({"recipe": {"clip_rms": None}, "dataset": "digits"}, "weights that are not clipped"),
        (
            {"recipe": {"clip_rms": None}, "adc": {"levels": 16, "rows": 128}},
            "weights that are not clipped",
        ),
        ({"dataset": "digits", "training_sigma": 0.0}, "digits trained at sigma 0.0"),
    ],
)
def test_what_the_table_does_not_cover_is_refused(committed, changes, fault):
    with pytest.raises(UsageError, match=f"{fault}.*Use the evaluator `trained`"):
        committed.predict([query(**changes)])


def test_fit_and_table_must_belong_together(tmp_path):
    table = tmp_path / "trainings.parquet"
    pd.read_parquet(surrogate.TABLE).head(8).to_parquet(table)
    with pytest.raises(
        UsageError, match=r"was not fitted to .*take that one, or fit it to the new"
    ):
        surrogate.load(table=table)
    with pytest.raises(UsageError, match=r"nowhere\.parquet: No such file.*bench-accuracy"):
        surrogate.load(table=tmp_path / "nowhere.parquet")


def test_images_of_another_size_never_teach(tmp_path):
    """Their rows would pass for those of 16x16 images."""
    table = tmp_path / "trainings.parquet"
    rows = pd.read_parquet(surrogate.TABLE).head(8)
    rows.assign(dataset="shapes-32").to_parquet(table)
    with pytest.raises(UsageError, match=r"holds rows of shapes-32, but .* shapes and digits alon"):
        surrogate_fit.refit(table, tmp_path / "surrogate.json")


def test_threads_do_not_move_a_digit():
    inputs = random_inputs(900)
    targets = np.random.default_rng(2).normal(size=(900, 3))
    count = features(inputs).shape[1]
    scales = process.Scales(length_scales=(8.0,) * count, signal=1.0, noise=1e-2)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            fitted = process.condition(inputs, targets, scales)
            found.append(fitted.predict(inputs))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_coarser_converter_and_fewer_levels_never_help_on_average(committed):
    inputs = random_inputs(200)
    names = ("channels", "kernels", "sigma", "training_sigma")
    coarse, fine = (
        committed.predict_arrays(
            *(getattr(inputs, name) for name in names), adc_levels=levels, adc_rows=128
        )[0].mean()
        for levels in (16, 128)
    )
    assert coarse < fine


def test_the_process_is_the_textbook_one_where_every_row_spans_it():
    inputs = random_inputs(60)
    targets = np.random.default_rng(3).normal(size=(60, 3))
    rows = features(inputs)
    spread = rows.std(0)
    scaled = (rows - rows.mean(0)) / np.where(spread == 0, 1, spread) / 5
    square = np.square(scaled[:, None] - scaled[None]).sum(2)
    kernel = 0.8 * np.exp(-0.5 * square)
    inverse = np.linalg.inv(kernel + 0.1 * np.eye(60))
    variance = 0.8 - np.einsum("nm,mk,nk->n", kernel, inverse, kernel)

    scales = process.Scales(length_scales=(5.0,) * rows.shape[1], signal=0.8, noise=0.1)
    mean, std = process.condition(inputs, targets, scales).predict(inputs)
    standard = (targets - targets.mean(0)) / targets.std(0)
    smooth = kernel @ inverse @ standard * targets.std(0) + targets.mean(0)
    np.testing.assert_allclose(mean[:, 1:], smooth[:, 1:], atol=1e-4)
    np.testing.assert_allclose(std, np.sqrt(variance) * targets[:, 0].std(), rtol=1e-4)


def test_the_process_learns_a_smooth_function_and_doubts_itself_where_it_saw_nothing():
    inputs = random_inputs(400)
    truth = np.tanh(np.log2(inputs.channels).mean(1) - 3) - 2 * inputs.sigma
    count = features(inputs).shape[1]
    scales = process.Scales(length_scales=(8.0,) * count, signal=1.0, noise=1e-3)
    fitted = process.condition(inputs[:300], np.stack([truth] * 3, 1)[:300], scales)
    mean, std = fitted.predict(inputs[300:])
    assert np.corrcoef(mean[:, 0], truth[300:])[0, 1] > 0.97
    strange = Inputs(*(np.array(getattr(inputs, f))[:1] for f in inputs.__dataclass_fields__))
    strange.kernels[:] = 7
    strange.channels[:] = 2
    assert fitted.predict(strange)[1][0] > 2 * np.median(std)


def test_accuracies_come_back_from_logits_with_their_own_spread():
    """Near the ceiling a step of a logit is a small step of accuracy."""
    accuracy = np.array([0.1, 0.5, 0.9, 0.999])
    latent = surrogate.logits(accuracy)

    class Known:
        def __init__(self, shift=0.0):
            self.latent = latent + shift

        def predict(self, inputs, with_std):
            return np.stack([self.latent, 0 * latent, latent], axis=1), np.full(4, 0.1)

    found, std = surrogate.ask(Known(), None)
    np.testing.assert_allclose(found, np.stack([accuracy, 0 * accuracy, accuracy], axis=1))
    step = surrogate.ask(Known(1e-6), None)[0][:, 0] - accuracy
    np.testing.assert_allclose(std, 0.1 * step / 1e-6, rtol=1e-4)


def test_the_gradient_of_the_likelihood_is_right():
    rng = np.random.default_rng(0)
    columns, answers = rng.normal(size=(20, 3)), rng.normal(size=20)
    square = np.stack([np.subtract.outer(one, one) ** 2 for one in columns.T])
    logs = np.array([0.3, 0.1, 0.5, 0.2, -1.0])
    _, slope = surrogate_fit.surprise(logs, square, answers)
    steps = 1e-5 * np.eye(5)
    numeric = [
        (
            surrogate_fit.surprise(logs + step, square, answers)[0]
            - surrogate_fit.surprise(logs - step, square, answers)[0]
        )
        / 2e-5
        for step in steps
    ]
    np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-6)


def test_calibration_covers_nine_in_ten_where_noise_depends_on_accuracy():
    rng = np.random.default_rng(1)
    means, stds = rng.uniform(0.1, 0.8, 4000), rng.uniform(0.01, 0.05, 4000)
    real = 0.5 * stds + 0.05 * means
    truth = means + real * rng.standard_normal(4000)
    spread = surrogate_fit.calibrated(truth, means, stds)
    claimed = surrogate.predictive_std(means, stds, spread)
    assert np.mean(np.abs(truth - means) <= 1.6449 * claimed) == pytest.approx(0.9, abs=0.002)
    assert np.corrcoef(claimed, real)[0, 1] > 0.97


def rows_of(networks, seeds=(0, 1, 2), gap=0.1):
    """Table rows of networks at .1 matched; accuracy grows by `gap` with each larger kernel."""
    records = []
    for layers in networks:
        named = {f"channels_{n}": c for n, (c, _) in enumerate(layers, 1)}
        named |= {f"kernel_{n}": k for n, (_, k) in enumerate(layers, 1)}
        mean = 0.3 + gap * sum(k > 1 for _, k in layers)
        for seed in seeds:
            records.append(
                {
                    **named,
                    "origin": "pair",
                    "dataset": "shapes",
                    "clip_rms": 2.5,
                    "training_sigma": 0.1,
                    "sigma": 0.1,
                    "adc_levels": 32,
                    "adc_rows": 128,
                    "seed": seed,
                    "mean": mean + 0.001 * seed,
                    "predicted": mean,
                }
            )
    rows = pd.DataFrame(records)
    alone = {"predicted_without_trees": rows["predicted"] + 0.02}
    return rows.assign(family=families(rows), predicted_std=0.01, **alone)


def test_swap_pairs_grow_in_kernels_alone_and_point_to_the_larger():
    base = ((8, 1),) * 6
    swapped = ((8, 3), *base[1:])
    other = ((8, 1), (8, 3), *base[2:])
    twice = ((8, 3), (8, 3), *base[2:])
    rows = rows_of([base, swapped, other, twice])
    pairs = surrogate_check.swap_pairs(surrogate_check.repeated(rows))
    assert sorted(pairs["layer"]) == [0, 1, 1, 2, 2], "swapped and other are no pair"
    assert pairs.groupby("layer")["gap"].first().tolist() == pytest.approx([0.2, 0.1, 0.1])
    assert surrogate_check.swaps(rows) == {
        "swap_sign_accuracy": 1.0,
        "swap_pairs": 5,
        "swap_pairs_all": 5,
        "swap_pairs_of_one_kernel": 4,
    }


def test_kernel_swaps_of_one_network_share_a_fold_and_new_rows_move_none():
    rows = rows_of([((8, k), *((4, 3),) * 5) for k in (1, 3, 5)] + [((16, 3),) * 6])
    fold = surrogate_fit.folds(rows)
    assert len(set(fold[:9])) == 1
    np.testing.assert_array_equal(surrogate_fit.folds(rows[4:]), fold[4:])


def test_only_the_last_round_of_found_designs_examines():
    rows = pd.DataFrame({"origin": ["random", "found 1", "found 2", "pair", "found 2"]})
    assert surrogate.examination(rows).tolist() == [False, False, True, False, True]
    assert not surrogate.examination(rows[:1]).any()


def test_the_next_round_is_searched_with_all_rows(tmp_path):
    pd.DataFrame({"origin": ["random", "found 1", "found 2"]}).to_parquet(tmp_path / "table")
    assert surrogate.read_table(tmp_path / "table")["origin"].tolist() == ["random", "found 1"]
    assert len(surrogate.read_table(tmp_path / "table", examined=True)) == 3


def test_designs_without_every_seed_are_not_ranked():
    one, other = ([((8, k),) * 6 for k in kernels] for kernels in ((1, 3, 5), (7,)))
    rows = pd.concat([rows_of(one, seeds=(0,)), rows_of(other, seeds=(1,))], ignore_index=True)
    assert surrogate_check.ranking(rows) == {
        "kendall_tau": None,
        "seed_tau": None,
        "tau_designs": 0,
    }


def test_errors_report_bias_free_rows_as_exact():
    rows = rows_of([((8, k),) * 6 for k in (1, 3)], seeds=(0,))
    figures = surrogate_check.errors(rows)
    assert figures["rmse"] == pytest.approx(0)
    assert figures["rmse_without_trees"] == pytest.approx(0.02)
    assert figures["coverage_90"] == 1


def test_fresh_questions_are_new_matched_and_reproducible():
    queries = fresh(12, seed=1)
    assert queries == fresh(12, seed=1) != fresh(12, seed=2)
    assert all(one.sigma == one.training_sigma > 0 for one in queries)
    assert len(of_queries(queries)) == 12


def test_the_committed_fit_is_plain_numbers():
    record = json.loads(surrogate.FITTED.read_text())
    count = features(random_inputs(2)).shape[1]
    assert len(record["scales"]["length_scales"]) == count
    assert len(record["fold_scales"]) == surrogate_fit.FOLDS
