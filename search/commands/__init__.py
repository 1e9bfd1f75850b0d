"""Verbs of `python -m search`: typed functions, one module each."""
