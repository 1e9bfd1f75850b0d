"""How well a language model foresees the accuracy of what it proposes (`value: true`)."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

import numpy as np

from cim_sim.own import AnySpace
from search.comparison.result import Foresight
from search.llm.foreseen import expectation
from search.llm.reply import ReplyError, parse_reply
from search.record.runs import RunRecord
from search.record.trace import Exchange, Trial


def expected(trial: Trial, exchanges: Iterable[Exchange], space: AnySpace) -> float | None:
    """Return the mean accuracy expected by the replies that name the trial's design, if any."""
    said = [
        accuracy
        for exchange in exchanges
        if exchange.error is None and (accuracy := expectation(exchange)) is not None
        if trial.design is not None and _names(exchange, trial, space)
    ]
    return fmean(said) if said else None


def foresight(runs: Sequence[RunRecord]) -> Foresight | None:
    """Compare expected and found accuracy over all new designs of some runs; None without any."""
    pairs = np.array([pair for run in runs for pair in _pairs(run)])
    if not len(pairs):
        return None
    error = pairs[:, 0] - pairs[:, 1]
    return Foresight(
        designs=len(pairs), bias=float(error.mean()), rmse=float(np.sqrt((error**2).mean()))
    )


def by_step(run: RunRecord) -> dict[int, list[Exchange]]:
    """Return the exchanges behind each proposal."""
    found: dict[int, list[Exchange]] = {}
    for exchange in run.exchanges:
        found.setdefault(exchange.step, []).append(exchange)
    return found


def _pairs(run: RunRecord) -> Iterator[tuple[float, float]]:
    exchanges = by_step(run)
    for trial in run.trials:
        if trial.duplicate_of is None and trial.evaluation and trial.evaluation.accuracy:
            said = expected(trial, exchanges.get(trial.step, ()), run.config.space)
            if said is not None:
                yield said, trial.evaluation.accuracy.mean


def _names(exchange: Exchange, trial: Trial, space: AnySpace) -> bool:
    try:
        return parse_reply(exchange.reply or "", space) == trial.design
    except ReplyError:
        return False
