"""One run from beginning to end: directory, evaluator, optimiser, loop, and how it ended."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cim_sim.config import UsageError
from search.evaluators import digests
from search.llm.connection import weights_of
from search.llm.server import with_dtype
from search.loop import Report, Search
from search.optimizers import OPTIMIZERS, asked_by, llm, settings_of, warm
from search.proposal import Evaluator, Problem, SearchStopped
from search.record.manifest import RunConfig, Status
from search.record.runs import Run, open_run
from search.record.trace import Trial


def resolved(config: RunConfig) -> RunConfig:
    """Return the configuration with every setting of its optimiser spelt out.

    Raises:
        UsageError: optimiser or settings are not known.
    """
    return config.model_copy(update={"settings": _whole(config.optimizer, config.settings)})


def _whole(optimizer: str, given: dict[str, Any]) -> dict[str, Any]:
    settings = settings_of(optimizer, given)
    whole = settings.model_dump(mode="json")
    if isinstance(settings, llm.Settings):
        whole["model"] = with_dtype(settings.model).model_dump(mode="json")
    if isinstance(settings, warm.Settings):
        for name, part in (("first", settings.first), ("then", settings.then)):
            whole[name]["settings"] = _whole(part.optimizer, part.settings)
    return whole


def execute(
    config: RunConfig,
    evaluator: Evaluator,
    out: Path,
    *,
    resume: bool = False,
    report: Report = lambda trial: None,
) -> Sequence[Trial]:
    """Do a run, or what is left of it, and return all its trials.

    Args:
        config: what to do.
        evaluator: evaluates its designs; `evaluators.build` makes it.
        out: the run directory.
        resume: go on with the run that is there, or begin it if it was never begun.
        report: told of each new trial when it is on the disk.

    Raises:
        UsageError: the settings do not fit, the directory holds something else, or the model of a
            finished run has become another one in the same place.
        SearchStopped: the run ended early and can be resumed; says why and how.
        KeyboardInterrupt: likewise.
        OSError: the directory cannot be written.
    """
    config = resolved(config)
    with open_run(out, config, digests(config.scenario, config.space, config), resume) as run:
        if not run.complete:
            _advance(run, evaluator, report)
            return run.trials.records
        if asked := asked_by(run.config):
            weights, then = weights_of(asked.model), run.manifest.model or {}
            run.require_model({name: then.get(name) for name in weights}, weights)
        if run.manifest.status != "done":
            run.finish("done", "episodes")
        return run.trials.records


def _advance(run: Run, evaluator: Evaluator, report: Report) -> None:
    config = run.config
    problem = Problem(config.task, evaluator.screen, config.seed, max(config.screen, 1))
    settings = settings_of(config.optimizer, config.settings)
    try:
        with OPTIMIZERS[config.optimizer].open(problem, settings, run) as ready:
            run.identify(ready.model, ready.lineage, ready.given)
            Search(run, ready.optimizer, evaluator).to_the_end(report)
    except KeyboardInterrupt:
        _end(run, "interrupted", "interrupt")
        raise KeyboardInterrupt(_go_on(run, "interrupted")) from None
    except UsageError as error:
        run.refuse(str(error))
        raise
    except (SearchStopped, OSError) as error:
        reason = _reason(error)
        _end(run, "failed", reason)
        raise SearchStopped(_go_on(run, reason)) from None
    except Exception as error:
        _end(run, "failed", f"{type(error).__name__}: {error}")
        raise
    run.finish("done", "episodes")


def _end(run: Run, status: Status, reason: str) -> None:
    """Note the end in the manifest; on a full disk that fails too, and the first fault counts."""
    with suppress(OSError):
        run.finish(status, reason)


def _reason(error: SearchStopped | OSError) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _go_on(run: Run, reason: str) -> str:
    done = f"{len(run.trials.records)} of {run.config.episodes} episodes are recorded"
    named = "" if isinstance(run.config.evaluator, str) else " --config FILE"
    command = f"python -m search run --resume --out {shlex.quote(str(run.path))}{named}"
    return f"{reason}\n{done}; go on with: {command}"
