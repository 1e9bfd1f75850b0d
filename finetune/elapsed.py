"""How long a training takes, over all its starts: each checkpoint says how long it took to it."""

import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from cim_sim.config import Config, load
from cim_sim.files import write_whole

RECORD = "elapsed.json"


class Elapsed(Config):
    """Time of a training up to a moment."""

    seconds: float
    whole: bool
    """False: an earlier start left no record, and it took at least `seconds`."""


class Clock(TrainerCallback):  # type: ignore[misc]
    """Runs from its making, and goes on from the time of a checkpoint."""

    def __init__(self, checkpoint: Path | None) -> None:
        self._before = elapsed_at(checkpoint) if checkpoint else Elapsed(seconds=0, whole=True)
        self._started = time.monotonic()

    @property
    def elapsed(self) -> Elapsed:
        """Time up to now."""
        seconds = self._before.seconds + time.monotonic() - self._started
        return Elapsed(seconds=round(seconds, 1), whole=self._before.whole)

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Write it into the checkpoint that was made just now."""
        if state.is_world_process_zero:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_whole(checkpoint / RECORD, self.elapsed.model_dump_json() + "\n")


def elapsed_at(checkpoint: Path) -> Elapsed:
    """Return how long it took to a checkpoint; at least nothing, where it does not say.

    Raises:
        UsageError: its record is damaged.
    """
    record = checkpoint / RECORD
    return load(record, Elapsed) if record.is_file() else Elapsed(seconds=0, whole=False)
