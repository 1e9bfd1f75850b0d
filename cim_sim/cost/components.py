"""The splits that NeuroSim reports; a quantity in parts has them along its first axis."""

COMPONENTS = ("adc", "accumulation", "buffers", "interconnect", "other")
"""Of latency and energy; NeuroSim's own "other" is the last three together.

`adc`: sense amplifiers and, with them, bit lines and word lines of the array. `accumulation`:
shift-adders and adder trees. `other`: drivers, decoders and switch matrices, ReLU, pooling.
"""
AREA_COMPONENTS = ("array", "interconnect", "adc", "accumulation", "other")
"""Of area; `other` includes buffers."""
