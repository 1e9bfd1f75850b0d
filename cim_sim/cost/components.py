"""The split that NeuroSim reports for latency and energy."""

from dataclasses import dataclass

from cim_sim.types import Floats

COMPONENTS = ("adc", "accumulation", "buffers", "interconnect", "other")
"""In the order of `Components`; NeuroSim's own "other" is the last three together."""


@dataclass(frozen=True)
class Components:
    """A quantity by component, each [layers, designs]; the sum is the quantity."""

    adc: Floats
    """Sense amplifiers and, with them, bit lines and word lines of the array."""
    accumulation: Floats
    """Shift-adders and adder trees."""
    buffers: Floats
    interconnect: Floats
    other: Floats
    """Drivers, decoders and switch matrices, ReLU, pooling."""

    @property
    def total(self) -> Floats:
        """Sum of all components."""
        return self.adc + self.accumulation + self.buffers + self.interconnect + self.other

    def scaled(self, factor: float) -> "Components":
        """Every component times `factor`."""
        return Components(*(getattr(self, name) * factor for name in COMPONENTS))
