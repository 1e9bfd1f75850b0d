import pytest

from cim_sim.config import UsageError, load, parse, read_yaml
from search.llm.connection import connected, endpoint_of, identity
from search.llm.examples import renderer_digest
from search.llm.model import ModelConfig, Sampling, directory_digest, require_present
from search.optimizers.llm import Settings
from search.optimizers.ranked import Settings as RankedSettings
from search.optimizers.warm import Settings as WarmSettings

REMOTE = ModelConfig(name="m", model="org/m")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "give exactly one of path (a directory that vLLM serves), model"),
        ({"path": "x", "model": "y"}, "give exactly one of path"),
        ({"model": "y", "adapter": "a"}, "adapter goes with path"),
        ({"path": "x", "base_url": "http://y"}, "base_url goes with model"),
        ({"model": "y", "base_url": "http://me:key@y/v1"}, "set OPENAI_API_KEY instead"),
        ({"model": "y", "base_url": "http://y/v1?api_key=k"}, "base_url is recorded: leave out"),
        ({"path": "x", "server": {"arguments": ["--api-key", "k"]}}, "leave --api-key out"),
        ({"model": "y", "sampling": {"temprature": 1}}, "did you mean sampling.temperature?"),
    ],
)
def test_contradictions_are_refused(fields, message):
    with pytest.raises(UsageError) as caught:
        parse({"name": "m", **fields}, ModelConfig, "m.yaml")
    assert message in str(caught.value)


@pytest.mark.parametrize("arm", ["base", "local", "released", "demo"])
def test_the_committed_configurations_ask_alike(arm):
    """So that a comparison of base and tuned is one of the models alone."""
    model = load(f"configs/models/{arm}.yaml", ModelConfig)
    asked = read_yaml(f"configs/search/{arm}.yaml")
    assert asked["optimizer"] == "warm"
    settings = parse(asked["settings"], WarmSettings, arm)
    assert (settings.episodes, settings.then.optimizer) == (8, "informed")
    assert settings.first.optimizer == "ranked"
    first = parse(settings.first.settings, RankedSettings, arm)
    assert first == RankedSettings(model=model)
    assert first.model_dump().items() >= as_an_author(model).model_dump().items()
    assert (model.max_model_len, model.concurrency) == (4096, 64)
    assert model.sampling == Sampling(temperature=1.0)


@pytest.mark.parametrize("arm", ["base", "local"])
def test_authors_are_asked_in_the_same_dialogue(arm):
    model = load(f"configs/models/{arm}.yaml", ModelConfig)
    settings = parse(read_yaml(f"configs/search/author-{arm}.yaml")["settings"], Settings, arm)
    assert settings == as_an_author(model)


def as_an_author(model):
    return Settings(model=model, style="dialogue", similar=4, constrained=True, value=True)


def test_an_absent_model_says_which_command_makes_it(tmp_path):
    local = load("configs/models/local.yaml", ModelConfig)
    absent = local.model_copy(update={"path": tmp_path / "merged"})
    with pytest.raises(UsageError, match=r"merged holds no model .*; make it with: make finetune"):
        require_present(absent)
    with pytest.raises(UsageError, match="make it with: make finetune"):
        identity(absent)


def test_an_absent_adapter_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    model = ModelConfig(name="m", path=tmp_path, adapter=tmp_path / "adapter")
    with pytest.raises(UsageError, match=r"adapter holds no adapter \(adapter_config.json\)"):
        require_present(model)


def test_the_endpoint_comes_from_the_file_or_the_environment(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match=r"which endpoint\? give base_url, or set OPENAI_BASE_URL"):
        endpoint_of(REMOTE)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert endpoint_of(REMOTE) == "http://127.0.0.1:1/v1"
    named = REMOTE.model_copy(update={"base_url": "http://127.0.0.1:2/v1"})
    assert endpoint_of(named) == "http://127.0.0.1:2/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:key@127.0.0.1:1/v1")
    with pytest.raises(UsageError, match=r"OPENAI_BASE_URL is recorded: leave out name, password"):
        endpoint_of(REMOTE)


def test_the_key_comes_from_the_environment_and_is_kept_out_of_the_identity(
    monkeypatch, http_model, tmp_path
):
    server = http_model("ok")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    with connected(REMOTE, tmp_path) as client:
        assert client.complete(0, 0, [{"role": "user", "content": "x"}], 0).reply == "ok"
    assert server.requests[0]["headers"]["authorization"] == "Bearer secret"
    assert identity(REMOTE) == {
        "name": "m",
        "renderer": renderer_digest(),
        "model": "org/m",
        "base_url": server.base_url,
    }


def test_a_script_is_a_model_too(tmp_path):
    script = tmp_path / "replies.txt"
    model = ModelConfig(name="s", script=script)
    with pytest.raises(UsageError, match=r"script .*replies\.txt does not exist"):
        identity(model)
    script.write_text("one\n")
    before = identity(model)
    with connected(model, tmp_path) as client:
        assert client.complete(0, 0, [], 3).reply == "one"
    script.write_text("two\n")
    assert identity(model)["script"] != before["script"]


def test_a_digest_sees_every_weight(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(100))
    before = directory_digest(tmp_path)
    (tmp_path / "README.md").write_text("not part of the model")
    assert directory_digest(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(bytes(99) + b"\1")
    assert directory_digest(tmp_path) != before
    for name in ("pytorch_model.bin", "model.gguf"):
        (tmp_path / name).write_bytes(bytes(9))
        before = directory_digest(tmp_path)
        (tmp_path / name).write_bytes(bytes(8) + b"\1")
        assert directory_digest(tmp_path) != before
    before = directory_digest(tmp_path)
    (tmp_path / "training_args.bin").write_bytes(b"of a trainer")
    assert directory_digest(tmp_path) == before
