"""The verb `results`: the page of sweeps whose results are kept."""

from pathlib import Path
from typing import Annotated

import tyro

from cim_sim import cli
from cim_sim.config import UsageError

RIVALS = Path("datasets/rivals")
"""Where the committed results lie, one folder for each sweep."""
HEAD = "<!-- below: python -m search results -->\n"


def results(folder: Annotated[Path, tyro.conf.Positional] = RIVALS) -> int:
    """Render README.md of a folder anew from the comparison.json and verified.json in its folders.

    Args:
        folder: holds one folder for each sweep; what its README.md says before the mark stays.
    """
    from cim_sim.files import write_whole

    page = folder / "README.md"
    if not page.is_file():
        raise UsageError(
            f"{page}: not there; name a folder with one, and with a folder of results for each "
            f"sweep, as {RIVALS}"
        )
    write_whole(page, rendered(page.read_text(encoding="utf-8"), folder))
    cli.emit(page=str(page))
    return 0


def rendered(text: str, folder: Path) -> str:
    """Return a page with its part below the mark made anew.

    Raises:
        UsageError: there are no results.
    """
    from search.comparison.page import results_page

    return text.split(HEAD, maxsplit=1)[0] + HEAD + "\n" + results_page(folder)
