"""The type that a model computes in: probed, said with its reason, obeyed where it is named."""

import os
import subprocess
import sys

import pytest
import torch

from search.llm import precision, server
from search.llm.model import ModelConfig, ServerSettings
from search.llm.precision import Precision, capability, chosen, fastest


@pytest.fixture
def bf16_takes(monkeypatch):
    """Fake the timer: bf16 takes so many times as long as fp32."""
    steps = []

    def fake(ratio, fp32_s=1e-4):
        def step_seconds(dtype, tokens):
            steps.append((dtype, tokens))
            return fp32_s * tokens * (ratio if dtype == "bfloat16" else 1)

        monkeypatch.setattr(precision, "step_seconds", step_seconds)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        precision.slowdown.cache_clear()
        server._announced.cache_clear()
        return steps

    yield fake
    precision.slowdown.cache_clear()
    server._announced.cache_clear()


@pytest.mark.parametrize(("ratio", "dtype"), [(9.3, "float32"), (0.4, "bfloat16")])
def test_the_faster_type_is_taken_and_the_reason_said(bf16_takes, ratio, dtype):
    bf16_takes(ratio)
    assert fastest().dtype == dtype
    assert fastest().reason == f"bf16 took {ratio} times as long as fp32 here ({capability()})"


def test_a_slow_machine_is_asked_no_long_question(bf16_takes):
    steps = bf16_takes(18.0, fp32_s=5e-3)
    assert fastest().dtype == "float32"
    assert {tokens for _, tokens in steps} == {8}
    steps.clear()
    fastest(use_cpu=True)
    assert not steps  # once a process


def test_a_named_type_is_obeyed_with_a_warning(bf16_takes):
    bf16_takes(9.3)
    assert chosen(None, "bf16") == fastest()
    assert chosen("float32", "bf16") == Precision(dtype="float32", reason="named by bf16")
    line = str(chosen("bfloat16", "bf16"))
    assert line.startswith("bf16: named by bf16; warning: the choice of this machine is fp32: bf16")


def test_vllm_gets_the_type_and_says_so_once(bf16_takes, tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    bf16_takes(9.3)
    model = ModelConfig(name="m", path=tmp_path)
    fp32 = server.with_dtype(model)
    assert server.with_dtype(model) == server.with_dtype(fp32) == fp32
    assert "--dtype float32" in " ".join(server.command(fp32, 1))
    assert capsys.readouterr().out.splitlines() == [f"vLLM computes in {fastest()}"]
    named = model.model_copy(update={"server": ServerSettings(dtype="bfloat16")})
    assert server.with_dtype(named) == named
    assert "bf16: named by server.dtype; warning: " in capsys.readouterr().out
    elsewhere = ModelConfig(name="m", model="org/m")
    assert server.with_dtype(elsewhere) is elsewhere


@pytest.mark.slow
@pytest.mark.parametrize("vector", ["avx2", None])
def test_a_processor_without_avx512_computes_in_fp32(vector):
    """A real probe, under the instructions of an older processor and under all."""
    limits = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"} if vector else {}
    code = (
        "import torch; from search.llm.precision import *\n"
        "state = torch.get_rng_state(); print(fastest(use_cpu=True))\n"
        "assert torch.equal(state, torch.get_rng_state()), 'random numbers were drawn'"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **limits}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    if vector:
        assert said.startswith("fp32: bf16 took ")
        assert said.endswith("times as long as fp32 here (AVX2)\n")
    else:
        assert said.endswith(f"here ({capability()})\n")
