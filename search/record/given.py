"""What an arm was given beside the results of its own search; every page prints it."""

from cim_sim.config import Config


class Given(Config):
    """Knowledge that was paid for before a search began, and what it may compute for free."""

    trace_evaluations: int = 0
    """Evaluations of training tasks behind what it proposes."""
    recalled: int = 0
    """Of these, the ones behind the table of `lookup`."""
    trainings: int = 0
    """Trained networks behind the regression that judged those, or that it asks itself."""
    cost_model: bool = False
    """It computes cost, floorplan and area by itself."""

    def __add__(self, other: "Given") -> "Given":
        """Return what two were given together; a regression, like a table, is one and the same."""
        recalled = max(self.recalled, other.recalled)
        own = sum(one.trace_evaluations - one.recalled for one in (self, other))
        return Given(
            trace_evaluations=own + recalled,
            recalled=recalled,
            trainings=max(self.trainings, other.trainings),
            cost_model=self.cost_model or other.cost_model,
        )

    @property
    def words(self) -> str:
        """Return it as a page says it."""
        parts = [f"{self.trace_evaluations:,} trace evaluations"] if self.trace_evaluations else []
        parts += [f"{self.trainings:,} trainings"] if self.trainings else []
        parts += ["cost model"] if self.cost_model else []
        return ", ".join(parts) or "nothing"


def regression(trace_evaluations: int = 0, *, cost_model: bool = False) -> Given:
    """Return what comes with the accuracy surrogate: the trainings of its table."""
    from cim_sim.accuracy.bench.table import published
    from cim_sim.accuracy.surrogate.model import TABLE

    trainings = len(published(TABLE))
    return Given(trace_evaluations=trace_evaluations, trainings=trainings, cost_model=cost_model)
