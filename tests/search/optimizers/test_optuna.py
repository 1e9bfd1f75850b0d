import pytest

from cim_sim.accuracy import Accuracy
from cim_sim.config import UsageError
from cim_sim.evaluate import Cost, Evaluation, Infeasible
from cim_sim.scenario import Limits
from cim_sim.space import Design
from search.optimizers import OPTIMIZERS, bayesian
from search.optimizers.optuna_study import violations
from search.proposal import Problem
from search.record.tasks import Task
from search.record.trace import Trial

DESIGN = Design.model_validate({"layers": [[32, 3]] * 6})
LIMITS = Limits(area_um2=2e7, accuracy=0.5)
SMALL = {
    "genetic": {"population_size": 4},
    "tpe": {"n_startup_trials": 4},
    "bayesian": {"n_startup_trials": 4},
}


def evaluation(area_um2=None, accuracy=None, kind=None, reward=None):
    amounts = {"dynamic_energy_pj": 1.0, "leakage_energy_pj": 0.0, "latency_ns": 1.0}
    cost = Cost(**amounts, area_um2=area_um2, utilisation=0.5) if area_um2 else None
    known = None
    if accuracy is not None:
        known = Accuracy(mean=accuracy, std=0.01, quantile_10=accuracy, draws=16, clean=None)
    return Evaluation(
        design=DESIGN,
        scenario="s",
        cost=cost,
        accuracy=known,
        infeasible=Infeasible(kind=kind, reason="") if kind else None,
        reward=reward,
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (evaluation(kind="floorplan"), {"chip": 1.0, "accuracy": 0.0}),
        (evaluation(3e7, kind="area"), {"chip": 0.5, "accuracy": 0.0}),
        (evaluation(1e7, 0.44, kind="accuracy"), {"chip": -0.5, "accuracy": 0.2}),
        (evaluation(1e7, 0.66, reward=0.1), {"chip": -0.5, "accuracy": -0.2}),
    ],
)
def test_violations_are_relative_and_what_was_not_measured_stands_at_its_limit(found, expected):
    assert violations(found, LIMITS) == pytest.approx(expected)


def test_without_limits_only_the_floorplan_can_fail():
    assert violations(evaluation(3e7, 0.2, reward=0.0), Limits()) == {"chip": -1.0}
    assert violations(evaluation(kind="floorplan"), Limits()) == {"chip": 1.0}


@pytest.fixture(params=SMALL)
def search(request, config, judge):
    """Run an Optuna rival past its random start, in a scenario with all limits."""
    kind = OPTIMIZERS[request.param]

    def go(rounds, batch):
        limits = {"area_um2": 3e7, "accuracy": 0.3}
        scenario = {**config().scenario.model_dump(exclude_none=True), "limits": limits}
        wanted = config(scenario=scenario)
        evaluator = judge(wanted)
        problem = Problem(Task(scenario=wanted.scenario, space=wanted.space), evaluator.screen, 5)
        settings = kind.settings.model_validate(SMALL[request.param])
        with kind.open(problem, settings, None) as ready:
            optimizer = ready.optimizer
        found = []
        for _ in range(rounds):
            designs = [proposal.design for proposal in optimizer.suggest(batch)]
            trials = [
                Trial(step=0, design=one.design, evaluation=one, started_at="", seconds=0)
                for one in evaluator.evaluate(designs)
            ]
            optimizer.update(trials)
            found += designs
        return optimizer, found, problem.space

    return go


@pytest.mark.parametrize("batch", [1, 2])
def test_beyond_the_random_start_designs_stay_in_the_space_and_repeat_exactly(search, batch):
    rounds = 6 // batch
    _, designs, space = search(rounds, batch)
    assert all(space.check(design) == [] for design in designs)
    assert search(rounds, batch)[1] == designs


def test_every_told_trial_carries_its_constraints(search):
    optimizer, _, _ = search(6, 1)
    for trial in optimizer.study.trials:
        assert set(trial.constraints) == {"chip", "accuracy"}
        assert trial.state.name == "COMPLETE"


def test_a_crash_is_told_as_failed_and_an_infeasible_value_is_the_worst_seen(search):
    from search.record.trace import Failure

    optimizer, _, _ = search(6, 1)
    feasible = [t.value for t in optimizer.study.trials if max(t.constraints.values()) <= 0]
    optimizer.suggest(2)
    crash = Trial(
        step=0,
        design=DESIGN,
        failure=Failure(kind="crash", message="x"),
        started_at="",
        seconds=0,
    )
    refused = Trial(
        step=1, design=DESIGN, evaluation=evaluation(kind="floorplan"), started_at="", seconds=0
    )
    optimizer.update([crash, refused])
    *_, failed, told = optimizer.study.trials
    assert failed.state.name == "FAIL"
    assert told.value == min(feasible, default=0.0)


def test_what_is_forgotten_are_the_oldest_chips_that_failed(config, judge):
    wanted = config()
    problem = Problem(Task(scenario=wanted.scenario, space=wanted.space), judge(wanted).screen, 0)
    optimizer = bayesian.bayesian(problem, bayesian.Settings(n_startup_trials=99, memory=5))
    kinds = ["floorplan", None, "floorplan", "floorplan", None, None, "floorplan"]
    rewards = iter([0.1, 0.2, 0.3])
    for kind in kinds:
        optimizer.suggest(1)
        found = evaluation(kind=kind) if kind else evaluation(1e7, 0.6, reward=next(rewards))
        optimizer.update([Trial(step=0, design=DESIGN, evaluation=found, started_at="", seconds=0)])
    optimizer.suggest(1)
    kept = [trial for trial in optimizer.study.trials if trial.state.name == "COMPLETE"]
    assert [trial.constraints["chip"] for trial in kept] == [-1.0, 1.0, -1.0, -1.0, 1.0]
    assert [trial.value for trial in kept if trial.constraints["chip"] < 0] == [0.1, 0.2, 0.3]


def test_another_optuna_is_named(config, judge, monkeypatch):
    import optuna

    wanted = config()
    problem = Problem(Task(scenario=wanted.scenario, space=wanted.space), judge(wanted).screen, 0)
    monkeypatch.setattr(optuna.samplers, "GPSampler", lambda **arguments: object())
    with pytest.raises(UsageError, match=r"Optuna 5\.\d.* pip install 'optuna>=5,<6'"):
        bayesian.bayesian(problem, bayesian.Settings())
