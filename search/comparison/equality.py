"""Which runs may be compared: equal problem, equal questions, and a model that was really used."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cim_sim.config import canonical_json
from search.comparison.sources import Gathered, Source
from search.llm.model import ModelConfig
from search.optimizers import asked_by, is_oracle, model_of, settings_of, warm
from search.record.adapter import read_round_trip
from search.record.manifest import differences
from search.record.runs import RunRecord
from search.study.scales import by_scenario

Factor = Literal["prompt", "sampling", "server", "batch", "screen"]
"""What arms must share, unless it is the factor that is compared."""
OF_THE_RUN = {"optimizer", "settings", "scenario", "episodes", "seed", "batch", "screen"}
"""Of a run's configuration, what is no part of the problem; whatever else there is must be equal.
"""
OF_THE_MODEL = {"name", "path", "adapter", "made_by", "model", "script"}
PATIENCE = {"timeout_s", "tries", "pause_s"}
"""Changes no answer. Of a model's configuration all but these and the above must be equal."""


class NotComparable(Exception):
    """The runs differ in something that a comparison must hold equal; lists all of it."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("these runs cannot be compared:\n  " + "\n  ".join(faults))


class Arm(NamedTuple):
    """Runs that differ in scenario, seed, and the seed of a model's training alone."""

    name: str
    runs: list[RunRecord]

    @property
    def first(self) -> RunRecord:
        """Any of them: settings and budget are the same in all, and so is the model's recipe."""
        return self.runs[0]

    @property
    def trainings(self) -> dict[int | None, list[RunRecord]]:
        """The runs by the seed of the training that made their model; None: none did here."""
        found: dict[int | None, list[RunRecord]] = defaultdict(list)
        for run in self.runs:
            found[_training_seed(run)].append(run)
        return found


def require_comparable(found: Gathered, factors: Collection[Factor] = ()) -> list[Arm]:
    """Return the arms, when their runs share everything but the optimiser.

    Args:
        found: the runs.
        factors: what arms may differ in, because it is what is compared.

    Raises:
        NotComparable: names each difference, and each model of which it is not known that it is
            the one that was trained.
    """
    runs, arms = [source.run for source in found.sources], arms_of(found.sources)
    faults = _unequal([(run, _terms(run, factors)) for run in runs])
    for group in by_scenario(runs).values():
        faults += _unequal([(run, _problem(run)) for run in group])
    faults += _same_names(runs)
    questions = [(run, _asking(run, model)) for run in runs if (model := model_of(run.config))]
    faults += _unequal(
        [(run, {k: v for k, v in asked.items() if k not in factors}) for run, asked in questions]
    )
    faults += [fault for arm in arms for fault in _faults_of(arm)]
    if found.complete:
        faults += _other_cells(arms)
    if faults:
        raise NotComparable(faults)
    return arms


def arms_of(sources: Sequence[Source]) -> list[Arm]:
    """Group runs that differ in scenario and seed alone.

    Sweeps that call their arms by one name, whose models differ in the seed of their training
    alone, make one arm. Language models come first, oracles last, the others in between, each in
    the order given.
    """
    groups: dict[str, list[Source]] = {}
    for source in sources:
        config = source.run.config
        who = [source.label, config.optimizer, config.batch, config.screen, *_asked_whom(source)]
        groups.setdefault(canonical_json(who), []).append(source)
    arms = [
        Arm(name, [source.run for source in group])
        for name, group in zip(_names([*groups.values()]), groups.values(), strict=True)
    ]
    return sorted(arms, key=_rank)


def _asked_whom(source: Source) -> tuple[Any, Any]:
    """Return how a run asks, and whom: a model, or what all trainings of one recipe share."""
    run, model = source.run, source.run.manifest.model
    lineage = run.manifest.lineage
    adapter = lineage.adapter if lineage else None
    # An adapter that another one went on from is not made by its recipe alone.
    if source.label is None or adapter is None or adapter.manifest.went_on_from:
        return run.config.settings, model
    training = adapter.manifest.model_dump(
        mode="json", include={"base_digest", "data_digest", "renderer", "steps", "recipe"}
    )
    training["recipe"].pop("seed", None)  # a recipe need not name it
    return _without_names(run.config.settings), training


def _without_names(settings: Any) -> Any:
    """Return settings without what tells one model from another that is asked alike."""
    if not isinstance(settings, dict):
        return settings
    left = OF_THE_MODEL if "sampling" in settings else set()
    return {key: _without_names(own) for key, own in settings.items() if key not in left}


def _training_seed(run: RunRecord) -> int | None:
    lineage = run.manifest.lineage
    return lineage.adapter.manifest.seed if lineage and lineage.adapter else None


def _rank(arm: Arm) -> int:
    config = arm.first.config
    return 0 if model_of(config) else 2 if is_oracle(config) else 1


def _faults_of(arm: Arm) -> list[str]:
    """Say what is wrong with one arm by itself."""
    faults = [f"{run.path}: holds no trial yet" for run in arm.runs if not run.trials]
    budgets = sorted({run.config.episodes for run in arm.runs})
    if len(budgets) > 1:
        words = " and ".join(map(str, budgets))
        faults.append(
            f"{arm.name}: budgets of {words} episodes in one arm; raise the smaller ones: "
            f"python -m search run --resume --episodes {budgets[-1]} --out RUN"
        )
    for runs in arm.trainings.values():
        if len(given := sorted({run.manifest.given.words for run in runs})) > 1:
            faults.append(f"{arm.name}: runs that were given {' and '.join(given)} in one arm")
        counts = Counter((_task(run), run.config.seed) for run in runs).items()
        faults += [
            f"{arm.name}: seed {seed} is there {n} times in {task}"
            for (task, seed), n in counts
            if n > 1
        ]
    proofs = Counter(fault for run in arm.runs for fault in _unproven(run))
    return faults + [
        f"{arm.first.path}: {fault}" + (f" ({count} runs)" if count > 1 else "")
        for fault, count in proofs.items()
    ]


def _other_cells(arms: Sequence[Arm]) -> list[str]:
    """Name the arms that were not run in the same scenarios, or with other seeds in one.

    Each training of an arm's model must have been.
    """
    seeds = {
        f"{arm.name} (training {training})" if len(arm.trainings) > 1 else arm.name: _seeds(runs)
        for arm in arms
        for training, runs in arm.trainings.items()
    }
    first = next(iter(seeds))
    faults = []
    for name, own in seeds.items():
        for task in sorted({*own, *seeds[first]}):
            ours, theirs = sorted(own.get(task, ())), sorted(seeds[first].get(task, ()))
            if ours != theirs and not (ours and theirs):
                lacking, having = (first, name) if ours else (name, first)
                faults.append(f"{lacking} and {having}: scenario {task} is in the latter alone")
            elif ours != theirs:
                faults.append(f"{first} and {name}: seeds {theirs} and {ours} in scenario {task}")
    return faults


def _same_names(runs: Sequence[RunRecord]) -> list[str]:
    """Name the scenarios that are called like another one: pages tell them apart by name."""
    first = {digest: group[0] for digest, group in by_scenario(runs).items()}
    named: dict[str, list[RunRecord]] = defaultdict(list)
    for run in first.values():
        named[run.config.scenario.name].append(run)
    return [
        f"{same[0].path} and {same[1].path}: two different scenarios are called {name}; rename one"
        for name, same in named.items()
        if len(same) > 1
    ]


def _seeds(runs: Sequence[RunRecord]) -> dict[str, set[int]]:
    seeds: dict[str, set[int]] = defaultdict(set)
    for run in runs:
        seeds[_task(run)].add(run.config.seed)
    return seeds


def _task(run: RunRecord) -> str:
    return f"{run.config.scenario.name} ({run.manifest.digests.scenario[:6]})"


def _unproven(run: RunRecord) -> list[str]:
    """Say why nobody knows that the server used what was trained; empty if it is proven."""
    lineage, model = run.manifest.lineage, model_of(run.config)
    if lineage is None or model is None:
        return []
    if lineage.unknown == "no card":
        return [
            f"model {model.name}: no card beside the weights in {model.path}, so nobody knows what "
            "they were trained on; copy the whole folder that `finetune merge` wrote, or put the "
            "model's README.md there, then a new run"
        ]
    if lineage.adapter is None:
        return []
    adapter, identity = lineage.adapter, run.manifest.model or {}
    used = identity.get("adapter") or identity.get("weights")
    # A check may come after the search: it names the weights that it was made with.
    check = adapter.round_trip or read_round_trip(Path(adapter.path))
    again = ", then a new run"
    if check is None:
        fault, again = "was never made", ""
    elif not check.passed:
        fault = f"failed ({'; '.join(check.faults)})"
    elif (check.served, check.concurrency) != (used, model.concurrency):
        made = f"weights {check.served} at concurrency {check.concurrency}"
        fault = f"was made with {made}, not {(used, model.concurrency)}"
    else:
        return []
    checked = f"python -m finetune roundtrip --adapter {adapter.path}"
    if adapter.path == str(model.path):  # a merged copy; the check needs the adapter itself
        checked = "python -m finetune roundtrip --adapter DIR --model FILE.yaml"
    return [
        f"the round trip of adapter {adapter.path} {fault}; so the server may not have used what "
        f"was trained: {checked}{again}"
    ]


def _terms(run: RunRecord, factors: Collection[Factor]) -> dict[str, Any]:
    """Return what all arms must share in all scenarios."""
    digests, config = run.manifest.digests, run.config
    judge = {"kind": config.evaluator, "digest": digests.evaluator}
    terms: dict[str, Any] = {"evaluator": judge, "simulator": digests.simulator}
    rounds = {"batch": config.batch, "screen": config.screen}
    return terms | {name: value for name, value in rounds.items() if name not in factors}


def _problem(run: RunRecord) -> dict[str, Any]:
    """Return what all arms must share in one scenario."""
    return run.config.model_dump(mode="json", exclude=OF_THE_RUN)


def _asking(run: RunRecord, model: ModelConfig) -> dict[str, Any]:
    """Return what language-model arms must share."""
    asked, identity = asked_by(run.config), run.manifest.model or {}
    whole = model.model_dump(mode="json", exclude=OF_THE_MODEL | PATIENCE)
    server = whole.pop("server") | {key: whole.pop(key) for key in ("base_url", "concurrency")}
    free = {"port", "ready_s"}
    return {
        "prompt": {
            **(asked.model_dump(mode="json", exclude={"model"}) if asked else {}),
            "renderer": identity.get("renderer"),
        },
        "sampling": {**whole.pop("sampling"), **whole},
        "server": {
            **{key: value for key, value in server.items() if key not in free},
            "version": identity.get("server"),
            "base_url": identity.get("base_url"),
        },
    }


def _unequal(facts: Sequence[tuple[RunRecord, dict[str, Any]]]) -> list[str]:
    """Name each difference from the first run once, with how many runs have it."""
    seen: dict[str, list[RunRecord]] = defaultdict(list)
    for run, fact in facts[1:]:
        for difference in differences(facts[0][1], fact):
            seen[difference].append(run)
    return [
        f"{facts[0][0].path} and {runs[0].path}"
        + (f" (and {len(runs) - 1} more)" if len(runs) > 1 else "")
        + f": {difference}"
        for difference, runs in seen.items()
    ]


def _names(groups: Sequence[Sequence[Source]]) -> list[str]:
    """Tell arms of one name apart by their batch, the folder of their first run, or its whole path.

    Runs of a sweep all lie in directories called after their seeds.
    """
    names = [_name(group[0]) for group in groups]
    for words in (lambda run: f"batch {run.config.batch}", lambda run: run.path.name, _path):
        names = [
            name if names.count(name) == 1 else f"{_name(group[0])} ({words(group[0].run)})"
            for name, group in zip(names, groups, strict=True)
        ]
    return names


def _path(run: RunRecord) -> str:
    return str(run.path)


def _name(source: Source) -> str:
    config, model = source.run.config, model_of(source.run.config)
    screen = f"+screen{config.screen}" if config.screen else ""
    if source.label:
        return source.label + screen
    settings = settings_of(config.optimizer, config.settings)
    if isinstance(settings, warm.Settings):
        first = model.name if model else settings.first.optimizer
        return f"{first}, then {settings.then.optimizer}{screen}"
    return (model.name if model else config.optimizer) + screen
