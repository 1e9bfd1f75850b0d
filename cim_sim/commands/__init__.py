"""Verbs of `python -m cim_sim`: typed functions, one module each."""
