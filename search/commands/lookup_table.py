"""The verb `lookup-table`: the training tasks solved, for the rivals that look things up."""

from pathlib import Path

from cim_sim import cli
from search.record.lookup import LOOKUP_TABLE


def lookup_table(
    *,
    tasks: cli.Count = 2000,
    out: Path = LOOKUP_TABLE,
    workers: cli.Count = 2,
    dry_run: bool = False,
) -> int:
    """Search training tasks under the accuracy surrogate and keep the best designs of each.

    The optimisers `lookup` and `neighbours` read the table. It belongs to one surrogate and one
    family: make it anew when either changes.

    Args:
        tasks: how many tasks of the split train, from the first on.
        out: Parquet file of the table.
        workers: processes; each searches one task at a time.
        dry_run: show the counts, and stop.
    """
    from cim_sim.accuracy.surrogate.model import load as load_surrogate
    from search.record.lookup import write_lookup
    from search.study.solve import EVALUATIONS, solve_all

    if dry_run:
        return cli.planned(tasks=tasks, evaluations=tasks * EVALUATIONS, writes=str(out))
    solved = list(solve_all(tasks, workers))
    write_lookup(out, solved)
    cli.emit(
        out=str(out),
        tasks=len(solved),
        without_a_design=sum(not row.designs for row in solved),
        evaluations=sum(row.evaluations for row in solved),
        surrogate=load_surrogate().fitted.table_digest,
    )
    return 0
