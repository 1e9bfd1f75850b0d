"""Runs as Optuna studies, for optuna-dashboard and Optuna's own analysis."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cim_sim.config import UsageError
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

    database.parent.mkdir(parents=True, exist_ok=True)
    try:
        database.open("x").close()
    except FileExistsError:
        raise UsageError(f"{database}: is there already; name a new file") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{database}")
    counts = {}
    for run in runs:
        name = f"{run.config.scenario.name}/{run.config.optimizer}/{run.path}"
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        study.set_user_attr("manifest", run.manifest.model_dump(mode="json"))
        study.add_trials([_trial(trial, run) for trial in run.trials])
        counts[name] = len(run.trials)
    return counts


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
    began = datetime.fromisoformat(trial.started_at).astimezone().replace(tzinfo=None)
    exported.datetime_start = began
    exported.datetime_complete = began + timedelta(seconds=trial.seconds)
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
