"""The verb `compare`: runs and sweeps on equal terms, or exit 3 and what is unequal."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from cim_sim import cli
from search.comparison.equality import Factor

EXIT_REFUSED = 3


def compare(
    places: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    out: Path,
    factor: tuple[Factor, ...] = (),
    probe: tuple[Path, ...] = (),
    dry_run: bool = False,
) -> int:
    """Compare runs, or whole sweeps, over the scenarios and seeds that all arms share.

    Runs that differ in scenario and seed alone form one arm. Writes report.html, which opens
    without network, comparison.md, comparison.json with its schema, and the figures as PNG and
    SVG. Exit 3: the runs cannot be compared, and why.

    Args:
        places: directories of runs or sweeps; a sweep may still be running.
        out: directory for all that is written.
        factor: what arms may differ in, because it is what is compared.
        probe: results of `python -m finetune probe`, as before and after tuning.
        dry_run: show which runs would be compared, or why they cannot be, and stop.
    """
    from search.comparison.equality import NotComparable
    from search.comparison.write import compared, write

    try:
        if dry_run:
            return _plan(places, out, factor)
        material = compared(places, out, factor, probe)
    except NotComparable as refusal:
        print(refusal, file=sys.stderr)
        return EXIT_REFUSED
    write(material, out)
    comparison = material.comparison
    for claim in comparison.claims:
        print(claim.sentence)
    print(f"wrote {out / 'report.html'}")
    cli.emit(
        out=str(out),
        scenarios=comparison.counted,
        seeds=comparison.seeds,
        unfinished=comparison.unfinished,
        regret={f"{arm.name}@{arm.episodes}": arm.curve[-1] for arm in comparison.arms},
        shown=[[claim.arm, claim.against] for claim in comparison.claims if claim.shown],
    )
    return 0


def _plan(places: tuple[Path, ...], out: Path, factor: tuple[Factor, ...]) -> int:
    from search.comparison.equality import require_comparable
    from search.comparison.sources import gather

    found = gather(places)
    arms = require_comparable(found, factor)
    return cli.planned(
        arms=", ".join(arm.name for arm in arms),
        runs=len(found.sources),
        unfinished=len(found.unfinished) + found.missing,
        writes=f"{out}: report.html, comparison.md, comparison.json and its schema, figures",
    )
