"""Reference rows: what DNN+NeuroSim printed for a design on a hardware setting.

`chip.csv` has a row per design, `layers.csv` a row per layer; `data/README.md` lists the columns.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from cim_sim.config import UsageError
from cim_sim.cost.activity import VALUE_BITS
from cim_sim.cost.constants import constants
from cim_sim.hardware import Hardware
from cim_sim.space import ConvChoice, Design
from cim_sim.types import Floats

DEVICES: dict[int, str] = {1: "sram", 2: "rram", 3: "fefet"}
PADS: dict[str, str] = {"same": "same", "valid": "stock"}
FLOORPLAN_PREFIX = "floorplan"
"""How the reason of a row without floorplan begins; other reasons are crashes of the program."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One reference row that the model can be compared with."""

    design: Design
    hardware: Hardware
    chip: Row
    layers: Sequence[Row]
    """Empty where the program found no floorplan."""

    @property
    def valid(self) -> bool:
        """Whether the program found a floorplan."""
        return bool(self.chip["valid"])

    @property
    def speed_up_degree(self) -> int | None:
        """Speed-up degree of pipeline mode; None: layer by layer."""
        return int(self.chip["hw_speedUpDegree"]) if int(self.chip["hw_pipeline"]) else None

    @property
    def out_of_bounds(self) -> bool:
        """Whether the program read past its weights: its energy is not to be trusted."""
        return bool(self.chip["nm_oob"] == 1)

    @property
    def planes(self) -> Floats | None:
        """Measured share of ones on each value plane, [7, layers]; None if not recorded."""
        names = [f"p_bit{bit}" for bit in range(1, VALUE_BITS + 1)]
        if not self.layers or any(name not in self.layers[0] for name in names):
            return None
        return np.array([[float(layer[name]) for layer in self.layers] for name in names])


def packaged() -> Path:
    """Folder of the reference data that comes with the package."""
    return Path(str(files("cim_sim.cost") / "data"))


def read(folder: Path) -> tuple[list[Case], dict[str, int], int]:
    """Read all rows of a folder.

    Returns:
        the cases to compare, how many rows are left out for which reason, and the number of rows.

    Raises:
        UsageError: a file or a column is missing.
    """
    chips = _records(folder, "chip")
    layers: dict[str, list[Row]] = {}
    for layer in _records(folder, "layers"):
        layers.setdefault(layer["id"], []).append(layer)
    cases, skipped = [], dict[str, int]()
    for chip in chips:
        try:
            reason = unsupported(chip)
            if reason is None:
                design = Design(layers=tuple(ConvChoice(*p) for p in json.loads(chip["design"])))
                by_number = sorted(layers.get(chip["id"], []), key=lambda row: int(row["layer"]))
                cases.append(Case(design, hardware_of(chip), chip, by_number))
        except KeyError as missing:
            raise UsageError(no_column(folder, missing)) from None
        if reason is not None:
            skipped[reason] = skipped.get(reason, 0) + 1
    return cases, skipped, len(chips)


def no_column(folder: Path | None, missing: KeyError) -> str:
    """Say that a table of reference rows lacks a column."""
    return f"{folder or packaged()}: chip.csv or layers.csv has no column {missing}"


def unsupported(chip: Row) -> str | None:
    """Say why a row cannot be compared, None if it can."""
    modes = (
        ("hw_operationmode", 2, "sequential read"),
        ("hw_synchronous", 1, "asynchronous"),
        ("hw_SARADC", 0, "SAR ADC"),
        ("hw_chipActivation", 1, "activation inside tiles"),
        ("hw_deviceroadmap", 2, "high-performance roadmap"),
    )
    for column, expected, reason in modes:
        if int(chip[column]) != expected:
            return reason
    try:
        known = constants(hardware_of(chip))
    except (ValidationError, KeyError, UsageError):
        known = None
    if known is None or chip["hw_numRowSubArray"] != chip["hw_numColSubArray"]:
        return "setting outside the table of constants"
    off = (float(chip["hw_resistanceOn"]), float(chip["hw_onoff"])) != (known.on_ohm, known.on_off)
    if off and DEVICES[int(chip["hw_memcelltype"])] != "sram":
        return "device resistance outside the table of constants"
    if not int(chip["valid"]) and not str(chip["invalid_reason"]).startswith(FLOORPLAN_PREFIX):
        return "the program crashed"
    return None


def hardware_of(chip: Row) -> Hardware:
    """Hardware setting of a row.

    Raises:
        ValidationError, KeyError: it is none that this package knows.
    """
    return Hardware.model_validate(
        {
            "device": DEVICES[int(chip["hw_memcelltype"])],
            "subarray": int(chip["hw_numRowSubArray"]),
            "cell_bits": int(chip["hw_cellBit"]),
            "adc_levels": int(chip["hw_levelOutput"]),
            "node_nm": int(chip["hw_technode"]),
            "col_mux": int(chip["hw_numColMuxed"]),
            "mapping": "novel" if int(chip["hw_novelMapping"]) else "conventional",
            "pad": PADS[chip["pad"]],
        }
    )


def _records(folder: Path, name: str) -> list[Row]:
    import pandas as pd

    for suffix in (".csv", ".csv.gz"):
        if (path := folder / f"{name}{suffix}").is_file():
            try:
                frame = pd.read_csv(path)
            except ValueError as error:
                raise UsageError(f"{path}: not a table: {error}") from None
            return [dict(zip(frame.columns, row, strict=True)) for row in frame.to_numpy(object)]
    raise UsageError(f"{folder}: neither {name}.csv nor {name}.csv.gz; see --reference in --help")
