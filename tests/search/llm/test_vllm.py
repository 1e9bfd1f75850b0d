"""The real server, with a random model: start-up, sampling, rubbish, sudden death, clean end."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import yaml

from cim_sim.config import load
from cim_sim.space import Space
from search.llm import examples
from search.llm.client import Client
from search.llm.endpoint import Endpoint
from search.llm.model import ModelConfig, Sampling, ServerSettings, directory_digest
from search.llm.prompt import answer
from search.llm.server import serving
from search.optimizers.llm import LlmOptimizer, Settings
from search.optimizers.lookup import buildable
from search.optimizers.ranked import Settings as RankedSettings
from search.optimizers.ranked import Weigher
from search.proposal import Problem, SearchStopped
from search.record.runs import read_run
from search.record.tasks import Task

ASK = [{"role": "user", "content": "A design, please."}]
SPACE = load("configs/spaces/embedded.yaml", Space)


@pytest.mark.slow
@pytest.mark.vllm
def test_a_local_model_is_served_searched_with_and_stopped(small_model, tmp_path):
    model = ModelConfig(
        name="small",
        path=small_model,
        max_model_len=2048,
        sampling=Sampling(max_tokens=24),
        server=ServerSettings(kv_cache_bytes=64 << 20),
        pause_s=0.1,
    )
    with serving(model, tmp_path / "server.log") as server:
        family = psutil.Process(server._child.pid).children(recursive=True)
        endpoint = Endpoint(server.base_url, "EMPTY", model.timeout_s)
        client = Client(model, endpoint, fault=server.fault)
        _seeds_decide(client)
        _rubbish_is_recorded(client, model)
        _a_constraint_leaves_designs_alone(Client(_longer(model), endpoint))
        _a_design_is_read_and_its_accuracy_is_written(client)
        family[0].kill()
        with pytest.raises(SearchStopped, match="the server of model small ended by itself"):
            client.complete(9, 0, ASK, 0)
        endpoint.close()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def _seeds_decide(client):
    """The same request gives the same text, alone and beside others."""
    alone = [client.complete(step, 0, ASK, seed=step) for step in range(4)]
    with ThreadPoolExecutor(4) as pool:
        beside = pool.map(lambda step: client.complete(step, 0, ASK, seed=step), range(4))
    replies = [exchange.reply for exchange in alone]
    assert replies == [exchange.reply for exchange in beside]
    assert len(set(replies)) == 4
    assert {exchange.finish_reason for exchange in alone} <= {"length", "stop"}
    assert all(0 < exchange.usage["completion_tokens"] <= 24 for exchange in alone)


def _longer(model):
    """Room for a design in letters; the model knows no longer words."""
    return model.model_copy(update={"sampling": Sampling(max_tokens=160)})


def _a_constraint_leaves_designs_alone(client):
    """The random model writes designs when it can write nothing else."""
    for name, style in (("embedded", "dialogue"), ("codesign", "codesign")):
        space = load(f"configs/spaces/{name}.yaml", Space)
        scenario = examples.OPEN if space.freed else examples.ENERGY
        problem = Problem(Task(scenario=scenario, space=space), lambda designs: [], seed=0)
        settings = Settings(model=client.model, style=style, constrained=True, retries=0)
        llm = LlmOptimizer(problem, settings, client)
        for _ in range(3):  # one by one: vLLM dies on a CPU when it splits a seeded prompt
            (proposal,) = llm.suggest(1)
            assert not space.check(proposal.design)
            assert proposal.exchanges[0].reply == answer(proposal.design)


def _a_design_is_read_and_its_accuracy_is_written(client):
    """What the model would never write stands before two decimals of its own."""
    problem = Problem(Task(scenario=examples.ENERGY, space=SPACE), lambda designs: [], seed=0)
    one_by_one = client.model.model_copy(update={"concurrency": 1})
    settings = RankedSettings(model=one_by_one, similar=0)
    rows = buildable(problem, settings.table, 3)
    accuracy, exchanges = Weigher(problem, settings, client, rows).asked()
    for row, expected, exchange in zip(rows, accuracy, exchanges, strict=True):
        design = re.escape(answer(SPACE.decode(row.tolist())))
        assert re.fullmatch(design + r" accuracy 0\.[0-9][0-9]", exchange.reply)
        assert exchange.usage["completion_tokens"] <= 3
        assert expected == exchange.expected
        assert 0 < expected < 1


def _rubbish_is_recorded(client, model):
    problem = Problem(Task(scenario=examples.ENERGY, space=SPACE), lambda designs: [], seed=0)
    proposals = LlmOptimizer(problem, Settings(model=model, retries=1), client).suggest(3)
    assert [one.failure.kind for one in proposals] == ["reply"] * 3
    for one in proposals:
        assert [exchange.attempt for exchange in one.exchanges] == [0, 1]
        assert all(exchange.error for exchange in one.exchanges)
        assert one.exchanges[1].request["messages"][-1]["content"].startswith("Your answer cannot")


@pytest.mark.slow
@pytest.mark.vllm
def test_runs_of_a_sweep_share_one_server_and_finished_ones_need_none(small_model, tmp_path):
    """A random model answers rubbish, which is recorded; each run is one as if it ran alone."""
    model = ModelConfig(
        name="small",
        path=small_model,
        max_model_len=4096,
        sampling=Sampling(max_tokens=8),
        server=ServerSettings(kv_cache_bytes=64 << 20),
    )
    settings = {"model": model.model_dump(mode="json"), "style": "naive", "retries": 0}
    arms = {"model": {"optimizer": "llm", "episodes": 2, "settings": settings}}
    arms |= {"random": {"optimizer": "random", "episodes": 2}}
    part = {"split": "validation", "count": 2}
    file, out = tmp_path / "sweep.yaml", tmp_path / "out"
    space = "configs/spaces/embedded.yaml"
    file.write_text(yaml.safe_dump({"scenarios": part, "space": space, "seeds": 2, "arms": arms}))
    command = [sys.executable, "-m", "search", "sweep", str(file), "--out", str(out)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    (log,) = out.glob("server-small-*.log")
    assert not list(out.glob("runs/**/server.log"))
    runs = [read_run(folder) for folder in out.glob("runs/*/model/seed*")]
    assert len(runs) == 4
    assert {run.manifest.model["weights"] for run in runs} == {directory_digest(small_model)}
    assert all(len(run.exchanges) == 2 and run.exchanges[0].reply for run in runs)
    length = log.stat().st_size
    subprocess.run([*command, "--resume"], check=True, timeout=100, capture_output=True)
    assert log.stat().st_size == length
