"""What a person sees of a running search: each trial, and the best so far."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import shorten

from cim_sim.progress import on_terminal, stepped
from search.record.manifest import RunConfig
from search.record.summary import summarise
from search.record.trace import Trial

LONGEST = 280
"""Characters of a line about a trial."""


@contextmanager
def shown(config: RunConfig, before: Sequence[Trial]) -> Iterator[Callable[[Trial], None]]:
    """Yield what to call with each new trial.

    Args:
        config: of the run.
        before: trials that an earlier session recorded.
    """
    trials = list(before)
    if before:
        print(f"going on after {len(before)} of {config.episodes} episodes", flush=True)

    def best_with(trial: Trial) -> str:
        trials.append(trial)
        return standing(trials)

    with stepped(config.optimizer, config.episodes, len(before)) as step:

        def told(trial: Trial) -> None:
            known = best_with(trial), outcome(trial)
            place = step("  ".join(known))
            if not on_terminal():
                design = trial.design.wire() if trial.design else "no design"
                print(place, *known[::-1], design, sep="  ", flush=True)

        yield told


def standing(trials: Sequence[Trial]) -> str:
    """Say how good a search is so far, and which share of it came to nothing."""
    counts = summarise(trials)
    best = "best none" if counts.best_reward is None else f"best {counts.best_reward:.4f}"
    shares = {"infeasible": counts.infeasible, "failed": counts.failures}
    told = (f", {count / len(trials):.0%} {kind}" for kind, count in shares.items() if count)
    return best + "".join(told)


def outcome(trial: Trial) -> str:
    """Say in a few words what became of a trial."""
    if trial.failure is not None:
        text = f"failed ({trial.failure.kind}): {trial.failure.message}"
    elif trial.evaluation is not None and trial.evaluation.infeasible is not None:
        fault = trial.evaluation.infeasible
        kind = "" if fault.kind == "own" else f" ({fault.kind})"
        text = f"infeasible{kind}: {fault.reason}"
    else:
        measured = trial.evaluation.measured if trial.evaluation else {}
        numbers = (f"{name} {value:.5g}" for name, value in measured.items())
        text = ", ".join([f"reward {trial.score:.4f}", *numbers])
    again = f", as in episode {trial.duplicate_of + 1}" if trial.duplicate_of is not None else ""
    return shorten(text.splitlines()[0], LONGEST, placeholder=" ...") + again
