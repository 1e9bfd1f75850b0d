"""What the programs share: how an interrupted verb says that it goes on."""

import sys

import pytest

from cim_sim import cli


def resumable(*, out: str = "", resume: bool = False, overwrite: bool = False) -> int:
    """Stop as Ctrl-C does."""
    raise KeyboardInterrupt


def plain(*, out: str = "") -> int:
    """Stop as Ctrl-C does."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["resumable", "--out", "a b"], "go on with: lcda resumable --out 'a b' --resume"),
        (["resumable", "--overwrite"], "go on with: lcda resumable --resume"),
        (["resumable", "--resume"], "go on with: lcda resumable --resume"),
        (["plain"], None),
    ],
)
def test_ctrl_c_says_how_a_verb_goes_on(words, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lcda", *words])
    code = cli.run("lcda", "", {"resumable": resumable, "plain": plain})
    assert code == 130
    assert capsys.readouterr().err == f"interrupted{f'; {said}' if said else ''}\n"
