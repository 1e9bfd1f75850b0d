"""What a model believes about kernels, beside what the simulator says."""
