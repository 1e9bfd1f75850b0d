"""Evaluates a pair of CNN and compute-in-memory accelerator: hardware cost and accuracy."""
