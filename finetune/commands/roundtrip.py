"""The verb `roundtrip`: the gate before any comparison."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load
from cim_sim.paths import readable


def roundtrip(
    adapter: Path = Path("runs/finetune/local"),
    model: Path = Path("configs/models/local.yaml"),
    base: Path = Path("configs/models/base.yaml"),
    dry_run: bool = False,
) -> int:
    """Check that vLLM serves the tuned model, and write `roundtrip.json` beside what it served.

    Args:
        adapter: directory of the adapter.
        model: YAML file that says how the tuned model is served in a search.
        base: YAML file that says how its base model is served.
        dry_run: show how both would be served, and stop.
    """
    from finetune.roundtrip import check, placed, record_places
    from search.llm.connection import answered_by
    from search.llm.model import ModelConfig
    from search.record.adapter import ROUND_TRIP

    adapter = readable(adapter)
    tuned, untuned = placed(load(model, ModelConfig), adapter), load(base, ModelConfig)
    if dry_run:
        print(f"{answered_by(tuned)}\n{answered_by(untuned)}\n")
        return cli.planned(writes=str(record_places(adapter, tuned)[0] / ROUND_TRIP))
    result = check(adapter, tuned, untuned)
    for fault in result.faults:
        print(f"round trip: {fault}")
    cli.emit(**result.model_dump(mode="json"))
    return 0 if result.passed else cli.EXIT_FAILED
