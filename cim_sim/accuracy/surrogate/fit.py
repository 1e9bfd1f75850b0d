"""Fits the surrogate: length scales by their posterior, spread by cross-fitting."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cim_sim.accuracy.bench.columns import families
from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.accuracy.surrogate.features import features
from cim_sim.accuracy.surrogate.model import Fitted, ask, inputs_of, targets_of
from cim_sim.accuracy.surrogate.process import Scales, condition
from cim_sim.files import write_whole
from cim_sim.paths import readable
from cim_sim.types import Bools, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

SUBSET = 800
"""Rows on which length scales are found: cost grows with their cube."""
FOLDS = 5
PRIOR_STD = 0.7
"""Of the logarithm of a length scale around that of equally useful features."""
LEAST_STD = 0.004


def refit(table: Path = surrogate.TABLE, path: Path = surrogate.FITTED) -> Path:
    """Fit to the teaching rows of `table` and write the result beside the code."""
    rows = surrogate.read_table(table)
    fold = folds(rows)
    fold_scales = tuple(likeliest(rows[fold != number]) for number in range(FOLDS))
    means, stds = cross_fit(rows, fold_scales)
    fitted = Fitted(
        table_digest=surrogate.table_digest(readable(table).read_bytes()),
        scales=likeliest(rows),
        fold_scales=fold_scales,
        spread=calibrated(rows["mean"].to_numpy(), means, stds),
    )
    record = fitted.model_dump(mode="json")
    write_whole(path, json.dumps(record, indent=1) + "\n")
    return path


def likeliest(rows: "pd.DataFrame", seed: int = 0) -> Scales:
    """Length scale of each feature, signal and noise: maximum a posteriori on a subset of rows.

    Without the prior, 43 free length scales overfit a table of a few hundred rows.
    """
    from scipy.optimize import minimize

    chosen = np.random.default_rng(seed).permutation(len(rows))[:SUBSET]
    columns, answers = _standard(features(inputs_of(rows))), targets_of(rows)[:, 0]
    answers = (answers - answers.mean()) / answers.std()
    count = columns.shape[1]
    typical = 0.5 * np.log(count)
    square = np.stack([np.subtract.outer(one, one) ** 2 for one in columns[chosen].T])

    def cost(logs: Floats) -> tuple[float, Floats]:
        loss, slope = surprise(logs, square, answers[chosen])
        away = (logs[:count] - typical) / PRIOR_STD
        slope[:count] += away / PRIOR_STD
        return loss + 0.5 * float(away @ away), slope

    start = np.array([typical] * count + [0.0, -3.0])
    bounds = [(-1.0, 6.0)] * count + [(-4.0, 4.0), (-8.0, 1.0)]
    best = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Scales(
        length_scales=tuple(round(float(one), 4) for one in np.exp(best[:count])),
        signal=round(float(np.exp(best[count])), 5),
        noise=round(float(np.exp(best[count + 1])), 6),
    )


def surprise(logs: Floats, square: Floats, answers: Floats) -> tuple[float, Floats]:
    """Negative log marginal likelihood and its gradient (Rasmussen & Williams, eq. 5.8, 5.9).

    Args:
        logs: logarithms of the length scales, the signal and the noise variance.
        square: [features, N, N], squared differences.
        answers: [N], standardised.
    """
    weights, signal, noise = np.exp(-2 * logs[:-2]), np.exp(logs[-2]), np.exp(logs[-1])
    smooth = signal * np.exp(-0.5 * np.tensordot(weights, square, 1))
    inverse = np.linalg.inv(smooth + noise * np.eye(len(answers)))
    solved = inverse @ answers
    outer = np.outer(solved, solved) - inverse
    steep = outer * smooth
    lengths = -0.5 * weights * (square.reshape(len(weights), -1) @ steep.ravel())
    slope = np.array([*lengths, -0.5 * steep.sum(), -0.5 * noise * np.trace(outer)])
    return 0.5 * float(answers @ solved - np.linalg.slogdet(inverse)[1]), slope


def _standard(columns: Floats) -> Floats:
    spread = columns.std(0)
    scaled: Floats = (columns - columns.mean(0)) / np.where(spread == 0, 1, spread)
    return scaled


def folds(rows: "pd.DataFrame") -> Ints:
    """Fold of each row, decided by its family alone, so that new rows move none.

    Kernel swaps of one network never lie in different folds.
    """
    digests = (hashlib.sha256(name.encode()).digest()[0] for name in families(rows))
    return np.array([digest % FOLDS for digest in digests])


def held_out(rows: "pd.DataFrame") -> Iterator[tuple[int, Bools]]:
    """Yield each fold that has rows, and marks of them."""
    fold = folds(rows)
    yield from ((number, fold == number) for number in range(FOLDS) if (fold == number).any())


def cross_fit(
    rows: "pd.DataFrame", fold_scales: Sequence[Scales], *, trees: bool = True
) -> tuple[Floats, Floats]:
    """Predict each row from the other folds: (mean, the process's own std), both [rows]."""
    inputs, targets = inputs_of(rows), targets_of(rows)
    means, stds = np.zeros(len(rows)), np.zeros(len(rows))
    for number, held in held_out(rows):
        process = condition(inputs[~held], targets[~held], fold_scales[number])
        if not trees:
            process = replace(process, trees=None)
        predicted, stds[held] = ask(process, inputs[held])
        means[held] = np.clip(predicted[:, 0], 0, 1)
    return means, stds


def calibrated(truth: Floats, means: Floats, stds: Floats) -> tuple[float, ...]:
    """Find `spread` of `surrogate.predictive_std`: likeliest form, then exact 90 % coverage."""
    from scipy.optimize import minimize

    error = truth - means

    def loss(spread: Floats) -> float:
        std = np.maximum(surrogate.predictive_std(means, stds, spread), LEAST_STD)
        return float(np.mean(np.log(std) + 0.5 * (error / std) ** 2))

    best = minimize(loss, np.array([-1.0, 0.5, 0.0, 0.0]), method="Nelder-Mead").x
    std = surrogate.predictive_std(means, stds, best)
    best[0] += np.log(np.quantile(np.abs(error) / std, 0.9) / 1.6449)
    return tuple(round(float(one), 5) for one in best)
