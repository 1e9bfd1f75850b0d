"""Guided search: whose candidates are heard, for how long, and what the results add."""

import numpy as np
import pytest

from cim_sim.space import from_wire
from search.landscape import draw
from search.optimizers import guided, model_of
from search.optimizers.guided import MEAN, Guided, believed_accuracy
from search.proposal import Problem, Proposal
from search.record.runs import read_run
from search.record.tasks import Task
from search.record.trace import Exchange, Trial

ONE = from_wire([[32, 3], [32, 3], [64, 3], [64, 3], [128, 3], [128, 3]])
TWO = from_wire([[48, 3], [48, 3], [64, 3], [64, 1], [128, 3], [128, 3]])
HUGE = from_wire([[128, 7]] * 6)


class Guide:
    """Offers the same answers at each step, with these likelihoods, and notes what it is told."""

    def __init__(self, likely):
        self.likely, self.told = likely, []

    def offer(self, count):
        said = {"request": {}, "reply": "", "started_at": "", "seconds": 0, "attempt": 0, "step": 0}
        return [
            Proposal(design, exchanges=(Exchange(**said, logprob=likely),))
            for design, likely in list(self.likely.items())[:count]
        ]

    def update(self, trials):
        self.told += trials


@pytest.fixture
def problem(config, judge):
    limits = {"area_um2": 1.7e7, "accuracy": 0.2}
    wanted = config(scenario={**config().scenario.model_dump(exclude_none=True), "limits": limits})
    evaluator = judge(wanted)
    task = Task(scenario=wanted.scenario, space=wanted.space)
    return Problem(task, evaluator.screen, 0, draws=3), evaluator


def search(optimizer, evaluator, rounds, batch=1):
    found = []
    for _ in range(rounds):
        results = evaluator.evaluate([one.design for one in optimizer.suggest(batch)])
        trials = [
            Trial(step=0, design=one.design, evaluation=one, started_at="", seconds=0)
            for one in results
        ]
        optimizer.update(trials)
        found += trials
    return found


def test_the_likeliest_that_is_free_to_build_comes_first_and_the_guide_hears_of_it(problem):
    where, evaluator = problem
    assert evaluator.screen([HUGE])[0].infeasible.kind == "area"
    guide = Guide({HUGE: -1.0, ONE: -9.0, TWO: -4.0})
    optimizer = Guided(where, guided.Settings(), guide)
    (proposal,) = optimizer.suggest(1)
    assert proposal.design == TWO
    assert (len(proposal.exchanges), proposal.passed_over) == (3, 2)
    (trial,) = search(Guided(where, guided.Settings(), guide), evaluator, 1)
    assert guide.told == [trial]


def test_the_prior_speaks_first_and_fades(problem):
    """At weight 1e6 what the guide offers is taken before all else; at 0 its order is nothing."""
    where, evaluator = problem
    likely = {ONE: -9.0, TWO: -4.0}
    strong = Guided(where, guided.Settings(weight=1e6), Guide(likely))
    # The least likely offer is as likely as what was not offered, so only TWO stands out.
    assert search(strong, evaluator, 3)[0].design == TWO
    trials = search(Guided(where, guided.Settings(weight=0), Guide(likely)), evaluator, 3)
    assert trials[0].design == ONE, "of equals the first"


@pytest.mark.parametrize("batch", [1, 4])
def test_nothing_is_proposed_twice_or_infeasible_for_free(problem, batch):
    where, evaluator = problem
    optimizer = Guided(where, guided.Settings(pool=60), Guide({HUGE: -1.0, ONE: -2.0}))
    found = search(optimizer, evaluator, 12 // batch, batch)
    assert len({trial.design.design_id for trial in found}) == 12
    assert not any(
        trial.evaluation.infeasible and trial.evaluation.infeasible.kind != "accuracy"
        for trial in found
    )


def test_candidates_are_offers_neighbours_of_the_best_and_random_designs(problem):
    where, evaluator = problem
    optimizer = Guided(where, guided.Settings(pool=0, climbs=1), Guide({ONE: -1.0}))
    search(optimizer, evaluator, 1)
    rows = optimizer._candidates([])
    one = np.array(where.space.encode(ONE))
    changed = np.sum(rows != one, axis=1)
    # One random row stands in where no pool is wanted.
    assert np.sum(changed == 1) >= len(rows) - 1
    assert len(rows) > 12


def test_accuracy_is_believed_where_it_was_measured_and_uncertain_elsewhere(problem):
    where, _ = problem
    asked = draw(where.space, 30, np.random.default_rng(1))
    before = believed_accuracy(where, [], [], asked)
    assert before.mean == pytest.approx(MEAN)
    after = believed_accuracy(where, [asked[0], asked[1]], [0.42, 0.51], asked)
    assert after.mean[:2] == pytest.approx([0.42, 0.51], abs=0.02)
    assert np.all(after.std < before.std)
    assert after.std[0] < 0.02 < after.std[5:].min()


def test_a_model_guides_is_named_and_its_answers_are_kept(config, run_of, tmp_path):
    (tmp_path / "replies.txt").write_text("[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]\n")
    model = {"name": "parrot", "script": str(tmp_path / "replies.txt")}
    guide = {"optimizer": "llm", "settings": {"model": model}}
    settings = {"guide": guide, "pool": 50}
    wanted = {"optimizer": "guided", "settings": settings, "episodes": 4, "screen": 2}
    trials = run_of(tmp_path / "run", **wanted)
    run = read_run(tmp_path / "run")
    assert model_of(config(**wanted)).name == "parrot"
    assert run.config.settings["guide"]["settings"]["retries"] == 2
    assert trials[0].design == ONE
    assert len({trial.design for trial in trials}) == 4, "it repeats itself, the search does not"
    assert [exchange.step for exchange in run.exchanges] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert run.manifest.given.words == "cost model"
