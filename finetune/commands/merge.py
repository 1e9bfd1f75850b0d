"""The verb `merge`: base and adapter in one model."""

from pathlib import Path

from cim_sim import cli
from cim_sim.paths import readable


def merge(
    adapter: Path = Path("runs/finetune/local"), out: Path | None = None, dry_run: bool = False
) -> int:
    """Write base and adapter as one model, and check that it answers as the adapter does.

    The base is made first where it has to be. What is merged already is left as it is.

    Args:
        adapter: directory of the adapter.
        out: directory of the merged model; `merged/` in the adapter's if it is not given.
        dry_run: say what would be joined, and stop.
    """
    from finetune.merge import is_merged, merge_adapter
    from search.record.adapter import MERGED, ROUND_TRIP, read_manifest

    adapter = readable(adapter)
    out = out or adapter / MERGED
    if dry_run:
        return cli.planned(base=read_manifest(adapter).base, writes=str(out))
    if is_merged(adapter, out):
        print(f"{out} holds this adapter already; remove it to merge anew")
        return 0
    difference = merge_adapter(adapter, out)
    cli.emit(
        merged=str(out),
        mean_logprob_difference=round(difference, 5),
        roundtrip_carried=(out / ROUND_TRIP).is_file(),
    )
    return 0
