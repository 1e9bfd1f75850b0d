"""The verb `kernels`: cost against kernel size, and the paper's 5x5 question."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import UsageError


def kernels(out: Path = Path("runs/kernels.png")) -> int:
    """Draw utilisation, latency and energy against kernel size; answer the 5x5 question.

    Args:
        out: figure to write (PNG).
    """
    from cim_sim.cost_study import kernels as study

    if out.suffix != ".png" or out.is_dir():
        raise UsageError(f"--out {out}: name a file that ends in .png, as in runs/kernels.png")
    curves = study.sweep()
    try:
        study.draw(curves, out)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror or error}") from None
    answer = study.answer(curves)
    for name, counts in answer.items():
        print(
            f"{name:22} of {counts['settings']} settings 5x5 fills worst in "
            f"{counts['5x5 fills worst']}, is slowest in {counts['5x5 slowest']}"
        )
    cli.emit(out=str(out), **answer)
    return 0
