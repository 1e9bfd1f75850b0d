"""Traces: really trained networks, re-costed under many scenarios.

Accuracy does not know the scenario, and cost is free: one trained network of the accuracy bench
gives an honest evaluation in every scenario whose variation is the noise that it was trained and
tested at. No accuracy here is made up; each row names the training that it comes from. What past
searches evaluated is traces too, by whatever judged them.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import inf
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from cim_sim.accuracy.bench.columns import layers_of
from cim_sim.accuracy.query import Accuracy, Adc, Query, Recipe
from cim_sim.config import UsageError
from cim_sim.evaluate import Evaluation, judge, screen
from cim_sim.files import read_table, write_table, write_whole
from cim_sim.hardware import FreeHardware
from cim_sim.own import AnySpace
from cim_sim.paths import readable
from cim_sim.scenario import Scenario
from cim_sim.space import Design, Space
from search.record.manifest import differences
from search.record.runs import RunRecord, read_run
from search.record.tasks import AnyTask, Task, read_tasks

TRACES, SCENARIOS = "traces.parquet", "scenarios.jsonl"
AGAIN = "make the traces again: python -m finetune traces"

COLUMNS = ("space", "scenario", "source", "evidence", "reward", "evaluation")
SAME = 1e-4
"""Sigmas this close are one: a cell's, rounded, converts to a weight's."""

Source = Literal["bench", "surrogate", "run", "table"]


class Trained(NamedTuple):
    """One network of the bench, tested at the noise it was trained at, under one ADC."""

    key: str
    """Identity of the training in the bench."""
    query: Query
    """What was asked; of the proxy network that was trained."""
    accuracy: Accuracy


class Trace(NamedTuple):
    """One evaluation and where its accuracy comes from."""

    space: str
    source: Source
    evidence: str
    """Key of the training, digest of the surrogate, the evaluator of the run and its digest, or the
    name of another program's file and its digest."""
    evaluation: Evaluation

    @property
    def reward(self) -> float:
        """Reward; an infeasible design is worse than any that has one, whatever the scale."""
        return -inf if self.evaluation.reward is None else self.evaluation.reward


def read_bench(table: Path) -> list[Trained]:
    """Return the matched tests under an ADC of a bench's Parquet table.

    Raises:
        UsageError: there is no such table.
    """
    if not readable(table).is_file():
        raise UsageError(
            f"{table}: no table of an accuracy bench; "
            f"make one: make bench-accuracy N=150 PUBLISH={table}"
        )
    tests = read_table(table)
    matched = (tests["sigma"] == tests["training_sigma"]) & tests["adc_levels"].notna()
    asked = tests[matched].astype(object)
    rows: list[Any] = asked.where(asked.notna(), None).to_dict("records")
    return [_trained(row) for row in rows]


def bench_traces(task: Task, trained: Sequence[Trained]) -> Iterator[Trace]:
    """Evaluate in one scenario all networks of the bench that answer a question of it.

    Where the space frees hardware, each network meets every choice of it whose cells give the
    sigma that it was tested at.
    """
    space, scenario = task.space, task.scenario
    trained_for = {
        design: network
        for network in trained
        for design in _designs(network, space)
        if _answers(network, scenario, design, space)
    }
    for screened in screen(list(trained_for), scenario):
        network = trained_for[screened.design]
        feasible = screened.infeasible is None
        judged = judge(screened, network.accuracy, scenario) if feasible else screened
        yield Trace(space.name, "bench", network.key, judged)


def run_traces(run: RunRecord) -> Iterator[Trace]:
    """Yield what a run evaluated, each design once."""
    evidence = f"{run.config.judged_by} {run.manifest.digests.evaluator}"
    for trial in run.trials:
        if trial.evaluation and trial.duplicate_of is None:
            yield Trace(run.config.space.name, "run", evidence, trial.evaluation)


def find_runs(places: Sequence[Path]) -> list[RunRecord]:
    """Read all runs in and below some directories, in the order of their paths.

    Raises:
        UsageError: there is none below one of them, or one is damaged.
    """
    runs = []
    for place in places:
        found = sorted(file.parent for file in place.rglob("manifest.json"))
        found = [folder for folder in found if (folder / "trials.jsonl").is_file()]
        if not found:
            raise UsageError(
                f"{place}: no run in or below it (manifest.json beside trials.jsonl); make one: "
                "python -m search run or sweep"
            )
        runs += [read_run(folder) for folder in found]
    return runs


def write_traces(folder: Path, tasks: Sequence[AnyTask], traces: Sequence[Trace]) -> None:
    """Write `traces.parquet`, and `scenarios.jsonl` last: where it stands, all is there."""
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "space": trace.space,
            "scenario": trace.evaluation.scenario,
            "source": trace.source,
            "evidence": trace.evidence,
            "reward": trace.evaluation.reward,
            "evaluation": trace.evaluation.model_dump_json(),
        }
        for trace in traces
    ]
    write_table(folder / TRACES, pd.DataFrame(rows, columns=list(COLUMNS)))
    lines = [task.model_dump_json() + "\n" for task in tasks]
    write_whole(folder / SCENARIOS, "".join(lines))


def joined(parts: Sequence[Path], folder: Path) -> tuple[int, int, int]:
    """Write the traces of several folders as one; returns tasks, evaluations, feasible ones."""
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    rows = pd.concat([read_table(part / TRACES) for part in parts], ignore_index=True)
    write_table(folder / TRACES, rows)
    lines = "".join((part / SCENARIOS).read_text(encoding="utf-8") for part in parts)
    write_whole(folder / SCENARIOS, lines)
    return lines.count("\n"), len(rows), int(rows["reward"].notna().sum())


def read_traces(folder: Path) -> tuple[list[AnyTask], dict[tuple[str, str], list[Trace]]]:
    """Return the tasks, and the traces by (space, scenario digest).

    Raises:
        UsageError: the files are absent or damaged.
    """
    if not (folder / TRACES).is_file():
        raise UsageError(
            f"{folder / TRACES} is missing; make it: python -m finetune traces --out {folder}"
        )
    # A task that was searched several times is one task, with all its designs.
    tasks = list(dict.fromkeys(read_tasks(folder / SCENARIOS, AGAIN)))
    spaces = _spaces(tasks, folder)
    traces: dict[tuple[str, str], list[Trace]] = {}
    rows: list[Any] = read_table(folder / TRACES, COLUMNS).to_dict("records")
    for number, row in enumerate(rows, start=1):
        trace = _read(row, spaces, f"{folder / TRACES}, row {number}")
        traces.setdefault((trace.space, trace.evaluation.scenario), []).append(trace)
    return tasks, traces


def _spaces(tasks: Sequence[AnyTask], folder: Path) -> dict[tuple[str, str], AnySpace]:
    """Return the space by its name and the scenario's digest, by which traces name it.

    Raises:
        UsageError: two spaces have one name, so that nobody knows what a design was chosen from.
    """
    spaces: dict[tuple[str, str], AnySpace] = {}
    for task in tasks:
        known = spaces.setdefault((task.space.name, task.scenario.digest), task.space)
        if known != task.space:
            changes = differences(known.model_dump(mode="json"), task.space.model_dump(mode="json"))
            raise UsageError(
                f"{folder}: two spaces of scenario {task.scenario.name} are called "
                f"{task.space.name}: {'; '.join(changes)}; take the runs of one, or give the "
                "other a name of its own and search again"
            )
    return spaces


def _read(row: Mapping[str, Any], spaces: Mapping[tuple[str, str], AnySpace], where: str) -> Trace:
    """Return a row as a trace.

    Raises:
        UsageError: it is damaged, of no task, or its design lies outside the task's space.
    """
    try:
        evaluation = Evaluation.model_validate_json(row["evaluation"])
    except ValidationError as error:
        fault = error.errors()[0]["msg"]
        raise UsageError(f"{where}: not an evaluation: {fault}; {AGAIN}") from None
    space = spaces.get((row["space"], evaluation.scenario))
    if space is None:
        raise UsageError(f"{where}: its task is not in {SCENARIOS}; {AGAIN}")
    if faults := space.check(evaluation.design):
        raise UsageError(f"{where}: {'; '.join(faults[:6])}; {AGAIN}")
    return Trace(row["space"], row["source"], row["evidence"], evaluation)


def _trained(row: Mapping[str, Any]) -> Trained:
    names = ("mean", "std", "quantile_10", "draws", "clean")
    query = Query(
        layers=layers_of(row),
        dataset=row["dataset"],
        recipe=Recipe(epochs=int(row["epochs"]), clip_rms=row["clip_rms"]),
        training_sigma=row["training_sigma"],
        sigma=row["sigma"],
        adc=Adc(levels=int(row["adc_levels"]), rows=int(row["adc_rows"])),
        images=row["images"],
    )
    measured = {name: row[name] for name in names}
    return Trained(row["training_key"], query, Accuracy.model_validate(measured))


def _designs(network: Trained, space: Space) -> Iterator[Design]:
    """Yield the designs of a space whose proxy network is the trained one."""
    layers = [(channels * space.width_divisor, kernel) for channels, kernel in network.query.layers]
    choices = [getattr(space.hardware, name) for name in space.freed]
    for values in product(*choices):
        hardware = FreeHardware.model_validate(dict(zip(space.freed, values, strict=True)))
        design = Design.model_validate({"layers": layers, "hardware": hardware})
        if not space.check(design):
            yield design


def _answers(network: Trained, scenario: Scenario, design: Design, space: Space) -> bool:
    """Whether the training measured what the scenario asks; the number of draws may differ."""
    asked, measured = scenario.query(design, space, seed=0), network.query
    if max(abs(asked.sigma - measured.sigma), abs(asked.training_sigma - measured.sigma)) > SAME:
        return False
    recipe = asked.recipe.model_copy(update={"draws": measured.recipe.draws})
    level = {"sigma": measured.sigma, "training_sigma": measured.sigma}
    return asked.model_copy(update={"recipe": recipe, **level}) == measured
