"""What kernels do in the scenarios of a comparison, and what models believe they do."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cim_sim.config import UsageError, read_yaml
from cim_sim.evaluate import Evaluation
from cim_sim.scenario import Limits
from cim_sim.space import ConvChoice, Design
from search.comparison.equality import Arm
from search.comparison.result import BeliefRow, KernelRow
from search.evaluators import digests, of_chips
from search.record.judge import Judge
from search.record.runs import RunRecord
from search.record.tasks import Task
from search.study.scales import by_scenario


def kernels_of(arms: Sequence[Arm]) -> Iterator[KernelRow]:
    """Yield, for each scenario, its best design with all kernels set to each size in turn."""
    for runs in by_scenario([run for arm in arms for run in arm.runs]).values():
        found = [trial for run in runs for trial in run.trials if trial.feasible and trial.design]
        best = max(found, key=lambda trial: trial.score, default=None)
        task = runs[0].config.task
        if best and best.design and isinstance(task, Task):
            yield from _rows(runs[0], task, best.design)


def _rows(run: RunRecord, task: Task, best: Design) -> Iterator[KernelRow]:
    sizes = task.space.kernels
    same = (tuple(ConvChoice(one.channels, size) for one in best.layers) for size in sizes)
    designs = [best.model_copy(update={"layers": layers}) for layers in same]
    for size, one in zip(sizes, _evaluated(run, task, designs), strict=True):
        yield KernelRow(
            scenario=task.name,
            channels=tuple(one.channels for one in best.layers),
            kernel=size,
            utilisation=one.cost.utilisation if one.cost else None,
            latency_ns=one.cost.latency_ns if one.cost else None,
            accuracy=one.accuracy.mean if one.accuracy else None,
        )


def _evaluated(run: RunRecord, task: Task, designs: Sequence[Design]) -> list[Evaluation]:
    """Cost designs, and predict their accuracy where the runs were judged by today's surrogate.

    Without limits: what a kernel does is seen beyond them too.
    """
    config, judge = run.config, Judge(evaluator="surrogate")
    surrogate = config.evaluator == "surrogate"
    surrogate &= digests(task.scenario, task.space, config) == run.manifest.digests
    free = task.scenario.model_copy(update={"limits": Limits()})
    evaluator = of_chips(free, task.space, judge)
    return evaluator.evaluate(designs) if surrogate else evaluator.screen(designs)


def beliefs_of(files: Sequence[Path]) -> Iterator[BeliefRow]:
    """Yield what models said of kernels, from the results of `python -m finetune probe`.

    Raises:
        UsageError: a file is no such result.
    """
    for file in files:
        try:
            probe = read_yaml(file)
            model = str(probe["model"]["name"])
            for kind, belief in probe["beliefs"].items():
                right = belief["right"]["likelier"]
                yield BeliefRow(
                    model=model,
                    kind=kind,
                    right=right,
                    says_larger=belief["larger"],
                    larger_is_right=belief["larger_is_right"],
                )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise UsageError(
                f"{file}: no result of a probe; make one: python -m finetune probe"
            ) from None
