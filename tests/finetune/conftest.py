import shutil

import numpy as np
import pytest

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.config import load
from cim_sim.paths import BENCH_TABLE
from cim_sim.space import HardwareChoices, Space
from finetune.base import SMOLLM2, ensure
from finetune.dataset import DatasetRecipe, build, write
from finetune.dialogues import Turns
from finetune.targets import surrogate_traces
from finetune.traces import SCENARIOS, bench_traces, read_bench
from search.llm.model import ModelConfig, ServerSettings
from search.study.family import tasks as family

RECIPE = """
dtype: float32
use_peft: true
lora_r: 4
lora_alpha: 8
lora_target_modules: all-linear
learning_rate: 4.0e-3
lr_scheduler_type: constant
max_steps: 4
per_device_train_batch_size: 4
per_device_eval_batch_size: 8
max_length: 8192
assistant_only_loss: true
gradient_checkpointing: false
bf16: false
save_steps: 2
logging_steps: 1
disable_tqdm: true
dataloader_pin_memory: false
"""


@pytest.fixture(scope="session")
def smollm2():
    """The real base model; half a minute when it has never been made here."""
    return ensure(SMOLLM2)


@pytest.fixture(scope="session")
def smollm2_tokenizer(smollm2):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(smollm2)


@pytest.fixture(scope="session")
def trained_networks():
    return read_bench(BENCH_TABLE)


@pytest.fixture(scope="session")
def tasks():
    embedded = load("configs/spaces/embedded.yaml", Space)
    hardware = HardwareChoices(cell_bits=(1, 2), mapping=("conventional", "novel"))
    spaces = [embedded, embedded.model_copy(update={"name": "chips", "hardware": hardware})]
    return [task for space in spaces for task in family("train", 5, space=space, bench_sigmas=True)]


@pytest.fixture(scope="session")
def traces(tasks, trained_networks):
    """Both kinds: what the bench measured, and what a search finds under its surrogate."""
    model = surrogate.load()
    return {
        (task.space.name, task.scenario.digest): [
            *bench_traces(task, trained_networks),
            *surrogate_traces(task, model, np.random.default_rng(number)),
        ]
        for number, task in enumerate(tasks)
    }


def written(folder, tasks, traces, recipe):
    """Write a dataset with its tasks beside it, and return its folder."""
    lines = [task.model_dump_json() + "\n" for task in tasks]
    (folder / SCENARIOS).write_text("".join(lines))
    write(folder, build(tasks, traces, recipe), recipe)
    return folder


@pytest.fixture(scope="session")
def data(tasks, traces, tmp_path_factory):
    recipe = DatasetRecipe(examples=6)
    return written(tmp_path_factory.mktemp("data"), tasks, traces, recipe)


@pytest.fixture(scope="session")
def dialogues(tasks, traces, tmp_path_factory):
    recipe = DatasetRecipe(examples=2, style="dialogue")
    return written(tmp_path_factory.mktemp("dialogues"), tasks, traces, recipe)


@pytest.fixture(scope="session")
def foreseeing(tasks, traces, tmp_path_factory):
    """Dialogues that say accuracies."""
    recipe = DatasetRecipe(examples=2, style="dialogue", turns=Turns(value=True))
    return written(tmp_path_factory.mktemp("foreseeing"), tasks, traces, recipe)


@pytest.fixture(scope="session")
def partly_hidden(tasks, traces, tmp_path_factory):
    """Dialogues of which a half hides facts; two of five scenarios are held out."""
    turns = Turns(hidden=0.5, value=True)
    recipe = DatasetRecipe(examples=4, held_out=0.4, style="dialogue", turns=turns)
    return written(tmp_path_factory.mktemp("hidden"), tasks, traces, recipe)


@pytest.fixture(scope="session")
def judged(tasks, traces, tmp_path_factory):
    """Judgements of eight designs each; two of five scenarios are held out."""
    turns = Turns(judged=8, similar=4, value=True)
    recipe = DatasetRecipe(examples=2, held_out=0.4, style="dialogue", turns=turns)
    return written(tmp_path_factory.mktemp("judged"), tasks, traces, recipe)


@pytest.fixture(scope="session")
def recipe_file(small_model, tmp_path_factory):
    file = tmp_path_factory.mktemp("recipe") / "small.yaml"
    file.write_text(f"model_name_or_path: {small_model}{RECIPE}")
    return file


@pytest.fixture(scope="session")
def adapter(data, recipe_file, tmp_path_factory):
    """A really trained adapter of four steps."""
    from finetune.train import fit, prepare

    out = tmp_path_factory.mktemp("adapter")
    trainer, recipe, _ = prepare(recipe_file, (), data, out)
    fit(trainer, recipe, data, None)
    return out


@pytest.fixture(scope="session")
def prepared(recipe_file, data, tmp_path_factory):
    """A trainer, its recipe and what was counted, before any step."""
    from finetune.train import prepare

    return prepare(recipe_file, (), data, tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def base(small_model):
    """The small model and its tokenizer."""
    from finetune.merge import load_model

    return load_model(small_model)


@pytest.fixture(scope="session")
def served_base(small_model):
    """How vLLM serves the small model; in fp32, so that rounding decides no near tie."""
    server = ServerSettings(kv_cache_bytes=64 << 20, dtype="float32")
    return ModelConfig(name="base", path=small_model, max_model_len=8192, server=server)


@pytest.fixture(scope="session")
def checked(adapter, served_base, tmp_path_factory):
    """The adapter merged, how it is served, and its round trip, which starts two real servers."""
    from finetune.merge import merge_adapter
    from finetune.roundtrip import check, placed

    folder = tmp_path_factory.mktemp("checked") / "adapter"
    shutil.copytree(adapter, folder)
    merge_adapter(folder)
    local = placed(served_base.model_copy(update={"name": "local"}), folder)
    return folder, local, check(folder, local, served_base)
