"""Verbs of `python -m cim_sim`: typed functions, one module for each half of the evaluator."""
