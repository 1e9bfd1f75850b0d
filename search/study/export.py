"""Runs as Optuna studies, for optuna-dashboard and Optuna's own analysis."""

import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any

from cim_sim.config import UsageError
from cim_sim.files import replacing
from search.optimizers.optuna_study import limits_of, violations
from search.record.runs import RunRecord
from search.record.trace import Trial


def to_optuna(runs: Sequence[RunRecord], database: Path) -> dict[str, int]:
    """Write each run as a study of a new SQLite file; returns the number of trials by study.

    Parameters carry their own values (channels, kernels, ...); a failed trial has state FAIL, an
    infeasible one its violated constraints, as Optuna's samplers see them.

    Raises:
        UsageError: the file is there already.
        OSError: it cannot be written.
    """
    import optuna

    if database.exists() or database.is_symlink():
        raise UsageError(f"{database}: is there already; name a new file")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database.parent.mkdir(parents=True, exist_ok=True)
    # Written elsewhere first: an export that fails leaves nothing, and a `?` in a path would be
    # the beginning of options to SQLAlchemy.
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "studies.db"
        storage = optuna.storages.RDBStorage(f"sqlite:///{made}")
        counts = {_study(run, storage): len(run.trials) for run in runs}
        storage.engine.dispose()
        with replacing(database) as beside:
            copyfile(made, beside)
    return counts


def _study(run: RunRecord, storage: Any) -> str:
    """Write a run as a study, and return its name."""
    import optuna

    name = f"{run.config.scenario.name}/{run.config.optimizer}/{run.path}"
    study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
    study.set_user_attr("manifest", run.manifest.model_dump(mode="json"))
    study.add_trials([_trial(trial, run) for trial in run.trials])
    return name


def _trial(trial: Trial, run: RunRecord) -> Any:
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState, create_trial

    space, failed = run.config.space, trial.evaluation is None
    parameters = space.parameters if trial.design else ()
    indices = space.encode(trial.design) if trial.design else ()
    exported = create_trial(
        state=TrialState.FAIL if failed else TrialState.COMPLETE,
        value=None if failed else trial.score,
        params={p.name: p.choices[i] for p, i in zip(parameters, indices, strict=True)},
        distributions={p.name: CategoricalDistribution(p.choices) for p in parameters},
        user_attrs=_details(trial),
        constraints=violations(trial.evaluation, limits_of(run.config.task))
        if trial.evaluation
        else None,
    )
    # Optuna keeps the local time of the machine, without a zone.
    try:
        began = datetime.fromisoformat(trial.started_at).astimezone().replace(tzinfo=None)
        exported.datetime_complete = began + timedelta(seconds=trial.seconds)
    except (ValueError, OverflowError):
        where = f"{run.path / 'trials.jsonl'}:{trial.step + 1}"
        raise UsageError(f"{where}: no time: {trial.started_at!r:.40}, {trial.seconds}") from None
    exported.datetime_start = began
    return exported


def _details(trial: Trial) -> dict[str, Any]:
    """What a dashboard shows beside the reward."""
    found: dict[str, Any] = {"step": trial.step, "duplicate_of": trial.duplicate_of}
    if trial.failure:
        found["failure"] = trial.failure.message
    if trial.evaluation is None:
        return found
    if trial.evaluation.infeasible:
        found["infeasible"] = trial.evaluation.infeasible.reason
    if trial.evaluation.accuracy:
        found["accuracy"] = trial.evaluation.accuracy.mean
    return {**found, **trial.evaluation.amounts, **trial.evaluation.measured}
