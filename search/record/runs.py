"""The run directory: manifest.json, config.yaml, trials.jsonl, exchanges.jsonl."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from cim_sim.config import UsageError, dump, load
from cim_sim.files import Journal, locked, read, require_no_file, write_whole
from search.record.adapter import Lineage
from search.record.given import Given
from search.record.manifest import Digests, Manifest, RunConfig, Status, differences
from search.record.provenance import now, session
from search.record.trace import Exchange, Trial

CONFIG = "config.yaml"
FILES = ("manifest.json", CONFIG, "trials.jsonl", "exchanges.jsonl")
SERVER_LOG = "server.log"


class RunRecord(NamedTuple):
    """A run as read from disk."""

    path: Path
    config: RunConfig
    manifest: Manifest
    trials: list[Trial]
    exchanges: list[Exchange]


class Run:
    """An open run directory and its only writer; see `open_run`."""

    def __init__(
        self, path: Path, config: RunConfig, manifest: Manifest, before: Manifest | None
    ) -> None:
        self.path, self.config, self.manifest, self.before = path, config, manifest, before
        self.config_before = ""
        """What a session that is refused puts back: it may have raised the budget."""
        self.trials = Journal(path / "trials.jsonl", Trial)
        self.exchanges = Journal(path / "exchanges.jsonl", Exchange)
        _require_sequence(self.trials.path, self.trials.records)
        _require_of(config, self.trials.path, self.trials.records)
        self._records_before = len(self.trials.records) + len(self.exchanges.records)
        self._known = {(exchange.step, exchange.attempt) for exchange in self.exchanges.records}

    @property
    def complete(self) -> bool:
        """Whether the budget is spent."""
        return len(self.trials.records) >= self.config.episodes

    def add_exchanges(self, exchanges: Sequence[Exchange]) -> None:
        """Record what is not recorded yet: replay hands the old ones in again."""
        for exchange in exchanges:
            if (exchange.step, exchange.attempt) not in self._known:
                self.exchanges.append(exchange)
                self._known.add((exchange.step, exchange.attempt))

    def identify(self, model: dict[str, Any] | None, lineage: Lineage | None, given: Given) -> None:
        """Record which model proposes, what it was made from, and what the optimiser was given.

        Raises:
            UsageError: the run was begun with another one.
        """
        if self.trials.records or self.exchanges.records:
            self.require_model(self.manifest.model, model)
        self.write(model=model, lineage=lineage, given=given)

    def require_model(self, then: object, now: object) -> None:
        """Raise UsageError where a model of the record, or a part of it, is not that of today."""
        _refuse_changes(self.path, differences(then, now, "model"))

    def finish(self, status: Status, stopped_by: str) -> None:
        """Say in the manifest how this session ended."""
        self.write(status=status, stopped_by=stopped_by, ended_at=now())

    def refuse(self, reason: str) -> None:
        """End a session that cannot work as it is set; if it recorded nothing, it never was."""
        if len(self.trials.records) + len(self.exchanges.records) > self._records_before:
            self.finish("failed", reason)
        elif self.before:
            self.manifest = self.before
            write_whole(self.path / CONFIG, self.config_before)
            self.write()
        else:
            self._remove()

    def close(self) -> None:
        """Release the files."""
        self.trials.close()
        self.exchanges.close()

    def _remove(self) -> None:
        """Leave the directory as it was found, so that the mended command finds it empty."""
        for name in (*FILES, SERVER_LOG):
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

    def write(self, **changes: Any) -> None:
        """Write the manifest with changes."""
        self.manifest = self.manifest.model_copy(update=changes)
        text = self.manifest.model_dump_json(indent=2) + "\n"
        write_whole(self.path / "manifest.json", text)


@contextmanager
def open_run(path: Path, config: RunConfig, digests: Digests, resume: bool) -> Iterator[Run]:
    """Begin a run in an empty or new directory, or go on with the one that is there.

    Raises:
        UsageError: the directory is not empty and `resume` is not given, it holds something
            else, another process writes it, or the run was begun with other settings, another
            scenario, space, evaluator or simulator.
        OSError: the directory cannot be made or written.
    """
    _require_free(path, resume)
    path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        before, manifest = _manifests(path, config, digests)
        run = Run(path, config, manifest, before)
        try:
            run.config_before = (path / CONFIG).read_text(encoding="utf-8") if before else ""
            if manifest is not before:
                write_whole(path / CONFIG, dump(config))
                run.write()
            yield run
        finally:
            run.close()


def require_openable(path: Path, config: RunConfig, digests: Digests, resume: bool) -> None:
    """Raise the UsageError with which `open_run` would refuse; changes nothing."""
    _require_free(path, resume)
    if path.exists():
        _manifests(path, config, digests)


def read_run(path: Path) -> RunRecord:
    """Read a run, finished or not, without changing anything.

    Raises:
        UsageError: there is no run, or one of its files is damaged.
    """
    if not (path / "manifest.json").exists():
        raise UsageError(f"{path}: holds no run (no manifest.json)")
    manifest = load(path / "manifest.json", Manifest)
    config = load(path / CONFIG, RunConfig)
    trials = read(path / "trials.jsonl", Trial).records
    _require_sequence(path / "trials.jsonl", trials)
    _require_of(config, path / "trials.jsonl", trials)
    exchanges = read(path / "exchanges.jsonl", Exchange).records
    return RunRecord(path, config, manifest, trials, exchanges)


def _require_free(path: Path, resume: bool) -> None:
    require_no_file(path)
    if not resume and path.exists() and any(path.iterdir()):
        raise UsageError(
            f"{path}: is not empty; add --resume to go on with the run there, "
            "or choose another directory with --out"
        )


def _manifests(path: Path, config: RunConfig, digests: Digests) -> tuple[Manifest | None, Manifest]:
    """Return the manifest that is there, if any, and the one to begin or go on with."""
    file = path / "manifest.json"
    before = load(file, Manifest) if file.exists() else None
    return before, _continued(path, before, config, digests) if before else _first(path, digests)


def _first(path: Path, digests: Digests) -> Manifest:
    """Return the manifest of a new run; a start that was killed before it wrote one is no run."""
    foreign = sorted(file.name for file in path.iterdir() if not _is_leftover(file))
    if foreign:
        raise UsageError(f"{path}: holds no run to resume but {', '.join(foreign[:6])}")
    return Manifest(digests=digests, sessions=(session(),))


def _is_leftover(file: Path) -> bool:
    ours = file.name.lstrip(".").removesuffix(".new") in (*FILES, SERVER_LOG)
    return ours and not (file.suffix == ".jsonl" and file.stat().st_size)


def _continued(path: Path, manifest: Manifest, config: RunConfig, digests: Digests) -> Manifest:
    old = load(path / CONFIG, RunConfig)
    free = {"episodes"}
    changes = differences(
        old.model_dump(mode="json", exclude=free), config.model_dump(mode="json", exclude=free)
    )
    changes += differences(manifest.digests.model_dump(), digests.model_dump(), "digests")
    _refuse_changes(path, changes)
    if config.episodes < old.episodes:
        raise UsageError(
            f"{path}: --episodes {config.episodes} is less than the {old.episodes} of the run; "
            "a budget can be raised, not lowered"
        )
    recorded = len(read(path / "trials.jsonl", Trial).records)
    if manifest.status == "done" and recorded >= config.episodes:
        return manifest  # as it is: nothing is left to do
    return manifest.model_copy(
        update={
            "status": "running",
            "stopped_by": None,
            "ended_at": None,
            "sessions": (*manifest.sessions, session()),
        }
    )


def _refuse_changes(path: Path, changes: Sequence[str]) -> None:
    if changes:
        raise UsageError(
            f"{path}: cannot be resumed, it was begun with something else:\n  "
            + "\n  ".join(changes)
            + "\ngive the settings it was begun with (or --resume and --out alone), "
            "or start a new run in another directory"
        )


def _require_sequence(path: Path, trials: Sequence[Trial]) -> None:
    for step, trial in enumerate(trials):
        if trial.step != step:
            raise UsageError(
                f"{path}:{step + 1}: found step {trial.step}, expected {step}; "
                "lines are missing or doubled: restore the file, or start a new run"
            )


def _require_of(config: RunConfig, path: Path, trials: Sequence[Trial]) -> None:
    """Raise UsageError where a trial cannot be of this run."""
    scenario, space, most = config.scenario.digest, config.space, config.episodes
    for trial in trials:
        faults = space.check(trial.design) if trial.design else []
        if trial.evaluation and trial.evaluation.scenario != scenario:
            faults.append(f"its scenario is {trial.evaluation.scenario}, the run's {scenario}")
        if trial.step >= most:
            faults.append(f"step {trial.step} of a budget of {most} episodes")
        if trial.duplicate_of is not None and not 0 <= trial.duplicate_of < trial.step:
            faults.append(f"it repeats step {trial.duplicate_of}, which is not before it")
        if faults:
            raise UsageError(
                f"{path}:{trial.step + 1}: {'; '.join(faults[:6])}; the file was damaged or "
                "edited, or is of another run: restore it, or start a new run"
            )
