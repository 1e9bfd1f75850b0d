"""The verb `merge`: base and adapter in one model."""

from pathlib import Path

from cim_sim import cli


def merge(adapter: Path = Path("runs/finetune/local"), dry_run: bool = False) -> int:
    """Write `merged/` into an adapter's directory, and check that it answers as the adapter does.

    Args:
        adapter: directory of the adapter.
        dry_run: say what would be joined, and stop.
    """
    from finetune.merge import WORST_MEAN, merge_adapter
    from search.record.adapter import MERGED, read_manifest

    if dry_run:
        return cli.planned(base=read_manifest(adapter).base, writes=str(adapter / MERGED))
    difference = merge_adapter(adapter)
    cli.emit(merged=str(adapter / MERGED), mean_logprob_difference=round(difference, 5))
    return 0 if difference <= WORST_MEAN else cli.EXIT_FAILED
