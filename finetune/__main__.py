"""`python -m finetune VERB`: base model, traces, dataset, training, merge, round trip, probes."""

from cim_sim import cli


def main() -> int:
    """Run the verb named on the command line."""
    from finetune.base import base
    from finetune.base_model import base_model
    from finetune.bench import bench
    from finetune.data import dataset, traces
    from finetune.local import local
    from finetune.merge import merge
    from finetune.probes import probes
    from finetune.roundtrip import roundtrip
    from finetune.train import train

    verbs: dict[str, cli.Verb] = {
        "base": base,
        "base-model": base_model,
        "traces": traces,
        "dataset": dataset,
        "train": train,
        "merge": merge,
        "roundtrip": roundtrip,
        "probes": probes,
        "local": local,
        "bench": bench,
    }
    return cli.run("python -m finetune", str(__doc__), verbs)


if __name__ == "__main__":
    raise SystemExit(main())
