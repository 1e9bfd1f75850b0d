"""What a model expected of its designs, beside what was found."""

import numpy as np
import pytest

from search.commands.compare import compare
from search.comparison.foresight import by_step, expected, foresight

REPLIES = """[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]] accuracy 0.50
[[64,3],[32,3],[64,3],[64,3],[128,3],[128,3]] accuracy 0.40
[[64,3],[64,3],[64,3],[64,3],[128,3],[128,3]]
"""


@pytest.fixture
def run(make_model):
    return make_model("foreseeing", REPLIES, style="dialogue", value=True, episodes=12)


def test_each_new_design_counts_once_with_what_was_said_of_it(run):
    said = {line.split(" accuracy ")[0]: line[-4:] for line in REPLIES.splitlines()[:2]}
    pairs = [
        (float(said[text]), trial.evaluation.accuracy.mean)
        for trial in run.trials
        if trial.duplicate_of is None
        if (text := str(trial.design.wire()).replace(" ", "")) in said
    ]
    errors = np.array([ours - theirs for ours, theirs in pairs])
    found = foresight([run])
    assert found.designs == len(pairs) == 2
    assert found.bias == pytest.approx(errors.mean())
    assert found.rmse == pytest.approx(np.sqrt((errors**2).mean()))


def test_only_replies_that_name_the_design_speak_of_it(run):
    trial = run.trials[0]
    exchanges = by_step(run)[trial.step]
    others = [one for one in run.exchanges if one.reply != exchanges[0].reply]
    assert others
    assert expected(trial, others, run.config.space) is None


def test_what_was_weighed_before_all_results_is_behind_whoever_is_proposed_later(run):
    """A judge says at once what it expects of designs that are proposed in later steps."""
    taken = {trial.design: trial for trial in run.trials if trial.duplicate_of is None}
    told = [
        run.exchanges[0].model_copy(
            update={
                "attempt": place,
                "weighed": design,
                "reply": "a design in other words accuracy 0.60",
                "expected": 0.6,
            }
        )
        for place, design in enumerate(taken)
    ]
    judged = run._replace(exchanges=told)
    assert {step: len(found) for step, found in by_step(judged).items()} == {
        trial.step: 1 for trial in run.trials
    }
    assert foresight([judged]).designs == len(taken) == 3
    assert all(
        expected(trial, by_step(judged)[trial.step], run.config.space) == 0.6
        for trial in run.trials
    )


def test_who_expects_nothing_has_no_foresight(make, make_model):
    assert foresight([make("a")]) is None
    assert foresight([make_model("silent", REPLIES.splitlines()[2])]) is None


def test_the_pages_say_how_well_a_model_foresees(run, make, tmp_path, data_of):
    paths = (run.path, make("a", episodes=12).path)
    assert compare(paths, out=tmp_path / "page") == 0
    sentence = "foreseeing said what accuracy it expects of 2 new designs: root mean square error"
    assert sentence in (tmp_path / "page" / "comparison.md").read_text()
    assert sentence in (tmp_path / "page" / "report.html").read_text()
    story = data_of(tmp_path / "page" / "report.html")["stories"][0]
    said = {step["expected"] for step in story["steps"]}
    assert said <= {0.5, 0.4, None}
    assert said & {0.5, 0.4}
