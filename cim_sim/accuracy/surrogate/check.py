"""How far the surrogate can be trusted: every figure from rows that its fit never saw."""

from collections.abc import Callable, Iterable
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cim_sim.accuracy.bench import jobs as bench_jobs
from cim_sim.accuracy.bench.columns import KERNELS, NETWORK, families, kernel_pairs
from cim_sim.accuracy.surrogate import fit as surrogate_fit
from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.accuracy.surrogate.model import Fitted, ask, inputs_of, predictive_std, targets_of
from cim_sim.accuracy.surrogate.process import condition
from cim_sim.files import read_table
from cim_sim.intervals import bootstrap_groups
from cim_sim.types import Ints

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 10
"""Designs at one level of noise below which no rank correlation is taken there."""
RESAMPLES = 1000


def report(table: Path = surrogate.TABLE) -> dict[str, Any]:
    """Print the check of the committed fit and return its figures, those of a data set together.

    Rows are predicted from the other folds of families (networks of equal channels), the last
    round of found designs from all other rows.
    """
    fitted = surrogate.load(table=table).fitted
    rows = cross_predicted(surrogate.read_table(table), fitted)
    figures: dict[str, Any] = {}
    for name in surrogate.DATASETS:
        own = rows[rows["dataset"] == name]
        figures[name] = {**ranking(own), **errors(own), **swaps(own)}
    figures["found"] = found(table, fitted)
    for name, part in figures.items():
        for what, value in part.items():
            part[what] = _rounded(value)
            print(f"{name:7s} {what:26s} {part[what]}")
    return figures


def cross_predicted(rows: "pd.DataFrame", fitted: Fitted) -> "pd.DataFrame":
    """Table rows with columns `predicted` and `predicted_std` from folds that never saw them.

    The spread too is calibrated without the fold that it is used on.
    """
    means, stds = surrogate_fit.cross_fit(rows, fitted.fold_scales)
    truth, spread = rows["mean"].to_numpy(), np.zeros(len(rows))
    for _, held in surrogate_fit.held_out(rows):
        form = surrogate_fit.calibrated(truth[~held], means[~held], stds[~held])
        spread[held] = predictive_std(means[held], stds[held], form)
    alone, _ = surrogate_fit.cross_fit(rows, fitted.fold_scales, trees=False)
    return rows.assign(
        predicted=means,
        predicted_std=spread,
        predicted_without_trees=alone,
        family=families(rows),
    )


def standard(rows: "pd.DataFrame") -> "pd.DataFrame":
    """What searches ask: clipped weights, noise of the test matched in training, any ADC."""
    matched = rows["sigma"] == rows["training_sigma"]
    return rows[matched & rows["adc_levels"].notna() & rows["clip_rms"].notna()]


def repeated(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Networks trained with several seeds at one noise, under the common ADC.

    One row for each network and noise (`training_sigma`), the accuracies as columns by seed.
    """
    chosen, common = standard(rows), bench_jobs.COMMON_ADC
    chosen = chosen[(chosen["adc_levels"] == common.levels) & (chosen["adc_rows"] == common.rows)]
    index = ["training_sigma", "family", *NETWORK]
    wide = chosen.pivot_table(index=index, columns="seed", values="mean")
    predicted = chosen.groupby(index)["predicted"].first()
    return wide.assign(predicted=predicted).dropna().reset_index()


def ranking(rows: "pd.DataFrame") -> dict[str, Any]:
    """Kendall tau of predictions, and of other seeds, against a single-seed result.

    A mean over the levels of noise: within one, since variation moves accuracy more than designs.
    """
    from scipy.stats import kendalltau

    designs = repeated(rows)
    counts = designs.groupby("training_sigma")["predicted"].transform("count")
    designs = designs[counts >= FEWEST]
    seeds = [name for name in designs.columns if isinstance(name, int)]

    def mean(part: "pd.DataFrame", pairs: Iterable[tuple[Any, Any]]) -> float:
        every = product(part.groupby("training_sigma"), pairs)
        return float(np.nanmean([kendalltau(one[a], one[b])[0] for (_, one), (a, b) in every]))

    def predicted(part: "pd.DataFrame") -> float:
        return mean(part, [("predicted", seed) for seed in seeds])

    def reseeded(part: "pd.DataFrame") -> float:
        return mean(part, list(combinations(seeds, 2)))

    if len(seeds) < 2 or designs.empty:
        return {"kendall_tau": None, "seed_tau": None, "tau_designs": 0}
    return {
        **_with_interval("kendall_tau", designs, predicted),
        **_with_interval("seed_tau", designs, reseeded),
        "tau_designs": len(designs),
    }


def errors(rows: "pd.DataFrame") -> dict[str, Any]:
    """Error and coverage for a new single-seed result as searches ask, and over all tests."""
    single = standard(rows)

    def rmse(part: "pd.DataFrame", column: str = "predicted") -> float:
        return float(np.sqrt(np.mean((part[column] - part["mean"]) ** 2)))

    def coverage(part: "pd.DataFrame") -> float:
        inside = (part["predicted"] - part["mean"]).abs() <= 1.6449 * part["predicted_std"]
        return float(inside.mean())

    return {
        **_with_interval("rmse", single, rmse),
        "rmse_without_trees": rmse(single, "predicted_without_trees"),
        **_with_interval("coverage_90", single, coverage),
        "rows": len(single),
        "rmse_all_tests": rmse(rows),
        "coverage_90_all_tests": coverage(rows),
    }


def swaps(rows: "pd.DataFrame") -> dict[str, Any]:
    """How often the surrogate knows which of two networks, unlike in kernels alone, is better."""
    import pandas as pd

    parts = [swap_pairs(part) for _, part in repeated(rows).groupby("training_sigma")]
    if not parts:
        return {"swap_sign_accuracy": None, "swap_pairs": 0, "swap_pairs_all": 0}
    pairs = pd.concat(parts, ignore_index=True)
    clear = pairs[pairs["gap"].abs() > 2 * pairs["gap_se"]]
    right = np.sign(clear["gap"]) == np.sign(clear["predicted_gap"])
    return {
        "swap_sign_accuracy": float(right.mean()) if len(clear) else None,
        "swap_pairs": len(clear),
        "swap_pairs_all": len(pairs),
        "swap_pairs_of_one_kernel": int((clear["layer"] > 0).sum()),
    }


def swap_pairs(designs: "pd.DataFrame") -> "pd.DataFrame":
    """Pairs of `repeated` designs of which one has no smaller kernel: its gap over the other.

    `layer` is the one whose kernel differs, 0 where several do.

    The standard error pools the seed-to-seed variance over designs of similar accuracy, in thirds:
    three seeds tell too little about the variance of one, and in the middle of the range seeds
    differ twice as much as at its ends.
    """
    import pandas as pd

    designs = designs.reset_index(drop=True)
    seeds = [name for name in designs.columns if isinstance(name, int)]
    third = (3 * designs[seeds].mean(axis=1).rank(method="first", pct=True)).apply(np.ceil)
    pooled = designs[seeds].var(axis=1).groupby(third).transform("mean").to_numpy()
    means, predicted = designs[seeds].mean(axis=1).to_numpy(), designs["predicted"].to_numpy()
    records = []
    for family, group in designs.groupby("family"):
        for a, b, changed in kernel_pairs(group[KERNELS].to_numpy()):
            small, large = group.index[a], group.index[b]
            layer = int(changed[0]) + 1 if len(changed) == 1 else 0
            gap, guess = means[large] - means[small], predicted[large] - predicted[small]
            error = ((pooled[small] + pooled[large]) / len(seeds)) ** 0.5
            records.append((family, layer, gap, error, guess))
    return pd.DataFrame(records, columns=["family", "layer", "gap", "gap_se", "predicted_gap"])


def fresh(count: int, workers: int, table: Path = surrogate.TABLE, seed: int = 1) -> dict[str, Any]:
    """Train `count` new random designs at matched noise, and judge the committed fit on them."""
    from scipy.stats import kendalltau

    from cim_sim.accuracy.trained import measure_many

    model, queries = surrogate.load(table=table), bench_jobs.fresh(count, seed)
    truth = np.array([answer.mean for answer in measure_many(queries, None, workers)])
    mean, std = model.predict(queries)
    figures = {
        "fresh": count,
        "fresh_kendall_tau": float(kendalltau(mean, truth)[0]),
        "fresh_rmse": float(np.sqrt(np.mean((mean - truth) ** 2))),
        "fresh_bias": float(np.mean(mean - truth)),
        "fresh_coverage_90": float(np.mean(np.abs(mean - truth) <= 1.6449 * std)),
    }
    return {name: _rounded(value) for name, value in figures.items()}


def found(table: Path, fitted: Fitted) -> dict[str, Any]:
    """Error on the last round of designs that an optimiser found best under the surrogate."""
    every = read_table(table)
    last = standard(every[surrogate.examination(every)])
    if last.empty:
        return {"found_bias": None, "found_rmse": None, "found_designs": 0}
    rows = surrogate.read_table(table)
    process = condition(inputs_of(rows), targets_of(rows), fitted.scales)
    error = ask(process, inputs_of(last), with_std=False)[0][:, 0] - last["mean"].to_numpy()
    return {
        "found_bias": float(error.mean()),
        "found_rmse": float(np.sqrt(np.mean(error**2))),
        "found_designs": len(last),
    }


def _with_interval(
    name: str, rows: "pd.DataFrame", figure: Callable[["pd.DataFrame"], float]
) -> dict[str, Any]:
    """A figure of rows and its 95 % interval, resampling whole families."""

    def statistic(places: Ints) -> float:
        return figure(rows.iloc[places])

    found = bootstrap_groups(statistic, rows["family"], np.random.default_rng(0), RESAMPLES)
    return {name: found.mean, f"{name}_interval": (found.low, found.high)}


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, float):  # too few rows for a figure: null, which JSON can say
        return round(value, 4) if np.isfinite(value) else None
    return value
