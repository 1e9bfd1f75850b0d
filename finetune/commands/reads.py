"""The verb `reads`: how far authors of designs read the results that they are told."""

from pathlib import Path
from typing import Annotated

import tyro

from cim_sim import cli
from cim_sim.config import UsageError
from cim_sim.paths import readable


def reads(
    models: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    data: Path = Path("runs/finetune/dialogues"),
    out: Path = Path("runs/finetune/reads.json"),
    dry_run: bool = False,
) -> int:
    """Take the loss of held-out designs with results as they were, and with results swapped.

    Args:
        models: directories of adapters, or of a base; the others are compared with the first.
        data: dialogues, as `python -m finetune dataset` writes them.
        out: file that gets the losses of every dialogue.
        dry_run: say what would be asked, and stop.
    """
    from cim_sim.files import write_whole
    from finetune.reading import questions, read_by, require_dialogues, table

    if not models:
        raise UsageError("give adapters or bases: python -m finetune reads runs/finetune/local")
    named = {folder.name: readable(folder) for folder in models}
    if len(named) < len(models):
        raise UsageError(
            f"two of {', '.join(map(str, models))} have the same name, and rows are named so"
        )
    require_dialogues(data)
    if dry_run:
        return cli.planned(dialogues=len(questions(data)), models=", ".join(named), writes=str(out))
    reading = read_by(data, named)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, reading.model_dump_json(indent=1) + "\n")
    print(table(reading))
    cli.emit(models=len(named), dialogues=len(reading.scenarios), out=str(out))
    return 0
