"""Recorded searches as one data set: a row for each trial, in Parquet, and a card.

What ArchGym does with the logs of its agents: whoever learns a cost model, an optimiser or a policy
from past searches finds all that a trial was and what its arm knew in one file.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cim_sim import cards
from cim_sim.config import UsageError, digest
from cim_sim.files import write_table, write_whole
from search.record.runs import RunRecord
from search.record.tasks import Task
from search.record.trace import Trial
from search.study.ground import ground_of
from search.study.table import columns_of

if TYPE_CHECKING:
    import pandas as pd

TABLE, CARD = "trajectories.parquet", "README.md"


class Column(NamedTuple):
    """A column that every export has."""

    kind: str
    """Its type in pandas, which knows a missing value in all of them."""
    meaning: str


COLUMNS = {
    "source": Column("string", "sweep or folder that was exported, by name"),
    "run": Column("string", "identity of the search; its trials in order are a trajectory"),
    "scenario": Column("string", "name of the task"),
    "task": Column("string", "the whole task in JSON: space, scenario, whether it is told"),
    "split": Column("string", "`train`, `validation` or `test`; none for a problem of one's own"),
    "objective": Column("string", "what the reward is made of"),
    "arm": Column("string", "what the sweep calls the optimiser"),
    "optimizer": Column("string", "how designs were proposed"),
    "model": Column("string", "language model that proposed them, by name"),
    "given.trace_evaluations": Column("Int64", "evaluations of other tasks that the arm came with"),
    "given.recalled": Column("Int64", "of these, the ones behind the table of `lookup`"),
    "given.trainings": Column("Int64", "trained networks behind what the arm came with"),
    "given.cost_model": Column("boolean", "whether the arm computes costs by itself"),
    "evaluator": Column("string", "who judged: see below"),
    "accuracy_seed": Column("Int64", "seed of the judge"),
    "batch": Column("Int64", "designs proposed before the first of them was judged"),
    "screen": Column("Int64", "proposals allowed for a slot under the free screening; 0: none"),
    "seed": Column("Int64", "seed of the optimiser"),
    "step": Column("Int64", "episode of the search, from 0"),
    "design": Column("string", "the design in JSON, as it is proposed; none after a bad reply"),
    "feasible": Column("boolean", "whether there is a reward"),
    "reward": Column("Float64", "higher is better; none where infeasible or failed"),
    "infeasible": Column("string", "why there is none: floorplan, area, accuracy, own"),
    "failure": Column("string", "why nothing was judged: reply, server, crash, timeout"),
    "accuracy": Column("Float64", "mean over simulated chips, a share in [0, 1]"),
    "predictive_std": Column("Float64", "of a predicted accuracy: its standard deviation"),
    "energy_pj": Column("Float64", "of one inference"),
    "latency_ns": Column("Float64", "of one inference"),
    "area_um2": Column("Float64", "of the chip"),
    "duplicate_of": Column("Int64", "step of the first trial with this design"),
    "screened": Column("Int64", "proposals that were passed over before this one"),
    "seconds": Column("Float64", "from proposal to result"),
    "digest.scenario": Column("string", "identity of the scenario"),
    "digest.space": Column("string", "identity of the space"),
    "digest.evaluator": Column("string", "identity of the judge"),
    "digest.simulator": Column("string", "identity of the cost model"),
}
"""Beside these, `design.NAME` for each free parameter and `measured.NAME` for each number that an
evaluator of the user's own names."""


class Named(NamedTuple):
    """A run, and what was named on the command line to find it."""

    source: str
    run: RunRecord


def write_trajectories(runs: Sequence[Named], out: Path) -> Counter[str]:
    """Write table and card into a new directory; returns the number of trials by split.

    Raises:
        UsageError: the directory is not empty, or a parameter is a number here and a name there.
        OSError: it cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is not empty; name a new directory")
    rows = [row for named in runs for row in _rows(named)]
    if not rows:
        raise UsageError("none of these runs has recorded a trial yet")
    table = _typed(rows)
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / TABLE, table)
    write_whole(out / CARD, _card(table))
    return Counter(table["split"].fillna("own"))


def _rows(named: Named) -> Iterator[dict[str, Any]]:
    about = _about(named)
    for trial in named.run.trials:
        accuracy = trial.evaluation.accuracy if trial.evaluation else None
        yield {
            **about,
            **columns_of(trial),
            "feasible": trial.feasible,
            "predictive_std": accuracy.predictive_std if accuracy else None,
            **_parameters(named.run, trial),
        }


def _about(named: Named) -> dict[str, Any]:
    """Return what all trials of a run share; no path of the machine is in it."""
    config, manifest = named.run.config, named.run.manifest
    task, model = config.task, (manifest.model or {}).get("name")
    whole = config.model_dump(mode="json")
    return {
        "source": named.source,
        "run": digest({"config": whole, "began": manifest.sessions[0].started_at}),
        "scenario": task.name,
        "task": task.model_dump_json(),
        "split": ground_of(task) if isinstance(task, Task) else None,
        "objective": config.scenario.metric,
        "arm": _arm(named.run) or model or config.optimizer,
        "optimizer": config.optimizer,
        "model": model,
        **{f"given.{name}": value for name, value in manifest.given},
        "evaluator": config.judged_by,
        **{name: getattr(config, name) for name in ("accuracy_seed", "batch", "screen", "seed")},
        **{f"digest.{name}": value for name, value in manifest.digests},
    }


def _arm(run: RunRecord) -> str | None:
    """Return what a sweep calls an arm: its runs lie at SWEEP/runs/SCENARIO/ARM/seedN."""
    folder = run.path.resolve()
    in_sweep = len(folder.parents) > 3 and (folder.parents[3] / "sweep.yaml").is_file()
    return folder.parent.name.removesuffix(f"-screen{run.config.screen}") if in_sweep else None


def _parameters(run: RunRecord, trial: Trial) -> dict[str, Any]:
    if trial.design is None:
        return {}
    space = run.config.space
    places = zip(space.parameters, space.encode(trial.design), strict=True)
    return {f"design.{one.name}": one.choices[index] for one, index in places}


def _typed(rows: Sequence[dict[str, Any]]) -> "pd.DataFrame":
    """Return the table, known columns first, whose types do not depend on what is missing."""
    import pandas as pd

    table = pd.DataFrame(rows)
    others = [name for name in map(str, table) if name not in COLUMNS]
    kinds = {name: one.kind for name, one in COLUMNS.items()}
    try:
        table = table[[*COLUMNS, *others]].astype(kinds)
    except (OverflowError, ValueError, TypeError) as error:
        raise UsageError(f"a run holds what no column can: {error!s:.200}") from None
    for name in others:
        table[name] = table[name].convert_dtypes()
        if table[name].dtype == object:
            raise UsageError(
                f"parameter {name.removeprefix('design.')} is a number in one run and a name in "
                "another; export these runs apart"
            )
    return table


def _card(table: "pd.DataFrame") -> str:
    split, std = table["split"].fillna("own"), table["predictive_std"].dropna()
    sources = [
        (name, part["run"].nunique(), len(part), ", ".join(sorted(set(split[part.index]))))
        for name, part in table.groupby("source", sort=False)
    ]
    return cards.render(
        Path(__file__).with_name("trajectories_card.md.jinja"),
        table=TABLE,
        sources=sources,
        splits=split.value_counts().to_dict(),
        schema=[(name, table[name].dtype, one.meaning) for name, one in COLUMNS.items()],
        parameters=[name for name in map(str, table) if name.startswith("design.")],
        measured=[name for name in map(str, table) if name.startswith("measured.")],
        evaluators=table["evaluator"].value_counts().to_dict(),
        judges=table["digest.evaluator"].nunique(),
        simulators=table["digest.simulator"].nunique(),
        typical_std=float(std.median()) if len(std) else None,
    )
