"""The verb `run`: one search, in one directory."""

from pathlib import Path
from typing import Any, Literal

from cim_sim import cli
from cim_sim.config import UsageError, dump, in_short, parse, read_yaml
from cim_sim.paths import ACCURACY_CACHE
from search.record.manifest import RunConfig
from search.record.runs import FILES, RunRecord, read_run
from search.study.sweep import settings_of_file


def run(
    *,
    out: Path,
    optimizer: str | None = None,
    scenario: Path | None = None,
    space: Path | None = None,
    episodes: int | None = None,
    seed: int | None = None,
    model: Path | None = None,
    style: str | None = None,
    constrained: bool = False,
    evaluator: Literal["trained", "surrogate"] | None = None,
    accuracy_seed: int | None = None,
    batch: int | None = None,
    screen: int | None = None,
    verify_top: cli.Natural = 0,
    config: Path | None = None,
    resume: bool = False,
    cache: Path = ACCURACY_CACHE,
    workers: cli.Count = 1,
    dry_run: bool = False,
) -> int:
    """Search designs with one optimiser and record every trial.

    What is not given is taken from --config, or from the run that is resumed, or is: 20 episodes,
    seed 0, trained evaluator, accuracy seed 0, batch 1, no screening.

    Args:
        out: directory of the run; must be new or empty unless --resume is given.
        optimizer: name of the optimiser; an unknown name lists them all.
        scenario: YAML file of what is fixed.
        space: YAML file of what is free.
        episodes: designs proposed in all; a resumed run may be given more.
        seed: seed of the optimiser's randomness.
        model: YAML file of the language model (optimizer llm).
        style: style of the prompt: codesign, dialogue, paper or naive (optimizer llm).
        constrained: let vLLM write nothing but designs of the space (optimizer llm).
        evaluator: accuracy by real training, or predicted; one of your own stands in the file of
            `--config`.
        accuracy_seed: seed of the accuracy experiment; the arms of a comparison share it.
        batch: number of designs proposed before the first of them is evaluated.
        screen: how many proposals may be made for one slot: the first that is new, and feasible
            as far as the free cost model sees, is evaluated; 0: no screening.
        verify_top: number of the best designs to train again with three other seeds each; the
            result is written to verified.json.
        config: YAML file with any of these, and `settings` of the optimiser or the path of a
            file that holds them; options win.
        resume: go on with the run in --out, or begin it if it was never begun.
        cache: file in which trained accuracies are kept.
        workers: number of processes that train.
        dry_run: show the configuration, the counts, what a language model would be asked first
            and how it would be served, and stop.
    """
    from cim_sim.accuracy.trained import measure_many
    from cim_sim.files import write_whole
    from search.evaluators import build
    from search.execute import execute
    from search.progress import shown
    from search.record.summary import summarise
    from search.study.verify import retrain_top
    from search.study.verify_page import top_page

    options = {
        "optimizer": optimizer, "scenario": scenario, "space": space, "episodes": episodes,
        "seed": seed, "evaluator": evaluator, "accuracy_seed": accuracy_seed, "batch": batch,
        "screen": screen, "settings": _given(
            model=model and str(model), style=style, constrained=constrained or None
        ),
    }  # fmt: skip
    begun = read_run(out) if resume and (out / "manifest.json").exists() else None
    if resume and begun is None and optimizer is None and config is None:
        raise UsageError(
            f"{out}: holds no run to go on with; to begin one, add --optimizer, --scenario and "
            "--space, or --config"
        )
    wanted = _wanted(begun, config, _given(**options))
    before = begun.trials if begun else []
    if dry_run:
        return _plan(wanted, len(before), out, resume, verify_top)
    with shown(wanted, before) as report:
        judge = build(wanted.scenario, wanted.space, wanted, cache, workers)
        trials = execute(wanted, judge, out, resume=resume, report=report)
    summary = summarise(trials).model_dump()
    if verify_top:
        result = retrain_top(
            trials, wanted, verify_top, lambda queries: measure_many(queries, cache, workers)
        )
        write_whole(out / "verified.json", result.model_dump_json(indent=2) + "\n")
        print(top_page(result))
        summary["verified_rewards"] = [round(winner.reward, 6) for winner in result.winners]
    if summary["best_reward"] is None:
        print(
            f"nothing feasible in {summary['episodes']} episodes: {summary['infeasible']} were "
            f"infeasible, {summary['failures']} failed"
        )
    cli.emit(run=str(out), optimizer=wanted.optimizer, **summary)
    return 0


def _plan(config: RunConfig, recorded: int, out: Path, resume: bool, verify_top: int) -> int:
    """Say what the run would do; refused is what would be refused."""
    from search.evaluators import build, digests
    from search.record.runs import require_openable
    from search.study.verify import SEEDS

    require_openable(out, config, digests(config.scenario, config.space, config), resume)
    build(config.scenario, config.space, config)
    print(dump(config))
    _show_model(config)
    left = max(config.episodes - recorded, 0)
    return cli.planned(
        optimizer=config.optimizer,
        designs=f"{config.space.size:,} in the space {config.space.name}",
        episodes=config.episodes,
        recorded=recorded,
        trainings_at_most=SEEDS * verify_top + (left if config.evaluator == "trained" else 0),
        writes=f"{out}: {', '.join([*FILES, *(['verified.json'] if verify_top else [])])}",
    )


def _show_model(config: RunConfig) -> None:
    """Print the first request of a run that asks a language model, and who would answer it."""
    from search.llm.connection import answered_by
    from search.optimizers import asked_by
    from search.optimizers.llm import asked, require_askable
    from search.optimizers.lookup import known_designs

    settings = asked_by(config)
    if settings is None:
        return
    require_askable(settings.style, config.task)
    similar = known_designs(config.task, settings.table, settings.similar)
    for message in asked(config.task, settings, similar):
        print(f"--- {message['role']}\n{message['content']}")
    print(f"---\n{answered_by(settings.model)}\n")


def _wanted(begun: RunRecord | None, file: Path | None, options: dict[str, Any]) -> RunConfig:
    """Lay options over the configuration file, and both over the run that is resumed."""
    from search.execute import resolved

    layers = [begun.config.model_dump(mode="json")] if begun else []
    if file is not None:
        data = read_yaml(file)
        if not isinstance(data, dict):
            raise UsageError(f"{file}: expected keys of a run, found {in_short(data)}")
        layers.append(data)
    layers.append(options)
    if begun and not any("evaluator" in layer for layer in layers[1:]):
        _require_ours(begun.config)
    merged = {key: value for layer in layers for key, value in layer.items()}
    optimizer = merged.get("optimizer")
    same = [layer for layer in layers if layer.get("optimizer") in (None, optimizer)]
    settings = [_settings(layer, optimizer, file) for layer in same]
    merged["settings"] = {key: value for part in settings for key, value in part.items()}
    return resolved(parse(merged, RunConfig, str(file or "options")))


def _require_ours(config: RunConfig) -> None:
    """Raise UsageError where a run directory alone names code to be run: it may be a stranger's."""
    if not isinstance(config.evaluator, str):
        raise UsageError(
            f"the run is judged by {config.evaluator.words}, which is run only where you name it "
            "too: add --config FILE with the evaluator"
        )


def _settings(layer: dict[str, Any], optimizer: str | None, file: Path | None) -> dict[str, Any]:
    """Settings of one layer; a file may name another file for them, as a sweep's may."""
    settings = layer.get("settings") or {}
    if isinstance(settings, str):
        return settings_of_file(settings, optimizer)
    if not isinstance(settings, dict):
        raise UsageError(
            f"{file}: settings: expected keys or the path of a file, found {in_short(settings)}"
        )
    return settings


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
