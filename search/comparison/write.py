"""From places to pages: reads, compares, and writes all files of a comparison."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cim_sim.config import UsageError
from cim_sim.files import write_whole
from search.comparison.compare import compare
from search.comparison.equality import Arm, Factor, require_comparable
from search.comparison.figure import draw
from search.comparison.kernels import beliefs_of
from search.comparison.page import RESULT, page
from search.comparison.report import report
from search.comparison.result import Comparison
from search.comparison.sources import gather


class Material(NamedTuple):
    """What the files are written from."""

    comparison: Comparison
    arms: list[Arm]


def compared(
    places: Sequence[Path],
    out: Path,
    factors: Sequence[Factor] = (),
    probes: Sequence[Path] = (),
) -> Material:
    """Read runs and sweeps and compare them.

    Raises:
        UsageError: a place holds neither, or `out` is a file.
        NotComparable: they differ in what must be equal.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file; name a directory, as in runs/report")
    words = ["python", "-m", "search", "compare", *map(str, places), "--out", str(out)]
    words += ["--factor", *factors] if factors else []
    words += ["--probe", *map(str, probes)] if probes else []
    found = gather(places)
    arms = require_comparable(found, factors)
    beliefs = beliefs_of(probes)
    return Material(compare(found, arms, shlex.join(words), factors, beliefs), arms)


def write(material: Material, out: Path) -> None:
    """Write all files; equal runs give equal bytes.

    Raises:
        OSError: one of them cannot be written.
    """
    comparison, arms = material
    out.mkdir(parents=True, exist_ok=True)
    draw(comparison, out)
    write_whole(out / "comparison.md", page(comparison))
    write_whole(out / RESULT, comparison.model_dump_json(indent=1) + "\n")
    schema = json.dumps(Comparison.model_json_schema(), indent=1)
    write_whole(out / "comparison.schema.json", schema + "\n")
    write_whole(out / "report.html", report(comparison, arms))
