"""The table of circuit constants: what NeuroSim's circuit blocks come to for one hardware setting.

Source: DNN+NeuroSim V1.3 (commit 388f421), dumped for 420 settings; see `data/README.md`.
"""

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from cim_sim.config import UsageError
from cim_sim.hardware import Hardware

KEYS = ("device", "subarray", "cell_bits", "adc_levels", "node_nm", "col_mux")
"""The hardware fields that select a row of the table."""

Key = tuple[str, int, int, int, int, int]

PJ = 1e12
UM = 1e6
UM2 = 1e12
NS = 1e9
UW = 1e6


@dataclass(frozen=True)
class Constants:
    """One row of the table; every value is given in the unit that its name ends with.

    `adc`, `accumulation` and `other` follow NeuroSim's own split of a subarray. Its energy per
    input bit-vector is `base + active * share of active word lines`, plus what the columns draw.
    """

    clock_ns: float
    subarray_area_um2: float
    subarray_height_um: float
    subarray_width_um: float
    adc_area_um2: float
    accumulation_area_um2: float
    array_area_um2: float
    subarray_leak_uw: float
    base_adc_pj: float
    base_accumulation_pj: float
    base_other_pj: float
    active_adc_pj: float
    active_other_pj: float
    adc_cycles: float
    accumulation_cycles: float
    wire_row_ohm: float
    wire_column_ohm: float
    on_ohm: float
    on_off: float
    access_ohm: float
    dff_pj: float
    dff_leak_uw: float
    dff_area_um2: float
    dff_height_um: float
    dff_width_um: float
    adder_bit_pj: float
    adder_fixed_pj: float
    adder_bit_ns: float
    adder_fixed_ns: float
    adder_bit_area_um2: float
    adder_bit_leak_uw: float
    pe_bus_pj_per_um: float
    tree_pj_per_um: float
    tree_ns_per_um: float
    repeater_distance_um: float
    repeater_height_um: float
    repeater_width_um: float
    repeater_input_f: float
    pool_pj: float
    pool_cycles: float
    pool_area_um2: float
    global_read_pj: float
    global_write_pj: float
    global_core_area_um2: float
    tile_decoder_pj: float
    tile_write_pj: float
    tile_core_area_um2: float
    tile_core_leak_uw: float


COLUMNS: dict[str, tuple[str, float]] = {
    "clock_ns": ("clock_ns", 1),
    "subarray_area_um2": ("sub.usedArea", UM2),
    "subarray_height_um": ("sub.height", UM),
    "subarray_width_um": ("sub.width", UM),
    "adc_area_um2": ("sub.areaADC", UM2),
    "accumulation_area_um2": ("sub.areaAccum", UM2),
    "array_area_um2": ("sub.areaArray", UM2),
    "subarray_leak_uw": ("sub.leak", UW),
    "base_adc_pj": ("sub.E0_ADC", PJ),
    "base_accumulation_pj": ("sub.E0_Accum", PJ),
    "base_other_pj": ("sub.E0_Other", PJ),
    "active_adc_pj": ("sub.E1_ADC", PJ),
    "active_other_pj": ("sub.E1_Other", PJ),
    "adc_cycles": ("sub.lat_act1_ADC", 1),
    "accumulation_cycles": ("sub.lat_act1_Accum", 1),
    "wire_row_ohm": ("wire.Rrow", 1),
    "wire_column_ohm": ("wire.Rcol", 1),
    "on_ohm": ("r_on_ohm", 1),
    "on_off": ("on_off", 1),
    "access_ohm": ("cell.access_resistance_ohm", 1),
    "dff_pj": ("unit.dff.E", PJ),
    "dff_leak_uw": ("unit.dff.leak", UW),
    "dff_area_um2": ("unit.dff.area", UM2),
    "dff_height_um": ("unit.dff.h", UM),
    "dff_width_um": ("unit.dff.w", UM),
    "adder_bit_pj": ("adder.E_per_bit", PJ),
    "adder_fixed_pj": ("adder.E_fixed", PJ),
    "adder_bit_ns": ("adder.lat_s_per_bit", NS),
    "adder_fixed_ns": ("adder.lat_s_fixed", NS),
    "adder_bit_area_um2": ("adder.area_per_bit", UM2),
    "adder_bit_leak_uw": ("adder.leak_per_bit", UW),
    "pe_bus_pj_per_um": ("pebus.E_per_m_bit", PJ / UM),
    "tree_pj_per_um": ("htree.E_per_m_bit", PJ / UM),
    "tree_ns_per_um": ("htree.lat_s_per_m", NS / UM),
    "repeater_distance_um": ("htree.repeater_distance_m", UM),
    "repeater_height_um": ("htree.repeater_height_m", UM),
    "repeater_width_um": ("htree.repeater_width_m", UM),
    "repeater_input_f": ("repeater.input_cap_f", 1),
    "pool_pj": ("pool.E_per_unit", PJ),
    "pool_cycles": ("pool.cycles", 1),
    "pool_area_um2": ("pool.area_per_unit", UM2),
    "global_read_pj": ("globalbuf.E_read_line", PJ),
    "global_write_pj": ("globalbuf.E_write_line", PJ),
    "global_core_area_um2": ("globalbuf.area_core", UM2),
    "tile_decoder_pj": ("tilebuf.E_decoder_read_32", PJ),
    "tile_write_pj": ("tilebuf.E_write_line_32", PJ),
    "tile_core_area_um2": ("tilebuf.area_1024bit", UM2),
    "tile_core_leak_uw": ("tilebuf.leak_1024bit", UW),
}
"""Field -> column of the table and factor from SI."""


def constants(hardware: Hardware) -> Constants:
    """Return the constants of a setting.

    Raises:
        UsageError: the table does not hold the setting; lists the nearest ones that it holds.
    """
    key = _key(hardware)
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


def _key(hardware: Hardware) -> Key:
    return (
        hardware.device,
        hardware.subarray,
        hardware.cell_bits,
        hardware.adc_levels,
        hardware.node_nm,
        hardware.col_mux,
    )


def _key_of(row: Mapping[str, str]) -> Key:
    device, *sizes = (row[name] for name in KEYS)
    subarray, cell_bits, levels, node, mux = (int(size) for size in sizes)
    return device, subarray, cell_bits, levels, node, mux


def _constants_of(row: Mapping[str, str]) -> Constants:
    values = {name: float(row[column] or 0) * unit for name, (column, unit) in COLUMNS.items()}
    return Constants(**values)


def _words(key: Key) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(KEYS, key, strict=True))
