"""The trials of a sweep as one table: trials.parquet."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cim_sim.evaluate import AMOUNTS
from cim_sim.files import write_table
from search.record.runs import RunRecord, read_run
from search.record.trace import Trial
from search.study.sweep import Job


def write_trials(tasks: Sequence[Job], out: Path) -> int:
    """Write one row for each recorded trial, and return their number.

    Columns: scenario, objective, arm, optimizer, screen, seed, step, design (wire format, JSON),
    reward (none where infeasible), infeasible (its kind), failure (its kind), accuracy, energy_pj,
    latency_ns, area_um2, duplicate_of, screened, seconds, and measured.NAME for each number that
    an evaluator of the user's own names.

    Raises:
        OSError: the table cannot be written.
    """
    import pandas as pd

    rows = [row for task in tasks for row in _rows(read_run(task.out), task.arm)]
    write_table(out / "trials.parquet", pd.DataFrame(rows))
    return len(rows)


def _rows(run: RunRecord, arm: str) -> Iterator[dict[str, Any]]:
    config = run.config
    for trial in run.trials:
        yield {
            "scenario": config.scenario.name,
            "objective": config.scenario.metric,
            "arm": arm,
            "optimizer": config.optimizer,
            "screen": config.screen,
            "seed": config.seed,
            **columns_of(trial),
        }


def columns_of(trial: Trial) -> dict[str, Any]:
    """Return the columns of a trial, from `step` on."""
    evaluation = trial.evaluation
    accuracy = evaluation.accuracy if evaluation else None
    infeasible = evaluation.infeasible if evaluation else None
    measured = evaluation.measured if evaluation else {}
    return {
        "step": trial.step,
        "design": json.dumps(trial.design.wire()) if trial.design else None,
        "reward": trial.score if trial.feasible else np.nan,
        "infeasible": infeasible.kind if infeasible else None,
        "failure": trial.failure.kind if trial.failure else None,
        "accuracy": accuracy.mean if accuracy else np.nan,
        **dict.fromkeys(AMOUNTS, np.nan),
        **(evaluation.amounts if evaluation else {}),
        "duplicate_of": np.nan if trial.duplicate_of is None else trial.duplicate_of,
        "screened": trial.screened,
        "seconds": trial.seconds,
        **{f"measured.{name}": value for name, value in measured.items()},
    }
