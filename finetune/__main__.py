"""`python -m finetune VERB`: base model, traces, dataset, training, merge, round trip, probes."""

import sys

from cim_sim import cli

EXTRA = {"transformers", "peft", "trl", "datasets", "accelerate", "tokenizers", "safetensors"}
"""What the extra `finetune` in pyproject.toml installs."""


def main() -> int:
    """Run the verb named on the command line."""
    from finetune.commands.base_model import base_model
    from finetune.commands.dataset import dataset
    from finetune.commands.merge import merge
    from finetune.commands.pipeline import pipeline
    from finetune.commands.probes import probes
    from finetune.commands.roundtrip import roundtrip
    from finetune.commands.traces import traces
    from finetune.commands.train import train

    verbs: dict[str, cli.Verb] = {
        "base-model": base_model,
        "traces": traces,
        "dataset": dataset,
        "train": train,
        "merge": merge,
        "roundtrip": roundtrip,
        "probes": probes,
        "pipeline": pipeline,
    }
    try:
        return cli.run("python -m finetune", str(__doc__), verbs)
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        command = f"{sys.executable} -m pip install --constraint constraints.txt -e '.[finetune]'"
        print(f"{error.name} is not installed; install it with: {command}", file=sys.stderr)
        return cli.EXIT_USAGE


if __name__ == "__main__":
    raise SystemExit(main())
