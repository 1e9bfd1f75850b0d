"""Pages and cards from Jinja templates."""

from pathlib import Path
from typing import Any


def render(template: Path, **values: Any) -> str:
    """Fill a template; lines that hold a block alone leave nothing behind.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(values)
