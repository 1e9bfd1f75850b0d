"""Pages, cards and prompts from Jinja templates."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


def render(template: Path, **values: Any) -> str:
    """Fill a template; lines that hold a block alone leave nothing behind; HTML is escaped.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    return _compiled(template).render(values)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; a bar inside a cell is escaped."""
    lines = ([cell.replace("|", "\\|") for cell in cells] for cells in (head, *rows))
    first, *others = (f"| {' | '.join(cells)} |" for cells in lines)
    return [first, "|" + "---|" * len(head), *others]


@cache
def _compiled(template: Path) -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=template.name.endswith(".html.jinja"),
    )
    return environment.from_string(template.read_text(encoding="utf-8"))
