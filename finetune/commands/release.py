"""The verb `release`: an adapter made small and whole, to be passed on."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load


def release(
    adapter: Path = Path("runs/finetune/local"),
    out: Path = Path("finetune/released"),
    model: Path = Path("configs/models/released.yaml"),
    base: Path = Path("configs/models/base.yaml"),
    dry_run: bool = False,
) -> int:
    """Write an adapter's weights in bf16 with all that others need; merge it and check it so.

    Args:
        adapter: directory of an adapter that is merged and passed its round trip.
        out: directory of the release.
        model: YAML file that says how the released model is served, and where it is merged.
        base: YAML file that says how its base model is served.
        dry_run: say whether it may be released and what would be written, and stop.
    """
    from finetune import release as releases
    from finetune.adapter import WEIGHTS
    from search.llm.model import ModelConfig
    from search.llm.server import vllm_version

    vllm_version()
    served, untuned = load(model, ModelConfig), load(base, ModelConfig)
    source = releases.releasable(adapter, out)
    if dry_run:
        megabytes = (adapter / WEIGHTS).stat().st_size / 1e6
        return cli.planned(
            weights=f"{megabytes:.1f} MB, less where they are not bf16 yet",
            writes=str(out),
            then=f"{served.path}: base and release merged, and a round trip of that",
        )
    summary = releases.release(source, out, served, untuned)
    cli.emit(**summary)
    return 0 if summary["roundtrip_passed"] else cli.EXIT_FAILED
