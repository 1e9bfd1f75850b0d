"""Evaluations that other programs recorded, as traces: a CSV or Parquet file, or a study of Optuna.

A row is a design and what became of it. For a problem of the user's own it holds a reward, or why
there is none. For a chip of this simulator it holds an accuracy; cost, limits and reward follow.
"""

import warnings
from collections.abc import Iterator, Sequence
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from cim_sim.accuracy.query import Accuracy
from cim_sim.config import Config, UsageError, in_short, parse
from cim_sim.evaluate import LARGEST_REWARD, Evaluation, Infeasible, judge, screen
from cim_sim.files import read_table
from cim_sim.own import OwnScenario
from cim_sim.space import Design, Parameter
from cim_sim.types import LONGEST_NAME, Fact
from finetune.studies import read_study
from finetune.traces import Trace
from search.record.manifest import ScenarioOrFile, SpaceOrFile
from search.record.tasks import AnyTask, OwnTask, Task, task_of

if TYPE_CHECKING:
    import pandas as pd

OPTUNA = (".db", ".sqlite", ".sqlite3")
FORMATS = (".csv", ".parquet", *OPTUNA)
REASON = "infeasible"
"""Column that says why a row has no reward."""
UNKNOWN = {"", "na", "n/a", "nan", "none", "null"}
"""How programs write that there is no number."""
NO = UNKNOWN | {"0", "0.0", "false", "no"}
"""What such a cell may say of a row that has one."""
YES = {"1", "1.0", "true", "yes"}
"""What it may say without a reason."""


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
        return read_study(table.file, table.study, REASON)
    try:
        with warnings.catch_warnings():
            # Of a row with a cell too many pandas would drop the last, or move all by one column.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # As text, since a name may look like a number, a truth value or a lack: 08, true, NA.
            return pd.read_csv(
                table.file, index_col=False, dtype=str, keep_default_na=False, na_values=[""]
            )
    except (ValueError, OSError, pd.errors.ParserWarning) as error:
        raise UsageError(f"{table.file}: not a CSV file that can be read: {error!s:.200}") from None


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
            f"{table.file}: no column {', '.join(lacking)}; there are "
            f"{', '.join(map(str, frame.columns))}; say under `columns` what they are called there"
        )
    present = {name: column for name, column in theirs.items() if column in frame}
    named = frame[list(present.values())].set_axis(list(present), axis=1)
    return named.assign(**{fact: _numbers(named[fact]) for fact in table.facts})


def _numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of text as numbers, where all of it are."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().all() else column


def _tasks(table: OtherTable, frame: "pd.DataFrame") -> Iterator[tuple[AnyTask, list[Row]]]:
    empty = frame.astype(object).where(frame.notna(), None)
    records: list[Any] = empty.to_dict("records")
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for number, cells in enumerate(records, start=1):
        row = Row(cells, f"{table.file}, row {number}")
        groups.setdefault(tuple(_fact(name, row) for name in table.facts), []).append(row)
    for values, rows in groups.items():
        facts = dict(zip(table.facts, values, strict=True))
        yield task_of(table.space, _with_facts(table.scenario, facts)), rows


def _with_facts(scenario: Any, facts: dict[str, Any]) -> Any:
    if not facts:
        return scenario
    name = " ".join([scenario.name, *(f"{fact}={value}" for fact, value in facts.items())])
    name = name.replace("/", "-").encode()[:LONGEST_NAME].decode(errors="ignore")
    whole = scenario.model_dump() | {"name": name, "facts": {**scenario.facts, **facts}}
    return parse(whole, OwnScenario, f"scenario {name}")


def _fact(name: str, row: Row) -> Any:
    try:
        return TypeAdapter(Fact).validate_python(_plain(row.cells[name]))
    except ValidationError as error:
        fault = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"{row.where}: fact {name}: {fault}") from None


def _own(task: OwnTask, rows: Sequence[Row]) -> Iterator[Evaluation]:
    for row in rows:
        reason = _reason(row)
        if reason is None and _is_unknown(row.cells["reward"]):
            raise UsageError(f"{row.where}: neither reward nor {REASON}")
        yield Evaluation(
            design=_design(task, row),
            scenario=task.scenario.digest,
            reward=_number("reward", row) if reason is None else None,
            infeasible=None if reason is None else Infeasible(kind="own", reason=reason),
        )


def _reason(row: Row) -> str | None:
    """Return why a row is infeasible; a truth value or a number says only that it is."""
    said = _plain(row.cells.get(REASON))
    word = str(said).strip().lower()
    if said is None or word in NO:
        return None
    return REASON if word in YES else str(said)


def _of_chips(task: Task, rows: Sequence[Row]) -> Iterator[Evaluation]:
    """Cost all designs; what is feasible for free is judged by the accuracy of its row."""
    designs = [_design(task, row) for row in rows]
    for row, screened in zip(rows, screen(designs, task.scenario), strict=True):
        accuracy = row.cells["accuracy"]
        if screened.infeasible is not None:
            yield screened
        elif _is_unknown(accuracy):
            raise UsageError(f"{row.where}: no accuracy, and the chip can be built")
        else:
            mean = _number("accuracy", row)
            if not 0 <= mean <= 1:
                raise UsageError(f"{row.where}: accuracy {mean:g} is no share from 0 to 1")
            known = Accuracy(mean=mean, std=0.0, quantile_10=mean, draws=1, clean=None)
            yield judge(screened, known, task.scenario)


def _is_unknown(cell: Any) -> bool:
    return cell is None or str(cell).strip().lower() in UNKNOWN


def _number(column: str, row: Row) -> float:
    cell = row.cells[column]
    try:
        number = float(cell)
    except (ValueError, TypeError, OverflowError):
        raise UsageError(f"{row.where}: {column} {in_short(cell)} is no number") from None
    if not isfinite(number) or abs(number) > LARGEST_REWARD:
        raise UsageError(f"{row.where}: {column} {number} is not within {LARGEST_REWARD:.0e} of 0")
    return number


def _design(task: AnyTask, row: Row) -> Design:
    space = task.space
    return space.decode([_index(parameter, row) for parameter in space.parameters])


def _index(parameter: Parameter, row: Row) -> int:
    """Return which choice a cell names; 8, 8.0 and "8" are one, unless both are choices."""
    value = _plain(row.cells[parameter.name])
    if value is not None:
        for same in (_reads_alike, _is_as_true, _is_as_much):
            for index, choice in enumerate(parameter.choices):
                if same(value, choice):
                    return index
    offered = ", ".join(map(str, parameter.choices[:20]))
    raise UsageError(f"{row.where}: {parameter.name} {value!s:.60} is none of {offered}")


def _reads_alike(value: Any, choice: Any) -> bool:
    return str(value) == str(choice)


def _is_as_true(value: Any, choice: Any) -> bool:
    """Programs write True, TRUE and true."""
    return str(value).lower() == str(choice).lower() and str(value).lower() in ("true", "false")


def _is_as_much(value: Any, choice: Any) -> bool:
    try:
        return float(value) == float(choice)
    except ValueError:
        return False


def _plain(value: Any) -> Any:
    """Return a cell as YAML would hold it: whole numbers without a point, truth values quoted."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return str(value).lower()
    return int(value) if isinstance(value, float) and value.is_integer() else value
