"""Hardware cost: a DNN+NeuroSim-compatible macro model, vectorised over designs.

The physics and the equations are in `cim_sim/README.md`.
"""

from cim_sim.cost.breakdown import Breakdown, CostBatch, breakdown
from cim_sim.cost.chip import evaluate, evaluate_mixed, floorplan_fault, floorplan_fault_mixed

__all__ = [
    "Breakdown",
    "CostBatch",
    "breakdown",
    "evaluate",
    "evaluate_mixed",
    "floorplan_fault",
    "floorplan_fault_mixed",
]
