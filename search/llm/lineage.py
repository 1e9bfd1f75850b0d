"""What a local model was made from: its adapter, and the nearest task that it learnt."""

from pathlib import Path

from cim_sim.files import read
from search.llm.model import ModelConfig
from search.record.adapter import MANIFEST, TRAINED_ON, Lineage, read_adapter
from search.record.tasks import Task
from search.transfer import distances


def lineage_of(model: ModelConfig, task: Task) -> Lineage:
    """Read the lineage of a model, and how near `task` is to what it was trained on.

    A merged copy carries the records of its adapter, so that it may be moved; of a model that is
    served elsewhere, or whose folder has no card, nothing is known.

    Raises:
        UsageError: a manifest or a round-trip result is damaged.
    """
    if model.path is None:
        return Lineage(adapter=None, unknown=None if model.script else "served elsewhere")
    places = [model.adapter] if model.adapter else [model.path.parent, model.path]
    folder = next((place for place in places if (place / MANIFEST).is_file()), model.adapter)
    if folder is None:
        known = (model.path / "README.md").is_file()
        return Lineage(adapter=None, unknown=None if known else "no card")
    return Lineage(adapter=read_adapter(folder), nearest=_nearest(folder, task))


def _nearest(folder: Path, task: Task) -> tuple[str, float] | None:
    tasks = read(folder / TRAINED_ON, Task, "copy the adapter's folder anew").records
    if not tasks:
        return None
    far = distances(task, tasks)
    return tasks[int(far.argmin())].name, round(float(far.min()), 4)
