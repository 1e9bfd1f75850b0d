"""How well a language model foresees the accuracy of what it proposes (`value: true`)."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

import numpy as np

from cim_sim.own import AnySpace
from cim_sim.space import Design
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
        if trial.design is not None and _meant(exchange, space) == trial.design
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
    """Return the exchanges behind each proposal; what was weighed is behind whoever proposes it."""
    found: dict[int, list[Exchange]] = {}
    weighed: dict[Design, list[Exchange]] = {}
    for exchange in run.exchanges:
        if exchange.weighed:
            weighed.setdefault(exchange.weighed, []).append(exchange)
        else:
            found.setdefault(exchange.step, []).append(exchange)
    for trial in run.trials:
        if trial.design is not None and trial.design in weighed:
            found.setdefault(trial.step, []).extend(weighed[trial.design])
    return found


def _pairs(run: RunRecord) -> Iterator[tuple[float, float]]:
    exchanges = by_step(run)
    for trial in run.trials:
        if trial.duplicate_of is None and trial.evaluation and trial.evaluation.accuracy:
            said = expected(trial, exchanges.get(trial.step, ()), run.config.space)
            if said is not None:
                yield said, trial.evaluation.accuracy.mean


def _meant(exchange: Exchange, space: AnySpace) -> Design | None:
    """Return the design that was weighed, or that a reply names, if it is one."""
    if exchange.weighed:
        return exchange.weighed
    try:
        return parse_reply(exchange.reply or "", space)
    except ReplyError:
        return None
