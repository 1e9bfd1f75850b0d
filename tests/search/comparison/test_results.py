"""The page of kept results: rendered from committed files alone."""

import shutil

import pytest

from cim_sim.config import UsageError
from search.commands.compare import compare
from search.commands.results import HEAD, RIVALS, rendered, results
from search.comparison.page import LEGEND, results_page


def test_the_page_of_kept_results_is_rendered_from_them_alone(tmp_path, run_of):
    """Each folder a section, by name; what stands before the mark is left alone."""
    run_of(tmp_path / "a", episodes=9)
    assert compare((tmp_path / "a",), out=tmp_path / "kept" / "near") == 0
    shutil.copytree(tmp_path / "kept" / "near", tmp_path / "kept" / "blind")
    (tmp_path / "kept" / "README.md").write_text(f"# Mine\n\n{HEAD}\nold\n")
    assert results(tmp_path / "kept") == 0
    text = (tmp_path / "kept" / "README.md").read_text()
    assert text.startswith(f"# Mine\n\n{HEAD}\n{LEGEND}\n\n### blind\n\n1 scenarios x 1 seeds; ")
    assert text.index("### near") > text.index("### blind")
    assert text.count("\n| random | 1.000 |") == 2
    assert "old" not in text
    assert rendered(text, tmp_path / "kept") == text


def test_a_folder_without_results_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError, match=r"no \*/comparison.json in it; make one: python -m searc"):
        results_page(tmp_path)


@pytest.mark.skipif(not list(RIVALS.glob("*/comparison.json")), reason="no results are kept yet")
def test_the_committed_page_is_that_of_the_committed_results():
    text = (RIVALS / "README.md").read_text()
    assert rendered(text, RIVALS) == text
