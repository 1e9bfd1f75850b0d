"""A comparison as a Markdown page: one table, and plain sentences on what it does not show."""

import json
from pathlib import Path

from cim_sim.cards import render
from search.comparison.compare import Comparison

FEW = 5
"""Seeds below which a bootstrap interval is known to be too narrow."""


def page(comparison: Comparison) -> str:
    """Return the Markdown text."""
    template = Path(__file__).with_name("comparison.md.jinja")
    return render(template, c=comparison, few=FEW, json=json.dumps)
