"""The lookup table: training tasks and the best designs that a search found for each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cim_sim.config import UsageError
from cim_sim.files import read_table, write_table
from cim_sim.space import Design, from_wire
from search.record.tasks import Task

LOOKUP_TABLE = Path("datasets/lookup/lookup.parquet")
"""The committed one; its card lies beside it and says how it is made anew."""


class Solved(NamedTuple):
    """A task, its best designs, the best first, and how many evaluations found them."""

    task: Task
    designs: tuple[Design, ...]
    evaluations: int


def write_lookup(path: Path, solved: list[Solved]) -> None:
    """Write the table; one row for each task."""
    import pandas as pd

    rows = [
        {
            "task": row.task.model_dump_json(exclude_none=True),
            "designs": json.dumps([design.wire() for design in row.designs]),
            "evaluations": row.evaluations,
        }
        for row in solved
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, pd.DataFrame(rows))


def read_lookup(path: Path) -> list[Solved]:
    """Return the table.

    Raises:
        UsageError: the file is missing or not such a table.
    """
    rows: list[Any] = read_table(path, ["task", "designs", "evaluations"]).to_dict("records")
    return [_solved(row, f"{path}, row {number}") for number, row in enumerate(rows, start=1)]


def _solved(row: Mapping[str, Any], where: str) -> Solved:
    try:
        task = Task.model_validate_json(row["task"])
        designs = tuple(from_wire(value) for value in json.loads(row["designs"]))
        solved = Solved(task, designs, int(row["evaluations"]))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        # Those of pydantic and of JSON are ValueErrors.
        reason = str(error).splitlines()[0]
        raise UsageError(f"{where}: not a task with its best designs: {reason:.200}") from None
    for design in designs:
        if faults := task.space.check(design):
            raise UsageError(f"{where}: {'; '.join(faults[:6])}")
    return solved
