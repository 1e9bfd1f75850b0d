"""What every test may rely on."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")

TOGETHER = {
    "servers": ("tests/finetune/", "tests/search/llm/test_vllm.py"),
    "kills": (
        "tests/cim_sim/accuracy/test_bench.py",
        "tests/cim_sim/test_workers.py",
        "tests/search/llm/test_server.py",
        "tests/search/study/test_sweep.py",
        "tests/search/test_faults.py",
    ),
}
"""Files whose tests run one after the other, however many workers there are: at most one real vLLM
server at a time, and no kill beside another. The fixtures of `finetune` are dear besides."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hand whole files to the workers, so that a fixture of a file is made once.

    `--dist loadgroup` would be the ready-made way, but pytest-xdist 3.8 marks groups in a field
    that pytest 9.2 does not read any more.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            groups = (name for name, files in TOGETHER.items() if file.startswith(files))
            return next(groups, file)

    return Together(config, log)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_children():
    """A shell ignores SIGINT in what it starts in the background, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def random_model(path, kind="qwen3", template=None, end="<|im_end|>"):
    """Write a language model of random weights whose tokens are bytes, and return its directory.

    Two layers of two heads with 32 dimensions each, which vLLM's CPU attention takes; weights are
    large enough that answers differ from seed to seed. The same arguments give the same model.

    Args:
        path: directory to write to.
        kind: architecture, in the words of transformers.
        template: chat template; None: the ChatML of this repository, which marks the answers.
        end: token that ends a turn.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = byte_tokenizer(end)
    tokenizer.chat_template = template or Path("finetune/chatml.jinja").read_text(encoding="utf-8")
    tokenizer.save_pretrained(path)
    config = AutoConfig.for_model(
        kind, vocab_size=320, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, head_dim=32, max_position_embeddings=8192,
        tie_word_embeddings=True, initializer_range=0.1, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(path)
    (path / "README.md").write_text("Random weights.\n")  # without a card nothing is compared
    return path


def byte_tokenizer(end):
    """Return a tokenizer without merges: a byte or a mark of a turn is a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = ["<|endoftext|>", "<|im_start|>", "<|start_header_id|>", "<|end_header_id|>", end]
    tokenizer.add_special_tokens(marks)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=marks[0], eos_token=end, pad_token=marks[0]
    )


@pytest.fixture(scope="session")
def write_model():
    """Write random models of other kinds or templates."""
    return random_model


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    return random_model(tmp_path_factory.mktemp("small") / "model")
