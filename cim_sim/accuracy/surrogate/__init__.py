"""Predicts what training would say, from the benchmark table."""
