"""The verb `rounds`: a tuned model learns from its own searches of training tasks."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load


def rounds(
    *,
    adapter: Path = Path("runs/finetune/local"),
    out: Path = Path("runs/finetune/rounds"),
    config: Path = Path("configs/finetune/rounds.yaml"),
    model: Path = Path("configs/models/local.yaml"),
    base: Path = Path("configs/models/base.yaml"),
    dry_run: bool = False,
) -> int:
    """The model proposes on training tasks, the simulator judges, and training goes on.

    Typed again after a break, it goes on where it was.

    Args:
        adapter: what `pipeline` made, with its merged model and its round trip.
        out: directory of the rounds: round-1/adapter and so on.
        config: YAML file of the rounds.
        model: YAML file that says how the tuned model is served.
        base: YAML file that says how its base model is served.
        dry_run: show the recipe and the counts, and stop.
    """
    from finetune.learn import Served
    from finetune.rounds import load_rounds, one_round
    from search.llm.model import ModelConfig
    from search.llm.server import vllm_version
    from search.record.adapter import read_manifest

    vllm_version()
    recipe = load_rounds(config)
    read_manifest(adapter)
    if dry_run:
        searches = f"{recipe.tasks} of {recipe.episodes} episodes, screen {recipe.screen}"
        facts = {"rounds": recipe.rounds, "searches_a_round": searches, "begins_with": str(adapter)}
        return cli.planned(**facts, writes=f"{out}/round-N: search/, data/, adapter/")
    served = Served(load(model, ModelConfig), load(base, ModelConfig))
    passed = True
    for number in range(recipe.rounds):
        folder = out / f"round-{number + 1}"
        print(f"=== round {number + 1} of {recipe.rounds}", flush=True)
        summary = one_round(recipe, number, adapter, folder, served)
        cli.emit(round=number + 1, **summary)
        adapter, passed = folder / "adapter", passed and summary["roundtrip_passed"]
    return 0 if passed else cli.EXIT_FAILED
