"""Optuna's studies, read from its databases without writing to them."""

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cim_sim.config import UsageError

if TYPE_CHECKING:
    import pandas as pd

UNREADABLE = (sqlite3.Error, RuntimeError, ValueError, KeyError)
VIOLATED = "a constraint of the study is violated"


def read_study(file: Path, study_name: str | None, violated: str) -> "pd.DataFrame":
    """Return the completed trials of a study: parameters, attributes and `reward`, each a column.

    What a study minimises is a loss, so its reward is the negative.

    Args:
        file: a SQLite file of Optuna; it is not touched.
        study_name: which study; None: the only one.
        violated: column that says of a trial that it violates a constraint.

    Raises:
        UsageError: it is no database of Optuna, holds no such study, or one of several objectives.
    """
    import pandas as pd
    from optuna.study import StudyDirection

    study, trials = _loaded(file, study_name)
    if len(study.directions) > 1:
        fault = f"study {study.study_name} has several objectives, a reward is one"
        raise UsageError(f"{file}: {fault}")
    sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
    return pd.DataFrame(
        [
            {
                **({violated: VIOLATED} if any(c > 0 for c in _constraints(trial)) else {}),
                **trial.user_attrs,
                **trial.params,
                "reward": sign * trial.value,
            }
            for trial in trials
        ]
    )


def _loaded(file: Path, name: str | None) -> tuple[Any, Sequence[Any]]:
    """Return the study that is wanted, and its completed trials.

    Optuna writes to every database that it opens, so it is given a copy.

    Raises:
        UsageError: it is no database of Optuna, or holds no such study.
    """
    import optuna
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "study.db"
        try:
            _copy(file, copy)
            storage = f"sqlite:///{copy}"
            names = optuna.get_all_study_names(storage)
            wanted = name or (names[0] if len(names) == 1 else None)
            if wanted not in names:
                asked = "no study is named" if wanted is None else f"no study {wanted}"
                offered = ", ".join(names) or "(it holds none)"
                raise UsageError(f"{file}: {asked}; `study` may be one of: {offered}")
            study = optuna.load_study(study_name=wanted, storage=storage)
            complete = (optuna.trial.TrialState.COMPLETE,)
            return study, study.get_trials(deepcopy=False, states=complete)
        except (*UNREADABLE, SQLAlchemyError, OptunaError) as error:
            fault = (str(error).splitlines() or [""])[0]
            raise UsageError(
                f"{file}: not a database in which Optuna keeps studies: {fault:.200}"
            ) from None


def _copy(file: Path, to: Path) -> None:
    """Copy a database of Optuna without touching it.

    Raises:
        sqlite3.Error: it is none.
    """
    read_only = f"{file.resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(read_only, uri=True)) as old,
        closing(sqlite3.connect(to)) as new,
    ):
        old.execute("select count(*) from studies")
        old.backup(new)


def _constraints(trial: Any) -> list[float]:
    """Return violations, above 0 where one is; samplers before Optuna 5 keep an unnamed list."""
    named = getattr(trial, "constraints", None) or {}
    return [*named.values(), *(trial.system_attrs.get("constraints") or ())]
