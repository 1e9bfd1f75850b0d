"""Evaluations that other programs recorded, as traces: a CSV or Parquet file, or a study of Optuna.

A row is a design and what became of it. For a problem of the user's own it holds a reward, or why
there is none. For a chip of this simulator it holds an accuracy; cost, limits and reward follow.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pydantic import Field, model_validator

from cim_sim.accuracy.query import Accuracy
from cim_sim.config import Config, UsageError
from cim_sim.evaluate import Evaluation, Infeasible, judge, screen
from cim_sim.files import read_table
from cim_sim.own import OwnScenario
from cim_sim.space import Design, Parameter
from finetune.traces import Trace
from search.record.manifest import ScenarioOrFile, SpaceOrFile
from search.record.tasks import AnyTask, OwnTask, Task, task_of

if TYPE_CHECKING:
    import pandas as pd

OPTUNA = (".db", ".sqlite", ".sqlite3")
SQLITE = b"SQLite format 3"
"""How every SQLite file begins."""
FORMATS = (".csv", ".parquet", *OPTUNA)
REASON = "infeasible"
"""Column that says why a row has no reward."""
VIOLATED = "a constraint of the study is violated"


class OtherTable(Config):
    """A file of evaluations, the problem that they belong to, and what its columns are called."""

    file: Path
    """`.csv`, `.parquet`, or a SQLite file of Optuna."""
    study: str | None = None
    """Which of several studies of Optuna."""
    space: SpaceOrFile
    scenario: ScenarioOrFile
    columns: dict[str, str] = Field(default_factory=dict)
    """Name of a column in the file, by the parameter, or `reward`, `infeasible`, `accuracy`, that
    it holds; what is not named here has that very name there."""
    facts: dict[str, str] = Field(default_factory=dict)
    """Facts that differ from row to row, and their columns: each combination is a scenario."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            task_of(self.space, self.scenario)
        except UsageError as error:
            raise ValueError(str(error)) from None
        if self.facts and not isinstance(self.scenario, OwnScenario):
            raise ValueError("facts: only a scenario of your own has facts")
        return self


class Row(NamedTuple):
    """A line of the file: its columns by our names, and where it stands."""

    cells: dict[str, Any]
    """None where a cell is empty."""
    where: str


def table_traces(table: OtherTable) -> Iterator[tuple[AnyTask, list[Trace]]]:
    """Yield the tasks that a file holds, each with its evaluations.

    Raises:
        UsageError: the file or a column is missing, or a row is outside the space or incomplete.
    """
    frame = _named(table, _read(table))
    evidence = f"{table.file.name} {sha256(table.file.read_bytes()).hexdigest()[:16]}"
    for task, rows in _tasks(table, frame):
        evaluations = _own(task, rows) if isinstance(task, OwnTask) else _of_chips(task, rows)
        yield task, [Trace(task.space.name, "table", evidence, one) for one in evaluations]


def _read(table: OtherTable) -> "pd.DataFrame":
    import pandas as pd

    suffix = table.file.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"{table.file}: expected a file that ends in {', '.join(FORMATS)}")
    if not table.file.is_file():
        raise UsageError(f"{table.file}: No such file")
    if suffix == ".parquet":
        return read_table(table.file)
    if suffix in OPTUNA:
        return _study(table)
    try:
        return pd.read_csv(table.file)
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise UsageError(f"{table.file}: not a CSV file that can be read: {error!s:.200}") from None


def _study(table: OtherTable) -> "pd.DataFrame":
    """Return the completed trials of a study: parameters, attributes and `reward`, each a column.

    What a study minimises is a loss, so its reward is the negative.
    """
    import optuna
    import pandas as pd

    storage = f"sqlite:///{table.file}"
    if table.file.read_bytes()[: len(SQLITE)] != SQLITE:
        raise UsageError(f"{table.file}: not a SQLite file, in which Optuna keeps studies")
    names = optuna.get_all_study_names(storage)
    wanted = table.study or (names[0] if len(names) == 1 else None)
    if wanted not in names:
        asked = "no study is named" if wanted is None else f"no study {wanted}"
        raise UsageError(f"{table.file}: {asked}; `study` may be one of: {', '.join(names)}")
    study = optuna.load_study(study_name=wanted, storage=storage)
    if len(study.directions) > 1:
        raise UsageError(f"{table.file}: study {wanted} has several objectives, a reward is one")
    sign = 1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1
    trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return pd.DataFrame(
        [
            {
                **({REASON: VIOLATED} if any(c > 0 for c in _constraints(trial)) else {}),
                **trial.user_attrs,
                **trial.params,
                "reward": sign * trial.value,
            }
            for trial in trials
        ]
    )


def _constraints(trial: Any) -> list[float]:
    """Return violations, above 0 where one is; samplers before Optuna 5 keep an unnamed list."""
    named = getattr(trial, "constraints", None) or {}
    return [*named.values(), *(trial.system_attrs.get("constraints") or ())]


def _named(table: OtherTable, frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the columns that count, by our names."""
    own = isinstance(table.scenario, OwnScenario)
    needed = [parameter.name for parameter in table.space.parameters]
    needed += ["reward" if own else "accuracy"]
    theirs = {name: table.columns.get(name, name) for name in [*needed, REASON]} | table.facts
    lacking = [theirs[name] for name in [*needed, *table.facts] if theirs[name] not in frame]
    if unknown := sorted(set(table.columns) - set(theirs)):
        raise UsageError(f"{table.file}: columns.{unknown[0]} is none of {', '.join(theirs)}")
    if lacking:
        raise UsageError(
            f"{table.file}: no column {', '.join(lacking)}; there are {', '.join(frame.columns)}; "
            "say under `columns` what they are called there"
        )
    present = {name: column for name, column in theirs.items() if column in frame}
    return frame[list(present.values())].set_axis(list(present), axis=1)


def _tasks(table: OtherTable, frame: "pd.DataFrame") -> Iterator[tuple[AnyTask, list[Row]]]:
    empty = frame.astype(object).where(frame.notna(), None)
    records: list[Any] = empty.to_dict("records")
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for number, cells in enumerate(records, start=1):
        values = tuple(_plain(cells[name]) for name in table.facts)
        groups.setdefault(values, []).append(Row(cells, f"{table.file}, row {number}"))
    for values, rows in groups.items():
        facts = dict(zip(table.facts, values, strict=True))
        yield task_of(table.space, _with_facts(table.scenario, facts)), rows


def _with_facts(scenario: Any, facts: dict[str, Any]) -> Any:
    if not facts:
        return scenario
    name = " ".join([scenario.name, *(f"{fact}={value}" for fact, value in facts.items())])
    whole = scenario.model_dump() | {"name": name, "facts": {**scenario.facts, **facts}}
    return OwnScenario.model_validate(whole)


def _own(task: OwnTask, rows: Sequence[Row]) -> Iterator[Evaluation]:
    for row in rows:
        reason, reward = row.cells.get(REASON), row.cells["reward"]
        if reason is None and reward is None:
            raise UsageError(f"{row.where}: neither reward nor {REASON}")
        yield Evaluation(
            design=_design(task, row),
            scenario=task.scenario.digest,
            reward=_number("reward", row) if reason is None else None,
            infeasible=None if reason is None else Infeasible(kind="own", reason=str(reason)),
        )


def _of_chips(task: Task, rows: Sequence[Row]) -> Iterator[Evaluation]:
    """Cost all designs; what is feasible for free is judged by the accuracy of its row."""
    designs = [_design(task, row) for row in rows]
    for row, screened in zip(rows, screen(designs, task.scenario), strict=True):
        accuracy = row.cells["accuracy"]
        if screened.infeasible is not None:
            yield screened
        elif accuracy is None:
            raise UsageError(f"{row.where}: no accuracy, and the chip can be built")
        else:
            mean = _number("accuracy", row)
            known = Accuracy(mean=mean, std=0.0, quantile_10=mean, draws=1, clean=None)
            yield judge(screened, known, task.scenario)


def _number(column: str, row: Row) -> float:
    try:
        return float(row.cells[column])
    except ValueError:
        raise UsageError(f"{row.where}: {column} {row.cells[column]!r} is no number") from None


def _design(task: AnyTask, row: Row) -> Design:
    space = task.space
    return space.decode([_index(parameter, row) for parameter in space.parameters])


def _index(parameter: Parameter, row: Row) -> int:
    """Return which choice a cell names; 8, 8.0 and "8" are one."""
    value = _plain(row.cells[parameter.name])
    for index, choice in enumerate(parameter.choices):
        if value == choice or str(value) == str(choice):
            return index
    offered = ", ".join(map(str, parameter.choices[:20]))
    raise UsageError(f"{row.where}: {parameter.name} {value!r} is none of {offered}")


def _plain(value: Any) -> Any:
    """Return a cell as YAML would hold it: whole numbers without a point."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.item() if hasattr(value, "item") else value
