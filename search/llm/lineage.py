"""What a local model was made from: its adapter, and the nearest task that it learnt."""

from pathlib import Path

from search.llm.model import ModelConfig
from search.record.adapter import MANIFEST, TRAINED_ON, Lineage, read_adapter
from search.record.tasks import AnyTask, Task, read_tasks
from search.transfer import distances


def lineage_of(model: ModelConfig, task: AnyTask) -> Lineage:
    """Read the lineage of a model, and how near `task` is to what it was trained on.

    A merged copy carries the records of its adapter, so that it may be moved; of a model that is
    served elsewhere, or whose folder has no card, nothing is known.

    Raises:
        UsageError: a manifest or a round-trip result is damaged.
    """
    if model.path is None:
        return Lineage(adapter=None, unknown=None if model.script else "served elsewhere")
    places = [model.adapter] if model.adapter else _of_merged(model.path)
    folder = next((place for place in places if (place / MANIFEST).is_file()), model.adapter)
    if folder is None:
        known = (model.path / "README.md").is_file()
        return Lineage(adapter=None, unknown=None if known else "no card")
    return Lineage(adapter=read_adapter(folder), nearest=_nearest(folder, task))


def _of_merged(path: Path) -> list[Path]:
    """Return where the records of merged weights lie: beside them, unless the adapter changed."""
    own, adapter = path / MANIFEST, path.parent / MANIFEST
    stale = own.is_file() and adapter.is_file() and own.read_bytes() != adapter.read_bytes()
    return [path] if stale else [path.parent, path]


def _nearest(folder: Path, task: AnyTask) -> tuple[str, float] | None:
    """Find the nearest task; a problem of the user's own is near to none that can be measured."""
    every = read_tasks(folder / TRAINED_ON, "copy the adapter's folder anew")
    tasks = [one for one in every if isinstance(one, Task)]
    if not tasks or not isinstance(task, Task):
        return None
    far = distances(task, tasks)
    return tasks[int(far.argmin())].name, round(float(far.min()), 4)
