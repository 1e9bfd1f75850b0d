"""The verb `results`: the page of sweeps whose results are kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from cim_sim import cli
from cim_sim.config import UsageError, load

RIVALS = Path("datasets/rivals")
"""Where the committed results lie, one folder for each sweep."""
BARE = 2
"""Lines of a table that has nothing but its head."""
HEAD = "<!-- below: python -m search results -->\n"


def results(
    folder: Annotated[Path, tyro.conf.Positional] = RIVALS,
    *,
    beside: tuple[str, ...] = (),
    arm: str | None = None,
) -> int:
    """Render README.md of a folder anew from the comparison.json and verified.json in its folders.

    Args:
        folder: holds one folder for each sweep; what its README.md says before the mark stays.
        beside: names of such folders: print what their arms reach side by side, and write nothing.
        arm: with `beside`, an arm; print how far it lies below the others too.
    """
    if beside:
        print(side_by_side(folder, beside, arm))
        return 0
    if arm is not None:
        raise UsageError(f"--arm {arm}: say beside which; type --beside NAME, a folder in {folder}")
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


def side_by_side(folder: Path, names: Sequence[str], arm: str | None) -> str:
    """Return a Markdown table, or with an arm up to three, of the comparisons in `folder`/`names`.

    Raises:
        UsageError: a folder holds none, or no comparison has the arm.
    """
    from search.comparison.beside import apart, below, reached
    from search.comparison.page import RESULT
    from search.comparison.result import Comparison

    pages = {name: load(folder / name / RESULT, Comparison) for name in names}
    arms = list(dict.fromkeys(one.name for page in pages.values() for one in page.arms))
    if arm is not None and arm not in arms:
        raise UsageError(f"--arm {arm}: no such arm there; there are {', '.join(arms)}")
    tables = [reached(pages), *([below(pages, arm), apart(pages, arm)] if arm else [])]
    return "\n\n".join("\n".join(lines) for lines in tables if len(lines) > BARE)


def rendered(text: str, folder: Path) -> str:
    """Return a page with its part below the mark made anew.

    Raises:
        UsageError: there are no results.
    """
    from search.comparison.page import results_page

    return text.split(HEAD, maxsplit=1)[0] + HEAD + "\n" + results_page(folder)
