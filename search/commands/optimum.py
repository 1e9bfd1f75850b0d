"""The verb `optimum`: the best known design of a scenario."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load


def optimum(
    *,
    scenario: Path,
    space: Path,
    out: Path | None = None,
    dry_run: bool = False,
) -> int:
    """Find the best known design of a scenario under the accuracy surrogate.

    Args:
        scenario: YAML file of what is fixed.
        space: YAML file of what is free.
        out: where to write what is found as JSON, beside runs/optima, where comparisons look.
        dry_run: show how it would be looked for, and stop.
    """
    from cim_sim.files import write_whole
    from cim_sim.scenario import Scenario
    from cim_sim.space import Space
    from search.landscape import require_known
    from search.study.optimum import EXHAUSTIVE, FOLDER, known

    problem, choices = load(scenario, Scenario), load(space, Space)
    if dry_run:
        require_known(problem, choices)
        method = "all looked at" if choices.size <= EXHAUSTIVE else "independent beam searches"
        return cli.planned(designs=f"{choices.size:,}", method=method, writes=str(out or FOLDER))
    best = known(problem, choices)
    if best.reward is None:
        print(f"no feasible design among {best.evaluations} looked at")
    elif best.method == "exhaustive":
        print(f"optimum {best.reward:.4f}: all {choices.size} designs were looked at")
    else:
        agreement = f"{best.agreeing} of {best.searches} independent searches"
        print(f"best known {best.reward:.4f}: {agreement} ended there")
    if best.median_feasible is not None:
        share = f"{best.feasible_share:.1%} of random designs are feasible"
        print(f"{share}, their median reward is {best.median_feasible:.4f}")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, best.model_dump_json() + "\n")
    record = best.model_dump(mode="json", exclude={"design"})
    cli.emit(**record, design=best.design.wire() if best.design else None)
    return 0
