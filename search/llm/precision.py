"""Which floating-point type a language model runs in on the machine at hand, and why.

Processors without AVX512 or AMX emulate bf16 and are 9 to 18 times slower in it than in fp32;
with AMX it is the faster one. So both are timed, once a process, before a model is trained or
served on a processor. A type that is named is obeyed.
"""

import time
from functools import cache
from pathlib import Path
from typing import Literal

from cim_sim.config import Config

Dtype = Literal["bfloat16", "float16", "float32"]
SHORT: dict[Dtype, str] = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
PROBED: tuple[Dtype, Dtype] = ("bfloat16", "float32")
TOKENS = (8, 64, 512)
"""Sizes of the probe, each eight times the last; large ones are nearer to a real model."""
ENOUGH_S = 0.3
"""Processor time after which no larger size is tried: it would take eight times as long."""
WIDTH = 192
"""Hidden units of the probe's layer: a third of SmolLM2's, so that it takes little time."""


class Precision(Config):
    """A type and the reason for it."""

    dtype: Dtype
    reason: str

    def __str__(self) -> str:
        """Return the one line that users see."""
        return f"{SHORT[self.dtype]}: {self.reason}"


def fastest(use_cpu: bool = False) -> Precision:
    """Return the type to prefer here: probed on a processor, by capability on a GPU.

    Args:
        use_cpu: although there may be a GPU.
    """
    import torch

    if torch.cuda.is_available() and not use_cpu:
        gpu = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision(dtype="bfloat16", reason=f"{gpu} computes in it")
        return Precision(dtype="float16", reason=f"{gpu} has no bf16")
    ratio = slowdown()
    reason = f"bf16 took {ratio:.2g} times as long as fp32 here ({capability()})"
    return Precision(dtype="bfloat16" if ratio < 1 else "float32", reason=reason)


def chosen(named: Dtype | None, key: str, use_cpu: bool = False) -> Precision:
    """Return the type that a file names under `key`, which is obeyed, or the machine's choice.

    Where the two differ the reason ends in a warning.
    """
    best = fastest(use_cpu)
    if named is None:
        return best
    warning = "" if named == best.dtype else f"; warning: the choice of this machine is {best}"
    return Precision(dtype=named, reason=f"named by {key}{warning}")


@cache
def slowdown() -> float:
    """Return how many times as long bf16 takes as fp32, forward and backward; under 3 s."""
    import torch

    threads, spent, ratio = torch.get_num_threads(), 0.0, 1.0
    torch.set_num_threads(1)  # threads that wait for each other on a busy machine tell nothing
    for tokens in TOKENS:
        bf16, fp32 = ([step_seconds(dtype, tokens) for _ in range(5)] for dtype in PROBED)
        # The first step warms up, and the shortest is the least disturbed.
        ratio, spent = min(bf16) / min(fp32), spent + sum(bf16) + sum(fp32)
        if spent > ENOUGH_S:
            break
    torch.set_num_threads(threads)
    return ratio


def step_seconds(dtype: Dtype, tokens: int) -> float:
    """Return the processor time of one step of the feed-forward half of a transformer layer."""
    import torch

    inputs = torch.ones(tokens, WIDTH)
    # Constant weights, since a probe must not draw from the global random numbers.
    up = torch.full((WIDTH, 4 * WIDTH), 0.01, requires_grad=True)
    down = torch.full((4 * WIDTH, WIDTH), 0.01, requires_grad=True)
    started = time.thread_time()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
        outputs = torch.nn.functional.gelu(inputs @ up) @ down
    outputs.float().mean().backward()
    return time.thread_time() - started


def capability() -> str:
    """Name the vector instructions that PyTorch uses, and AMX where there is some."""
    import torch

    vector = torch.backends.cpu.get_cpu_capability()
    facts = Path("/proc/cpuinfo")
    amx = vector == "AVX512" and facts.is_file() and "amx_tile" in facts.read_text()
    return f"{vector} and AMX" if amx else vector
