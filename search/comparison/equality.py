"""Which runs may be compared: equal problem, equal questions, and a model that was really used."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

from cim_sim.config import canonical_json
from search.llm.model import ModelConfig
from search.optimizers import asked_by, model_of
from search.record.manifest import differences
from search.record.runs import RunRecord

Factor = Literal["prompt", "sampling", "server"]
"""What language-model arms must share, unless it is the factor that is compared."""


class NotComparable(Exception):
    """The runs differ in something that a comparison must hold equal; lists all of it."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("these runs cannot be compared:\n  " + "\n  ".join(faults))


class Arm(NamedTuple):
    """Runs that differ in their seed alone."""

    name: str
    runs: list[RunRecord]
    """In the order of their seeds."""


def require_comparable(runs: Sequence[RunRecord], factors: Collection[Factor] = ()) -> None:
    """Check that runs share everything but the optimiser.

    Args:
        runs: at least one.
        factors: what language-model arms may differ in, because it is what is compared.

    Raises:
        NotComparable: names each difference, and each adapter without a passed round trip.
    """
    faults = _unequal([(run, _problem(run)) for run in runs])
    questions = [(run, _asking(run, model)) for run in runs if (model := model_of(run.config))]
    faults += _unequal(
        [(run, {k: v for k, v in asked.items() if k not in factors}) for run, asked in questions]
    )
    for run in runs:
        if not run.trials:
            faults.append(f"{run.path}: holds no trial yet")
        faults += _unproven(run)
    for arm in arms_of(runs):
        counts = Counter(run.config.seed for run in arm.runs).items()
        faults += [f"{arm.name}: seed {seed} is there {n} times" for seed, n in counts if n > 1]
    if faults:
        raise NotComparable(faults)


def arms_of(runs: Sequence[RunRecord]) -> list[Arm]:
    """Group runs that differ in their seed alone, in the order in which they come."""
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        config = run.config
        who = [config.optimizer, config.settings, config.batch, run.manifest.model]
        groups.setdefault(canonical_json(who), []).append(run)
    ordered = [sorted(group, key=lambda run: run.config.seed) for group in groups.values()]
    names = [_name(group[0]) for group in ordered]
    return [
        Arm(name if names.count(name) == 1 else f"{name} ({group[0].path.name})", group)
        for name, group in zip(names, ordered, strict=True)
    ]


def _unproven(run: RunRecord) -> list[str]:
    """Say why nobody knows that the server used what was trained; empty if it is proven."""
    adapter = run.manifest.lineage.adapter if run.manifest.lineage else None
    model = model_of(run.config)
    if adapter is None or model is None:
        return []
    check, identity = adapter.round_trip, run.manifest.model or {}
    used = (identity.get("adapter") or identity.get("weights"), model.concurrency)
    if check is None:
        fault = "was never made"
    elif not check.passed:
        fault = f"failed ({'; '.join(check.faults)})"
    elif (check.served, check.concurrency) != used:
        fault = (
            f"was made with weights {check.served} at concurrency {check.concurrency}, not {used}"
        )
    else:
        return []
    return [
        f"{run.path}: the round trip of adapter {adapter.path} {fault}; so the server may not have "
        f"used what was trained: python -m finetune roundtrip --adapter {adapter.path}, then a new "
        "run"
    ]


def _problem(run: RunRecord) -> dict[str, Any]:
    """Return what all arms must share."""
    config = run.config.model_dump(
        mode="json", include={"space", "told", "accuracy_seed", "screen"}
    )
    scenario = run.config.scenario.model_dump(mode="json", exclude={"name"})
    digests = run.manifest.digests
    evaluator = {"kind": run.config.evaluator, "digest": digests.evaluator}
    return {"scenario": scenario, **config, "evaluator": evaluator, "simulator": digests.simulator}


def _asking(run: RunRecord, model: ModelConfig) -> dict[str, Any]:
    """Return what language-model arms must share."""
    asked, identity = asked_by(run.config), run.manifest.model or {}
    return {
        "prompt": {
            **(asked.model_dump(mode="json", exclude={"model"}) if asked else {}),
            "renderer": identity.get("renderer"),
        },
        "sampling": {
            **model.sampling.model_dump(),
            "extra_body": model.extra_body,
            "max_model_len": model.max_model_len,
        },
        "server": {
            **model.server.model_dump(exclude={"port", "ready_s"}),
            "version": identity.get("server"),
            "base_url": identity.get("base_url"),
            "concurrency": model.concurrency,
        },
    }


def _unequal(facts: Sequence[tuple[RunRecord, dict[str, Any]]]) -> list[str]:
    return [
        f"{facts[0][0].path} and {run.path}: {difference}"
        for run, fact in facts[1:]
        for difference in differences(facts[0][1], fact)
    ]


def _name(run: RunRecord) -> str:
    config, model = run.config, model_of(run.config)
    if config.optimizer == "warm":
        parts = config.settings["first"]["optimizer"], config.settings["then"]["optimizer"]
        return f"{model.name if model else parts[0]}, then {parts[1]}"
    return model.name if model else config.optimizer
