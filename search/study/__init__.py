"""Many searches at once: scenario families, sweeps, tuning of rivals, optima, re-training."""
