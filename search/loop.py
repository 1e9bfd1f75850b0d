"""Algorithm 2, the only loop: propose, check what is free, evaluate, record, learn.

One slot of the budget is one trial: a proposal that names no design, an infeasible design and a
duplicate each cost one. With screening, up to `screen - 1` proposals in a row that the free checks
find infeasible or already known are passed over at no cost; the next one takes the slot whatever
it is. All proposals come back to the optimiser in `update`, the passed-over ones with what the
free checks said, so every optimiser learns from the same information.

A run resumes by replay: the optimiser proposes again from the start and must propose what is
recorded; recorded trials are handed to it instead of being evaluated. A batch is always proposed
whole, so that a run with a larger budget begins with the smaller one.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cim_sim.config import UsageError
from cim_sim.evaluate import Evaluation
from cim_sim.space import Design
from search.proposal import Evaluator, Optimizer, Proposal, SearchStopped
from search.record.provenance import now
from search.record.runs import Run
from search.record.trace import Failure, Trial, failed

PATIENCE = 10
"""Failures in a row that end a run."""

Report = Callable[[Trial], None]
"""Told of each trial as soon as it is on the disk."""


@dataclass(frozen=True)
class Slot:
    """A proposal and the slot of the budget that it takes, or was passed over for."""

    proposal: Proposal
    step: int
    screened: int
    passed_over: Evaluation | None
    """What the screening says of a design that it passes over; None: the proposal takes the slot.
    """


class Search:
    """The state of one search: what has been tried, and what the screening passed over."""

    def __init__(self, run: Run, optimizer: Optimizer, evaluator: Evaluator) -> None:
        self.run, self.optimizer, self.evaluator = run, optimizer, evaluator
        self.recorded = list(run.trials.records)
        self.trials: list[Trial] = []
        self.tried: dict[str, Trial] = {}
        """First evaluated trial of each design, else the last that failed; by design id."""
        self.passed_over = 0
        """Since the last trial."""
        self.since = time.perf_counter()
        """When the last trial was measured: what came after it belongs to the next one."""

    def to_the_end(self, report: Report) -> None:
        """Spend the budget of the run.

        Raises:
            SearchStopped: the model is gone, or PATIENCE trials in a row failed.
            UsageError: replay does not give the recorded trials.
            OSError: a record cannot be written.
        """
        while len(self.trials) < self.run.config.episodes:
            self._round(report)

    def _round(self, report: Report) -> None:
        started_at = now()
        slots = self._slots(self._proposals())
        kept = [slot for slot in slots if slot.passed_over is None]
        kept = [slot for slot in kept if slot.step < self.run.config.episodes]
        fresh = [slot for slot in kept if slot.step >= len(self.recorded)]
        results = self._results(kept) if fresh else {}
        for slot in kept:
            if slot.step < len(self.recorded):
                self._add(_replayed(slot, self.recorded[slot.step]))
        seconds = round((time.perf_counter() - self.since) / max(len(fresh), 1), 6)
        if kept:
            self.since = time.perf_counter()
        for slot in fresh:
            trial = self._trial(slot, results, started_at, seconds)
            self.run.trials.append(trial)
            self._add(trial)
            report(trial)
        if fresh:
            self._require_progress()
        if len(self.trials) < self.run.config.episodes:
            self.optimizer.update([self._returned(slot, started_at) for slot in slots])

    def _proposals(self) -> list[Proposal]:
        try:
            proposals = self.optimizer.suggest(self.run.config.batch)
        except SearchStopped as stop:
            self.run.add_exchanges(stop.exchanges)
            raise
        if len(proposals) != self.run.config.batch:
            raise ValueError(f"asked for {self.run.config.batch} proposals, got {len(proposals)}")
        for proposal in proposals:
            self.run.add_exchanges(proposal.exchanges)
        return [self._inside(proposal) for proposal in proposals]

    def _inside(self, proposal: Proposal) -> Proposal:
        """Turn a design outside the space into a failure: it is never evaluated."""
        faults = self.run.config.space.check(proposal.design) if proposal.design else []
        if not faults:
            return proposal
        message = f"{proposal.design}: outside the space: {'; '.join(faults)}"
        return Proposal(failure=Failure(kind="reply", message=message))

    def _slots(self, proposals: Sequence[Proposal]) -> list[Slot]:
        """Give each proposal its slot, in order; with screening some are passed over."""
        most = max(self.run.config.screen - 1, 0)
        taken: set[str] = set()
        slots: list[Slot] = []
        for proposal, free in zip(proposals, self._screen(proposals), strict=True):
            name = proposal.design.design_id if proposal.design else ""
            known = name in taken or (proposal.design is not None and self._known(proposal.design))
            unwanted = free is not None and (known or free.infeasible is not None)
            before = self.passed_over + proposal.passed_over
            passed = free if unwanted and before < most else None
            step = len(self.trials) + sum(slot.passed_over is None for slot in slots)
            slots.append(Slot(proposal, step, before, passed))
            self.passed_over = before + 1 if passed else 0
            if not passed and name:
                taken.add(name)
        return slots

    def _screen(self, proposals: Sequence[Proposal]) -> list[Evaluation | None]:
        """Check what is free. A crash is left for the evaluation to meet again and record."""
        if self.run.config.screen == 0:
            return [None] * len(proposals)
        designs = [proposal.design for proposal in proposals if proposal.design]
        results = iter(_guarded(self.evaluator.screen, designs))
        screened = [next(results) if proposal.design else None for proposal in proposals]
        return [None if isinstance(result, Failure) else result for result in screened]

    def _results(self, slots: Sequence[Slot]) -> dict[str, Evaluation | Failure]:
        """Evaluate each design that earlier rounds have not evaluated, once; by design id.

        A batch that a kill has torn is evaluated whole again: in floating point the last bit of
        a result may depend on what it was computed together with.
        """
        designs = {
            slot.proposal.design.design_id: slot.proposal.design
            for slot in slots
            if slot.proposal.design and not self._known(slot.proposal.design)
        }
        return dict(
            zip(designs, _guarded(self.evaluator.evaluate, [*designs.values()]), strict=True)
        )

    def _trial(
        self,
        slot: Slot,
        results: dict[str, Evaluation | Failure],
        started_at: str,
        seconds: float,
    ) -> Trial:
        design = slot.proposal.design
        outcome: dict[str, Any] = {"failure": slot.proposal.failure}
        if design and self._known(design):
            outcome = self._repeat(design)
        elif design:
            result = results[design.design_id]
            outcome = {"failure" if isinstance(result, Failure) else "evaluation": result}
        return Trial(
            step=slot.step,
            design=design,
            screened=slot.screened,
            started_at=started_at,
            seconds=seconds,
            **outcome,
        )

    def _returned(self, slot: Slot, started_at: str) -> Trial:
        """Return what the optimiser is told of a proposal; only trials are recorded."""
        if slot.passed_over is None:
            return self.trials[slot.step]
        design = slot.passed_over.design
        tried = design.design_id in self.tried
        outcome = self._repeat(design) if tried else {"evaluation": slot.passed_over}
        trial = Trial(step=slot.step, design=design, started_at=started_at, seconds=0, **outcome)
        return trial.model_copy(update={"passed_over": True})

    def _known(self, design: Design) -> bool:
        trial = self.tried.get(design.design_id)
        return trial is not None and trial.evaluation is not None

    def _repeat(self, design: Design) -> dict[str, Any]:
        first = self.tried[design.design_id]
        result = {"evaluation": first.evaluation, "failure": first.failure}
        return {**result, "duplicate_of": first.step}

    def _add(self, trial: Trial) -> None:
        self.trials.append(trial)
        if trial.design and not self._known(trial.design):
            self.tried[trial.design.design_id] = trial

    def _require_progress(self) -> None:
        failures = [trial.failure for trial in self.trials[-PATIENCE:] if trial.failure]
        if len(failures) == PATIENCE:
            last = failures[-1]
            raise SearchStopped(
                f"{PATIENCE} failures in a row; the last: {last.kind}: {last.message}"
            )


def _guarded(
    verb: Callable[[Sequence[Design]], Sequence[Evaluation | Failure]], designs: Sequence[Design]
) -> list[Evaluation | Failure]:
    """Evaluate designs; when that crashes, one by one, so that only the culprit fails.

    Raises:
        UsageError: the evaluator is not set up; no design is to blame.
    """
    if not designs:
        return []
    try:
        return list(verb(designs))
    except UsageError:
        raise
    except Exception as error:
        if len(designs) > 1:
            return [_guarded(verb, [design])[0] for design in designs]
        return [failed(error)]


def _replayed(slot: Slot, recorded: Trial) -> Trial:
    """Return the recorded trial.

    Raises:
        UsageError: the optimiser proposes something else than it did then.
    """
    if (slot.proposal.design, slot.screened) == (recorded.design, recorded.screened):
        return recorded
    now_proposed = _described(slot.proposal.design, slot.screened)
    then_proposed = _described(recorded.design, recorded.screened)
    raise UsageError(
        f"step {slot.step} cannot be replayed: the optimiser now proposes {now_proposed}, "
        f"but {then_proposed} is recorded; the code, a package or the model has "
        " changed since (manifest.json names those of then): start a new run"
    )


def _described(design: Design | None, screened: int) -> str:
    what = str(design.wire()) if design else "no design"
    return f"{what} after {screened} passed over" if screened else what
