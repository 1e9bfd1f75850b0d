"""The verb `compare`: runs on equal terms, or exit 3 and what is unequal."""

import sys
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Annotated

import tyro

from cim_sim import cli
from cim_sim.config import UsageError, load
from search.comparison.equality import Factor
from search.record.manifest import Digests

EXIT_REFUSED = 3


def compare(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    out: Path,
    optimum: str | None = None,
    factor: tuple[Factor, ...] = (),
) -> int:
    """Compare runs that share scenario, space, evaluator, simulator and screening.

    Runs that differ in their seed alone form one arm. Writes comparison.json, comparison.md and
    best_so_far.png. Exit 3: the runs cannot be compared, and why.

    Args:
        runs: directories of the runs.
        out: directory for the page, its data and the figure.
        optimum: best known reward, or the JSON file of `search optimum`; without it the best of
            these runs.
        factor: what language-model arms may differ in, because it is what is compared.
    """
    from cim_sim.files import write_whole
    from search.comparison.compare import compare as compared
    from search.comparison.compare import regret_ends
    from search.comparison.equality import NotComparable, arms_of, require_comparable
    from search.comparison.figure import draw
    from search.comparison.page import page
    from search.record.runs import read_run

    records = [read_run(path) for path in runs]
    if not records:
        raise UsageError("compare: name the run directories, as in runs/a runs/b --out runs/c")
    best, median = _known(optimum, records[0].manifest.digests)
    try:
        require_comparable(records, factor)
        arms = arms_of(records)
        comparison = compared(arms, regret_ends(arms, best, median))
    except NotComparable as refusal:
        print(refusal, file=sys.stderr)
        return EXIT_REFUSED
    out.mkdir(parents=True, exist_ok=True)
    draw(arms, comparison, out / "best_so_far.png")
    write_whole(out / "comparison.md", page(comparison))
    write_whole(out / "comparison.json", comparison.model_dump_json(indent=2) + "\n")
    print(f"wrote {out / 'comparison.md'}")
    cli.emit(
        scenario=comparison.scenario,
        budget=comparison.budget,
        best_reward={arm.name: arm.best_reward.mean for arm in comparison.arms},
        regret={arm.name: arm.regret and arm.regret.mean for arm in comparison.arms},
        out=str(out),
    )
    return 0


def _known(optimum: str | None, digests: Digests) -> tuple[float | None, float | None]:
    """Return the best known reward and the median of random designs, as far as they are given.

    Raises:
        UsageError: neither a number nor an optimum file of this problem and judge.
    """
    from search.study.optimum import Optimum

    if optimum is None:
        return None, None
    with suppress(ValueError):
        if not isfinite(best := float(optimum)):
            raise UsageError(f"--optimum {optimum}: not a reward")
        return best, None
    if not Path(optimum).is_file():
        raise UsageError(f"--optimum {optimum}: neither a number nor a file")
    known = load(optimum, Optimum)
    its = known.digests.model_dump() if known.digests else {"scenario": known.scenario}
    different = [name for name, value in its.items() if value != getattr(digests, name)]
    if different:
        raise UsageError(
            f"--optimum {optimum}: is of another {' and '.join(different)} than the runs"
        )
    return known.reward, known.median_feasible
