"""What a person sees of a running search: each trial, and the best so far."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from cim_sim.progress import on_terminal, stepped
from search.record.manifest import RunConfig
from search.record.trace import Trial


@contextmanager
def shown(config: RunConfig, before: Sequence[Trial]) -> Iterator[Callable[[Trial], None]]:
    """Yield what to call with each new trial.

    Args:
        config: of the run.
        before: trials that an earlier session recorded.
    """
    rewards = [trial.score for trial in before if trial.feasible]
    if before:
        print(f"going on after {len(before)} of {config.episodes} episodes", flush=True)

    def best_with(trial: Trial) -> str:
        rewards.extend([trial.score] if trial.feasible else [])
        return f"best {max(rewards):.4f}" if rewards else "best none"

    with stepped(config.optimizer, config.episodes, len(before)) as step:

        def told(trial: Trial) -> None:
            known = best_with(trial), outcome(trial)
            place = step("  ".join(known))
            if not on_terminal():
                design = trial.design.wire() if trial.design else "no design"
                print(place, *known[::-1], design, sep="  ", flush=True)

        yield told


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
    return text.splitlines()[0][:160] + again
