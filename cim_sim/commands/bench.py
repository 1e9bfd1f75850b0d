"""The verb `bench`: how fast the cost model is."""

from cim_sim import cli


def bench(batch: cli.Count = 10_000, repeats: cli.Count = 10) -> int:
    """Time the cost model in batches, one by one, and with all parts kept.

    Args:
        batch: designs in one call.
        repeats: calls, of which the median counts.
    """
    from cim_sim.cost_study import bench as study

    timing = study.bench(batch, repeats)
    low, high = (seconds * timing.designs_per_second for seconds in study.NEUROSIM_CPU_SECONDS)
    print(f"totals      {timing.designs_per_second:12,.0f} designs per second and core")
    print(f"breakdown   {timing.breakdowns_per_second:12,.0f} designs per second and core")
    print(f"one design  {timing.single_design_ms:12.2f} ms")
    print(f"memory      {timing.memory_mb:12.0f} MB at most")
    theirs = f"NeuroSim's {study.NEUROSIM_CPU_SECONDS} CPU s a design"
    print(f"{theirs} are {low:,.0f} to {high:,.0f} times more")
    cli.emit(
        designs_per_second=round(timing.designs_per_second),
        breakdowns_per_second=round(timing.breakdowns_per_second),
        single_design_ms=round(timing.single_design_ms, 3),
        memory_mb=round(timing.memory_mb),
        times_faster_than_neurosim=[round(low), round(high)],
        batch=batch,
    )
    return 0
