"""The verb `probe`: what a model believes about kernels."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load
from search.study.cut import Split


def probe(
    *,
    model: Path = Path("configs/models/base.yaml"),
    split: Split = "near",
    scenarios: cli.Count = 24,
    questions: cli.Count = 1000,
    seed: cli.Natural = 0,
    runs: tuple[Path, ...] = (),
    out: Path = Path("runs/probe"),
    dry_run: bool = False,
) -> int:
    """Ask a model which of two kernels is better, and say what others would have answered.

    It is asked three times: held to the two kernels, free, and, as in a search, what accuracy it
    expects of both designs, from which exact costs make an answer.

    Args:
        model: YAML file of a model that vLLM serves, here or behind base_url.
        split: part of the family that is asked about; the rule is fitted on `train`.
        scenarios: number of scenarios of that part, and of training scenarios for the rule.
        questions: number of questions at most, in equal parts on accuracy, latency, utilisation,
            reward and feasibility.
        seed: of the draw of questions.
        runs: directories of searches whose habit is measured: how often they enlarge kernels.
        out: directory for probe.json and the server's log.
        dry_run: show who would be asked and how much, and stop.
    """
    from cim_sim.files import write_whole
    from finetune.probe.ask import ask, settings_for
    from finetune.probe.habit import habits
    from finetune.probe.judged import by_cost, judged
    from finetune.probe.questions import balanced, drawn
    from finetune.probe.report import Probe, beliefs, page
    from finetune.probe.sceptics import by_rule, looked_up
    from finetune.probe.truth import CLEAR_ACCURACY, KINDS, surrogate_table
    from search.llm.connection import answered_by, connected, identity
    from search.llm.model import ModelConfig
    from search.llm.server import with_dtype
    from search.study.family import tasks

    settings = with_dtype(settings_for(load(model, ModelConfig)))
    who, moves = identity(settings), habits(runs)  # refused before the minutes of work
    if dry_run:
        print(answered_by(settings))
        return cli.planned(
            scenarios=f"{scenarios} of {split}, and as many of train for the rule",
            questions_at_most=questions,
            writes=f"{out}: probe.json",
        )
    found, training = (drawn(tasks(part, scenarios), seed) for part in (split, "train"))
    chosen = {kind: balanced(found, kind, questions // len(KINDS), seed) for kind in KINDS}
    every = [question for own, _ in chosen.values() for question in own]
    print(f"{len(every)} questions from {scenarios} scenarios of {split}", flush=True)
    with connected(settings, out) as client:
        said, expected = ask(client, every), judged(client, every)
    answers = {
        **said._asdict(),
        "judged": expected,
        "cost": by_cost(every),
        "larger": by_cost(every, CLEAR_ACCURACY),
        "lookup": looked_up(every),
        "rule": by_rule(every, training),
    }
    result = Probe(
        model=who,
        split=split,
        scenarios=scenarios,
        seed=seed,
        surrogate=surrogate_table(),
        beliefs=beliefs(every, answers, found.clear),
        dropped={kind: dropped for kind, (_, dropped) in chosen.items()},
        habits=moves,
    )
    write_whole(out / "probe.json", result.model_dump_json(indent=1) + "\n")
    print(page(result))
    scores = {
        name: {kind: one.right[name].mean for kind, one in result.beliefs.items()}
        for name in ("likelier", "judged")
    }
    cli.emit(out=str(out / "probe.json"), questions=len(every), right=scores)
    return 0
