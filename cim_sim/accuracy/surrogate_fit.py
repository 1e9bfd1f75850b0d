"""Fits the surrogate: length scales by marginal likelihood, spread by cross-fitting."""

import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cim_sim.accuracy import surrogate
from cim_sim.accuracy.features import Floats, Ints, features
from cim_sim.accuracy.surrogate import Fitted, Scales, condition, inputs_of, targets_of

if TYPE_CHECKING:
    import pandas as pd

SUBSET = 800
"""Rows on which length scales are found: cost grows with their cube."""
FOLDS = 5
USELESS = 300.0
"""Length scale at which a feature no longer matters."""
LEAST_STD = 0.004


def refit(table: Path = surrogate.TABLE, path: Path = surrogate.FITTED) -> Path:
    """Fit to the teaching rows of `table` and write the result beside the code."""
    rows = surrogate.read_table(table)
    fold = folds(rows)
    fold_scales = tuple(likeliest(rows[fold != number]) for number in range(FOLDS))
    means, stds = cross_fit(rows, fold_scales)
    fitted = Fitted(
        table_digest=surrogate.table_digest(table.read_bytes()),
        scales=likeliest(rows),
        fold_scales=fold_scales,
        spread=calibrated(rows["mean"].to_numpy(), means, stds),
    )
    record = fitted.model_dump(mode="json")
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def likeliest(rows: "pd.DataFrame", seed: int = 0) -> Scales:
    """Length scale of each feature, signal and noise, by marginal likelihood on a subset."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    columns = features(inputs_of(rows))
    spread = columns.std(0)
    columns = (columns - columns.mean(0)) / np.where(spread == 0, 1, spread)
    answers = targets_of(rows)[:, 0]
    answers = (answers - answers.mean()) / answers.std()
    chosen = np.random.default_rng(seed).permutation(len(rows))[:SUBSET]
    start = np.full(columns.shape[1], columns.shape[1] ** 0.5)
    kernel = ConstantKernel(1.0, (0.05, 50)) * RBF(start, (0.3, USELESS)) + WhiteKernel(0.02)
    process = GaussianProcessRegressor(kernel, random_state=seed)
    with warnings.catch_warnings():  # a feature without use ends at the upper bound: as it should
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(columns[chosen], answers[chosen])
    product, white = process.kernel_.k1, process.kernel_.k2
    return Scales(
        length_scales=tuple(round(float(one), 4) for one in product.k2.length_scale),
        signal=round(float(product.k1.constant_value), 5),
        noise=round(float(white.noise_level), 6),
    )


def families(rows: "pd.DataFrame") -> NDArray[np.str_]:
    """Networks of equal channels: kernel swaps of one network never lie in different folds."""
    names = rows[[f"channels_{n}" for n in range(1, 7)]].astype(str).agg("-".join, axis=1)
    return names.to_numpy(str)


def folds(rows: "pd.DataFrame") -> Ints:
    """Fold of each row, decided by its family alone, so that new rows move none."""
    digests = {name: hashlib.sha256(name.encode()).digest()[0] for name in set(families(rows))}
    return np.array([digests[name] % FOLDS for name in families(rows)])


def cross_fit(rows: "pd.DataFrame", fold_scales: Sequence[Scales]) -> tuple[Floats, Floats]:
    """Predict each row from the other folds: (mean, the process's own std), both [rows]."""
    inputs, targets, fold = inputs_of(rows), targets_of(rows), folds(rows)
    means, stds = np.zeros(len(rows)), np.zeros(len(rows))
    for number, scales in enumerate(fold_scales):
        held = fold == number
        process = condition(inputs[~held], targets[~held], scales)
        predicted, stds[held] = process.predict(inputs[held])
        means[held] = np.clip(predicted[:, 0], 0, 1)
    return means, stds


def calibrated(truth: Floats, means: Floats, stds: Floats) -> tuple[float, ...]:
    """Find `spread` of `surrogate.predictive_std`: likeliest form, then exact 90 % coverage."""
    from scipy.optimize import minimize

    error = truth - means

    def surprise(spread: Floats) -> float:
        std = np.maximum(surrogate.predictive_std(means, stds, spread), LEAST_STD)
        return float(np.mean(np.log(std) + 0.5 * (error / std) ** 2))

    best = minimize(surprise, np.array([-1.0, 0.5, 0.0, 0.0]), method="Nelder-Mead").x
    std = surrogate.predictive_std(means, stds, best)
    best[0] += np.log(np.quantile(np.abs(error) / std, 0.9) / 1.6449)
    return tuple(round(float(one), 5) for one in best)
