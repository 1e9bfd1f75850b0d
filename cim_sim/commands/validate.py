"""The verb `validate`: the cost model beside what DNN+NeuroSim printed."""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim import cli

if TYPE_CHECKING:
    from cim_sim.cost_study.validate import Comparison, Report


def validate(reference: Path | None = None) -> int:
    """Compare the cost model with rows that DNN+NeuroSim printed; exit 1 beyond tolerance.

    Args:
        reference: folder with chip.csv and layers.csv (or .csv.gz); default: the package's copy.
    """
    from cim_sim.cost_study import validate as study

    report = study.validate(reference)
    _print_table(report)
    for reason, count in report.skipped.items():
        print(f"left out: {count} ({reason})")
    for failure in report.failures[:20]:
        print(f"BEYOND TOLERANCE {failure}")
    if len(report.failures) > 20:
        print(f"... and {len(report.failures) - 20} more")
    cli.emit(**report.summary())
    return 1 if report.failures else 0


def _print_table(report: "Report") -> None:
    """Print a line for each mode and hardware family."""
    from cim_sim.cost_study.validate import QUANTITIES, statistics

    def family(one: "Comparison") -> tuple[str, str, int]:
        hardware = one.case.hardware
        mode = "" if one.case.speed_up_degree is None else ", pipeline"
        return f"{hardware.mapping}, {hardware.pad}{mode}", hardware.device, hardware.node_nm

    rows = sorted([*report.comparisons, *report.pipelined], key=family)
    print(f"{'mode':30}{'device':8}{'node':>5}{'rows':>6}{'unequal':>9}", end="")
    print("".join(f"{name.replace('_energy', ''):>24}" for name in QUANTITIES))
    print(" " * 58 + f"{'median / p99 / max':>24}" * len(QUANTITIES))
    for (mode, device, node), group in groupby(rows, family):
        members = list(group)
        unequal = sum(bool(one.unequal) for one in members)
        cells = "".join(f"{_cell(spread):>24}" for spread in statistics(members).values())
        print(f"{mode:30}{device:8}{node:5}{len(members):6}{unequal:9}{cells}")


def _cell(spread: dict[str, float]) -> str:
    figures = [f"{spread[name]:.0e}" for name in ("median", "p99", "max")]
    return " ".join(figures) if spread["rows"] else "-"
