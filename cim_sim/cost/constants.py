"""The table of circuit constants: what NeuroSim's circuit blocks come to for one hardware setting.

Source: DNN+NeuroSim V1.3 (commit 388f421), dumped for 420 settings; see `data/README.md`.
"""

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, get_type_hints

from cim_sim.config import UsageError
from cim_sim.hardware import Hardware

KEYS = ("device", "subarray", "cell_bits", "adc_levels", "node_nm", "col_mux")
"""The hardware fields that select a row of the table."""

Key = tuple[str | int, ...]

PJ = 1e12
UM = 1e6
UM2 = 1e12
NS = 1e9
UW = 1e6
"""Units to one SI unit: the table is in joules, metres, seconds and watts."""


@dataclass(frozen=True)
class Constants:
    """One row of the table; every value is given in the unit that its name ends with.

    `adc`, `accumulation` and `other` follow NeuroSim's own split of a subarray. Its energy per
    input bit-vector is `base + active * share of active word lines`, plus what the columns draw.
    Beside each value stand its column in the table and the factor from that column's SI unit.
    """

    clock_ns: Annotated[float, "clock_ns", 1]
    subarray_area_um2: Annotated[float, "sub.usedArea", UM2]
    subarray_height_um: Annotated[float, "sub.height", UM]
    subarray_width_um: Annotated[float, "sub.width", UM]
    adc_area_um2: Annotated[float, "sub.areaADC", UM2]
    accumulation_area_um2: Annotated[float, "sub.areaAccum", UM2]
    array_area_um2: Annotated[float, "sub.areaArray", UM2]
    subarray_leak_uw: Annotated[float, "sub.leak", UW]
    base_adc_pj: Annotated[float, "sub.E0_ADC", PJ]
    base_accumulation_pj: Annotated[float, "sub.E0_Accum", PJ]
    base_other_pj: Annotated[float, "sub.E0_Other", PJ]
    active_adc_pj: Annotated[float, "sub.E1_ADC", PJ]
    active_other_pj: Annotated[float, "sub.E1_Other", PJ]
    adc_cycles: Annotated[float, "sub.lat_act1_ADC", 1]
    accumulation_cycles: Annotated[float, "sub.lat_act1_Accum", 1]
    wire_row_ohm: Annotated[float, "wire.Rrow", 1]
    wire_column_ohm: Annotated[float, "wire.Rcol", 1]
    on_ohm: Annotated[float, "r_on_ohm", 1]
    on_off: Annotated[float, "on_off", 1]
    access_ohm: Annotated[float, "cell.access_resistance_ohm", 1]
    dff_pj: Annotated[float, "unit.dff.E", PJ]
    dff_leak_uw: Annotated[float, "unit.dff.leak", UW]
    dff_area_um2: Annotated[float, "unit.dff.area", UM2]
    dff_height_um: Annotated[float, "unit.dff.h", UM]
    dff_width_um: Annotated[float, "unit.dff.w", UM]
    adder_bit_pj: Annotated[float, "adder.E_per_bit", PJ]
    adder_fixed_pj: Annotated[float, "adder.E_fixed", PJ]
    adder_bit_ns: Annotated[float, "adder.lat_s_per_bit", NS]
    adder_fixed_ns: Annotated[float, "adder.lat_s_fixed", NS]
    adder_bit_area_um2: Annotated[float, "adder.area_per_bit", UM2]
    adder_bit_leak_uw: Annotated[float, "adder.leak_per_bit", UW]
    pe_bus_pj_per_um: Annotated[float, "pebus.E_per_m_bit", PJ / UM]
    tree_pj_per_um: Annotated[float, "htree.E_per_m_bit", PJ / UM]
    tree_ns_per_um: Annotated[float, "htree.lat_s_per_m", NS / UM]
    repeater_distance_um: Annotated[float, "htree.repeater_distance_m", UM]
    repeater_height_um: Annotated[float, "htree.repeater_height_m", UM]
    repeater_width_um: Annotated[float, "htree.repeater_width_m", UM]
    repeater_input_f: Annotated[float, "repeater.input_cap_f", 1]
    pool_pj: Annotated[float, "pool.E_per_unit", PJ]
    pool_cycles: Annotated[float, "pool.cycles", 1]
    pool_area_um2: Annotated[float, "pool.area_per_unit", UM2]
    global_read_pj: Annotated[float, "globalbuf.E_read_line", PJ]
    global_write_pj: Annotated[float, "globalbuf.E_write_line", PJ]
    global_core_area_um2: Annotated[float, "globalbuf.area_core", UM2]
    tile_decoder_pj: Annotated[float, "tilebuf.E_decoder_read_32", PJ]
    tile_write_pj: Annotated[float, "tilebuf.E_write_line_32", PJ]
    tile_core_area_um2: Annotated[float, "tilebuf.area_1024bit", UM2]
    tile_core_leak_uw: Annotated[float, "tilebuf.leak_1024bit", UW]


SOURCES: dict[str, tuple[str, float]] = {
    name: hint.__metadata__ for name, hint in get_type_hints(Constants, include_extras=True).items()
}
"""Field -> column of the table and factor from SI."""


def constants(hardware: Hardware) -> Constants:
    """Return the constants of a setting.

    Raises:
        UsageError: the table does not hold the setting; lists the nearest ones that it holds.
    """
    key = tuple(getattr(hardware, name) for name in KEYS)
    rows = table()
    if key not in rows:
        near = "\n".join(f"  {_words(other)}" for other in nearest(key))
        raise UsageError(
            f"no circuit constants for {_words(key)}; the nearest settings in the table are\n{near}"
        )
    return rows[key]


def nearest(key: Key, count: int = 3) -> list[Key]:
    """Return the settings that differ in the fewest fields, then the least in size."""

    def distance(other: Key) -> tuple[int, float]:
        pairs = list(zip(key, other, strict=True))
        sizes = [max(a / b, b / a) for a, b in pairs if isinstance(a, int) and isinstance(b, int)]
        return sum(a != b for a, b in pairs), sum(sizes)

    return sorted(table(), key=lambda other: (*distance(other), other))[:count]


@cache
def table() -> Mapping[Key, Constants]:
    """Read the whole table once."""
    source = files("cim_sim.cost") / "data" / "circuit_constants.csv.gz"
    with source.open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8") as text:
        return {_key_of(row): _constants_of(row) for row in csv.DictReader(text)}


def _key_of(row: Mapping[str, str]) -> Key:
    return row["device"], *(int(row[name]) for name in KEYS[1:])


def _constants_of(row: Mapping[str, str]) -> Constants:
    values = {name: float(row[column] or 0) * unit for name, (column, unit) in SOURCES.items()}
    return Constants(**values)


def _words(key: Key) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(KEYS, key, strict=True))
