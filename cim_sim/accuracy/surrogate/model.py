"""A regression of the benchmark table: accuracy in microseconds, and how far it may be off.

A process (`process.py`) over features of network, data set, variation, training and ADC. Its length
scales and its calibration lie in `surrogate.json` with the digest of the table they were fitted
to; the rest follows from the committed table and is redone at loading, in about a second. Nothing
is unpickled.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cim_sim import files
from cim_sim.accuracy.bench import columns
from cim_sim.accuracy.query import Accuracy, Adc, Query, Recipe
from cim_sim.accuracy.surrogate.features import CONVOLUTIONS, Inputs, of_queries
from cim_sim.accuracy.surrogate.process import Process, Scales, condition
from cim_sim.config import Config, UsageError, parse
from cim_sim.paths import BENCH_TABLE, SHIPPED, readable
from cim_sim.types import Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

TABLE = SHIPPED / BENCH_TABLE
FITTED = Path(__file__).with_name("surrogate.json")

DATASETS = ("shapes", "digits")
TARGETS = ("mean", "std", "quantile_10")
ACCURACIES = [0, 2]
"""Which targets are accuracies."""
WIDTHS, KERNELS, LARGEST_SIGMA = (2, 32), (1, 3, 5, 7), 0.2
LEAST_SIGMA_OF_DIGITS = 0.03
"""In training."""
FLOOR, CEILING = 0.03, 1.01
"""Accuracies are regressed as logits between these: `digits` saturates, and chance is a floor."""


class Fitted(Config):
    """What fitting finds."""

    table_digest: str
    scales: Scales
    fold_scales: tuple[Scales, ...]
    """Found without the rows of one fold each: with these the check predicts that fold."""
    spread: tuple[float, ...]
    """Calibration, see `predictive_std`."""


def predictive_std(mean: Floats, std: Floats, spread: Sequence[float] | Floats) -> Floats:
    """Standard deviation of a new single-seed result around `mean`.

    log s = a + b log(std of the process) + c mean + d mean^2: near chance results agree, in the
    middle of the range seeds differ most.
    """
    a, b, c, d = spread
    result: Floats = np.exp(a + b * np.log(std) + c * mean + d * mean**2)
    return result


def logits(accuracy: Floats) -> Floats:
    """What is regressed instead of an accuracy; a share in [0, 1] of any shape."""
    share = (np.clip(accuracy, FLOOR + 0.02, 1) - FLOOR) / (CEILING - FLOOR)
    found: Floats = np.log(share / (1 - share))
    return found


def ask(process: Process, inputs: Inputs, with_std: bool = True) -> tuple[Floats, Floats]:
    """Targets [N, targets] back from logits, and the process's own std of the first [N]."""
    found, std = process.predict(inputs, with_std)
    found[:, ACCURACIES] = FLOOR + (CEILING - FLOOR) / (1 + np.exp(-found[:, ACCURACIES]))
    slope = (found[:, 0] - FLOOR) * (CEILING - found[:, 0]) / (CEILING - FLOOR)
    return found, std * slope


@dataclass(frozen=True)
class Surrogate:
    """Answers accuracy queries without training."""

    process: Process
    fitted: Fitted

    def predict(self, queries: Sequence[Query]) -> tuple[Floats, Floats]:
        """Mean accuracy and predictive standard deviation of a new single-seed result, both [N].

        Raises:
            UsageError: a query lies outside what the table covers.
        """
        for query in queries:
            require_covered(query)
        return self._predict(of_queries(queries))[1:]

    def predict_arrays(
        self,
        channels: Ints,
        kernels: Ints,
        sigma: Floats | float,
        training_sigma: Floats | float,
        *,
        adc_levels: Floats | float,
        adc_rows: Floats | float,
        dataset: str = "shapes",
        unclipped: bool = False,
        with_std: bool = True,
    ) -> tuple[Floats, Floats]:
        """As `predict` for `channels` and `kernels` [N, 6] of trained networks, unchecked.

        Sigmas and ADC are [N] or one number for all; `adc_levels` 0 means ideal conversion.
        Without std it is several times faster and std is zero.
        """
        count = len(channels)
        settings = (sigma, training_sigma, dataset == "digits", unclipped, adc_levels, adc_rows)
        columns = [np.broadcast_to(np.asarray(one, float), count) for one in settings]
        inputs = Inputs(np.asarray(channels), np.asarray(kernels), *columns)
        return self._predict(inputs, with_std)[1:]

    def answer(self, queries: Sequence[Query]) -> list[Accuracy]:
        """Predictions in the form of measurements; `clean` is None.

        Raises:
            UsageError: as `predict`.
        """
        for query in queries:
            require_covered(query)
        targets, means, stds = self._predict(of_queries(queries))
        return [
            Accuracy(
                mean=float(mean),
                std=float(max(row[1], 0)),
                quantile_10=float(np.clip(row[2], 0, mean)),
                draws=query.recipe.draws,
                clean=None,
                predictive_std=float(std),
            )
            for query, mean, std, row in zip(queries, means, stds, targets, strict=True)
        ]

    def _predict(self, inputs: Inputs, with_std: bool = True) -> tuple[Floats, Floats, Floats]:
        """Targets [N, targets], accuracy [N] and its predictive standard deviation [N]."""
        if not len(inputs):
            return np.zeros((0, len(TARGETS))), np.zeros(0), np.zeros(0)
        targets, std = ask(self.process, inputs, with_std)
        mean = np.clip(targets[:, 0], 0, 1)
        return targets, mean, predictive_std(mean, std, self.fitted.spread) if with_std else std


def _seen_unclipped(query: Query) -> bool:
    """Whether the table has trainings without clipping for this data set and converter."""
    return query.dataset == "shapes" and query.adc in (None, Adc(levels=32, rows=128))


def require_covered(query: Query) -> None:
    """Raise UsageError, with all reasons, for a query that the table says nothing about."""
    recipe, standard = (one.model_dump(exclude={"draws"}) for one in (query.recipe, Recipe()))
    known = {name: {value} for name, value in standard.items()}
    known["clip_rms"].add(None)
    faults = [f"recipe.{name} {recipe[name]}" for name in recipe if recipe[name] not in known[name]]
    if query.dataset not in DATASETS:
        faults.append(f"dataset {query.dataset}")
    if (query.hidden, query.pools_after) != (1024, (2, 4, 6)):
        faults.append(f"hidden {query.hidden}, pools {query.pools_after}")
    if query.images != "selection":
        faults.append(f"images of the {query.images}")
    if len(query.layers) != CONVOLUTIONS:
        faults.append(f"{len(query.layers)} convolutions")
    low, high = WIDTHS
    for number, (channels, kernel) in enumerate(query.layers, start=1):
        if not low <= channels <= high or kernel not in KERNELS:
            faults.append(f"layer {number}: {channels} channels, kernel {kernel}")
    if max(query.sigma, query.training_sigma) > LARGEST_SIGMA:
        faults.append(f"sigma {query.sigma}, trained at {query.training_sigma}")
    if query.recipe.clip_rms is None and not _seen_unclipped(query):
        faults.append("weights that are not clipped")
    if query.dataset == "digits" and query.training_sigma < LEAST_SIGMA_OF_DIGITS:
        faults.append(f"digits trained at sigma {query.training_sigma}")
    if query.state_dependence != "uniform":
        faults.append(f"state dependence {query.state_dependence}")
    if faults:
        raise UsageError(
            f"the accuracy surrogate knows {' and '.join(DATASETS)}, 6 convolutions of 2 to 32 "
            f"channels and kernels 1, 3, 5, 7, sigma to {LARGEST_SIGMA} (digits from "
            f"{LEAST_SIGMA_OF_DIGITS} on), the default recipe (shapes also not clipped, at ideal "
            "conversion or 32 levels of 128 rows); not "
            + "; ".join(faults)
            + ". Use the evaluator `trained`"
        )


@lru_cache(maxsize=2)
def load(path: Path = FITTED, table: Path = TABLE, *, examined: bool = False) -> Surrogate:
    """Return the committed surrogate.

    Args:
        path: the fit.
        table: the rows.
        examined: condition on the last active round too, which otherwise never teaches. The next
            round searches with this one, so that its examination is of the model it exploits.

    Raises:
        UsageError: the table or the fit is missing, or they do not belong together.
    """
    try:
        text, content = path.read_text(encoding="utf-8"), readable(table).read_bytes()
    except OSError as error:
        raise UsageError(
            f"accuracy surrogate: {error.filename}: {error.strerror}; make it with "
            "`python -m cim_sim bench-accuracy --publish` and `python -m cim_sim surrogate --fit`"
        ) from None
    fitted = parse(json.loads(text), Fitted, str(path))
    if table_digest(content) != fitted.table_digest:
        raise UsageError(
            f"{path} was not fitted to {table}; the fit that comes "
            f"with the package belongs to {TABLE}: take that one, or fit it to the new rows there "
            "(python -m cim_sim surrogate --fit)"
        )
    rows = read_table(table, examined=examined)
    return Surrogate(condition(inputs_of(rows), targets_of(rows), fitted.scales), fitted)


def table_digest(content: bytes) -> str:
    """Identity of a table file."""
    return hashlib.sha256(content).hexdigest()[:16]


def read_table(path: Path, *, examined: bool = False) -> "pd.DataFrame":
    """Rows that the surrogate may learn from: without `examined`, not the last active round's."""
    rows = files.read_table(path)
    return rows if examined else rows[~examination(rows)].reset_index(drop=True)


def examination(rows: "pd.DataFrame") -> NDArray[np.bool_]:
    """Mark the rows of the last active round (`origin` "found 3"): they examine, never teach."""
    number = rows["origin"].str.extract(r"^found (\d+)$")[0].astype(float)
    marked: NDArray[np.bool_] = (number == number.max()).to_numpy()
    return marked


def inputs_of(rows: "pd.DataFrame") -> Inputs:
    """The questions of table rows.

    Raises:
        UsageError: some are of a data set that the features cannot tell from the others.
    """
    if other := sorted(set(rows["dataset"]) - set(DATASETS)):
        raise UsageError(
            f"the table holds rows of {', '.join(other)}, but the accuracy surrogate learns from "
            f"{' and '.join(DATASETS)} alone; keep the others in a table of their own"
        )
    return Inputs(
        channels=rows[columns.CHANNELS].to_numpy(np.int64),
        kernels=rows[columns.KERNELS].to_numpy(np.int64),
        sigma=rows["sigma"].to_numpy(float),
        training_sigma=rows["training_sigma"].to_numpy(float),
        digits=np.asarray(rows["dataset"] == "digits", float),
        unclipped=np.asarray(rows["clip_rms"].isna(), float),
        adc_levels=rows["adc_levels"].fillna(0).to_numpy(float),
        adc_rows=rows["adc_rows"].fillna(0).to_numpy(float),
    )


def targets_of(rows: "pd.DataFrame") -> Floats:
    """The answers of table rows, [N, targets], accuracies as logits."""
    targets = rows[list(TARGETS)].to_numpy(float, copy=True)
    targets[:, ACCURACIES] = logits(targets[:, ACCURACIES])
    return targets
