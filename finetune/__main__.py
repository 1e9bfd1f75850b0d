"""`python -m finetune VERB`: base model, traces, dataset, training, checks, rounds, release."""

import sys

from cim_sim import cli
from finetune.commands.ablate import ablate
from finetune.commands.base import base
from finetune.commands.bench import bench
from finetune.commands.dataset import dataset
from finetune.commands.merge import merge
from finetune.commands.pipeline import pipeline
from finetune.commands.probe import probe
from finetune.commands.reads import reads
from finetune.commands.release import release
from finetune.commands.rounds import rounds
from finetune.commands.roundtrip import roundtrip
from finetune.commands.traces import traces
from finetune.commands.train import train


def main() -> int:
    """Run one verb and return its exit code."""
    verbs: dict[str, cli.Verb] = {
        "base": base,
        "traces": traces,
        "dataset": dataset,
        "train": train,
        "merge": merge,
        "roundtrip": roundtrip,
        "probe": probe,
        "reads": reads,
        "pipeline": pipeline,
        "rounds": rounds,
        "release": release,
        "ablate": ablate,
        "bench": bench,
    }
    return cli.run("python -m finetune", str(__doc__), verbs)


if __name__ == "__main__":
    sys.exit(main())
