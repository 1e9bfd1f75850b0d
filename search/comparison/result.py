"""What a comparison says: the one object behind every page, figure and file.

Regret is normalised: 0 at the best known design of a scenario, 1 at the median feasible random one
and until something is feasible. Lower is better everywhere.
"""

from typing import Any, Self

from pydantic import Field, model_validator

from cim_sim.config import Config
from cim_sim.intervals import Interval
from search.record.given import Given


class ScenarioFacts(Config):
    """A scenario of the comparison, and the ends of its regret."""

    name: str
    digest: str
    space: str
    metric: str
    told: bool
    optimum: float | None
    """Regret 0; None, like the median: there is no scale, and the scenario counts in no regret."""
    median_random: float | None
    """Regret 1."""
    source: str | None
    """Where the optimum comes from."""
    best_in: dict[str, "Best"] = Field(default_factory=dict)
    """By arm: the best design of all its episodes and seeds here; arms that found none lack."""


class Best(Config):
    """A design that an arm found."""

    reward: float
    design: Any
    """Wire format."""
    seed: int
    episode: int


class Estimate(Config):
    """Regret at one episode, over scenarios and seeds."""

    mean: Interval
    iqm: Interval
    """Interquartile mean: of the middle half."""
    median: float


class Nearest(Config):
    """The training task that is nearest to a scenario of the comparison."""

    scenario: str
    """The one of the comparison that lies nearest to what was trained on."""
    task: str
    distance: float
    """As `lookup` measures it; 0: trained on that very task."""


class Origin(Config):
    """What a language model is made of, as far as its runs know."""

    words: str
    """`base`, `tuned with ADAPTER`, `unknown: ...`."""
    nearest: Nearest | None = None
    """None: not tuned, or its training tasks are not recorded."""


class Shares(Config):
    """Shares of the episodes of all runs."""

    invalid: float
    """Replies without a design after all retries."""
    infeasible: float
    duplicate: float
    failed: float
    """Crash, timeout, or no answer from a server."""
    first_try: float | None
    """Of a model's proposals, those whose first reply was a design; None without a model."""


class Effort(Config):
    """What an episode takes, means over all."""

    seconds: float
    prompt_tokens: float
    completion_tokens: float
    evaluated: float
    """Share of the episodes in which something new was evaluated."""
    trained: float
    """Share of the episodes in which a network was trained."""
    screened: float
    """Proposals passed over by the free screening, for one episode."""


class Foresight(Config):
    """Accuracy that a language model expected of its new designs, less what was found."""

    designs: int
    bias: float
    rmse: float


class ArmResult(Config):
    """One arm over all cells: scenarios x seeds."""

    name: str
    optimizer: str
    settings: dict[str, Any]
    """Of the optimiser, in full."""
    episodes: int
    """Its budget."""
    screen: int
    runs: int
    origin: Origin | None
    """None: no language model."""
    trainings: dict[int, float] = Field(default_factory=dict)
    """Regret at the end by the seed of the model's training, where there are several; all other
    figures are means over these trainings, and intervals hold for them alone."""
    given: Given
    """What it had beside the results of its own search."""
    oracle: bool
    """It asks the very judge of the runs."""
    regret: dict[int, Estimate]
    """By episode."""
    curve: tuple[float, ...]
    """Mean regret after each episode, [episodes]."""
    low: tuple[float, ...] | None
    """Lower end of its interval, like `high`; None: too few cells."""
    high: tuple[float, ...] | None
    area: Interval
    """Mean of the curve over all episodes: the area under it."""
    first_feasible: float | None
    """Episodes to the first feasible design; median over runs. None: half or more found none."""
    never_feasible: float
    """Share of the runs."""
    shares: Shares
    effort: Effort
    foresight: Foresight | None = None
    """None: nothing was expected."""

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.episodes not in self.regret:
            raise ValueError(f"regret: nothing after {self.episodes} episodes, its budget")
        return self


class Match(Config):
    """Episodes until an arm's mean regret is as low as that of a rival at the end of its budget."""

    rival_episodes: int
    episodes: int | None
    """None: not within the arm's budget."""
    low: int | None = None
    """None, like `high`: beyond the budget, or no interval."""
    high: int | None = None
    bounded: bool
    """Whether there are cells enough for an interval."""


class Claim(Config):
    """One arm against another after equally many episodes, paired by scenario and seed."""

    arm: str
    against: str
    episodes: int
    difference: Interval
    """Regret of the rival less that of the arm: above 0, the arm is better."""
    p: float | None
    """Of no difference; None: too few cells."""
    p_holm: float | None
    """Corrected for all claims on language models of this comparison, or for all others."""
    shown: bool
    """The interval leaves out 0 and the corrected p is below .05."""
    match: Match
    sentence: str


class Front(Config):
    """Accuracy against one cost in one scenario, over all feasible designs of an arm."""

    scenario: str
    arm: str
    cost: str
    """`energy_pj`, `latency_ns` or `area_um2`."""
    points: tuple[tuple[float, float], ...]
    """(cost, accuracy) of the designs that no other beats in both, cheapest first."""
    hypervolume: float
    """Share of the box from the worst corner of all designs to (0, 1) that the front dominates."""


class Reference(Config):
    """A published chip beside the fronts of a scenario."""

    scenario: str
    name: str
    costs: dict[str, float]
    """By the names of `Front.cost`, as far as they are published."""
    words: str
    """Where they come from."""


class Rewards(Config):
    """Rewards of an arm in one scenario, over its seeds."""

    scenario: str
    arm: str
    mean: tuple[float | None, ...]
    """At each episode, over the seeds whose design was feasible; None: no seed's was."""
    best: float | None
    """The best of a run, mean over those that found something feasible; None: none did."""


class KernelRow(Config):
    """The best design of a scenario with all kernels of one size."""

    scenario: str
    channels: tuple[int, ...]
    kernel: int
    utilisation: float | None
    """None, like the latency: no floorplan."""
    latency_ns: float | None
    accuracy: float | None
    """Under variation, limits left aside; None: no floorplan, or trained and not known."""


class BeliefRow(Config):
    """What a model said of one effect of kernels; 1: it says so in every question."""

    model: str
    kind: str
    right: Interval
    """Share of right answers; .5 is what any fixed rule gets."""
    says_larger: float
    """Share of questions in which it prefers the larger kernel."""
    larger_is_right: float
    """Share of all clear pairs in which the larger kernel is right."""


ALL = "all"
"""Stands for all objectives together."""


class Contrast(Config):
    """How far an arm lies below a rival, each after so many episodes; not corrected."""

    arm: str
    against: str
    metric: str
    """Objective of the scenarios that count, or `all`."""
    episodes: int
    rival_episodes: int
    difference: Interval


class Comparison(Config):
    """Everything that the pages say."""

    command: str
    """Makes it again."""
    evaluator: str
    simulator: str
    factors: tuple[str, ...]
    """What arms were allowed to differ in."""
    batch: int
    seeds: int
    """In each scenario."""
    scenarios: tuple[ScenarioFacts, ...]
    unfinished: int
    """Runs that are not done, or not begun; what they have counts in no mean and no claim."""
    arms: tuple[ArmResult, ...]
    claims: tuple[Claim, ...]
    contrasts: tuple[Contrast, ...] = ()
    fronts: tuple[Front, ...] = ()
    references: tuple[Reference, ...] = ()
    rewards: tuple[Rewards, ...] = ()
    kernels: tuple[KernelRow, ...] = ()
    beliefs: tuple[BeliefRow, ...] = ()
    notes: tuple[str, ...]
    """What must be kept in mind."""
    versions: dict[str, str]
    """Of the packages of the first run."""
    code: tuple[str, ...]
    """Commits from which the runs were made."""

    @property
    def counted(self) -> int:
        """Scenarios that count: those with a scale of regret that all arms have finished."""
        return self.arms[0].area.n // self.seeds
