"""The recipes of hub models, run for one step on small random models of the same architecture."""

from pathlib import Path

import pytest

from cim_sim.config import UsageError
from finetune.answer_loss import MASKED
from finetune.commands.train import train
from finetune.train import prepare

RECIPES = Path("configs/finetune")
SMALL = ("max_steps=1", "per_device_train_batch_size=2", "gradient_accumulation_steps=1",
         "bf16=false", "use_cpu=true", "disable_tqdm=true", "dtype=float32")  # fmt: skip
THINKING = """{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\n' -}}
{%- if message.role == 'assistant' and loop.last -%}{{- '<think>\n\n</think>\n\n' -}}{%- endif -%}
{{- message.content + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}
{%- if enable_thinking is defined and not enable_thinking -%}{{- '<think>\n\n</think>\n\n' -}}
{%- endif -%}{%- endif -%}"""
DATED = """{{- bos_token + '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' -}}
{{- strftime_now('%d %b %Y') + '<|eot_id|>' -}}
{%- for message in messages -%}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' -}}
{{- message.content + '<|eot_id|>' -}}
{%- endfor -%}"""
KINDS = {
    "qwen3": ("qwen3", THINKING, "<|im_end|>"),
    "qwen3-0.6b": ("qwen3", THINKING, "<|im_end|>"),
    "qwen3-8b-lora": ("qwen3", THINKING, "<|im_end|>"),
    "llama-3.2-1b": ("llama", DATED, "<|eot_id|>"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_recipe_trains_a_small_model_of_its_kind(name, write_model, dialogues, tmp_path):
    base = write_model(tmp_path / "base", *KINDS[name])
    end = KINDS[name][-1]
    settings = (f"model_name_or_path={base}", *SMALL, "max_length=4096", "save_strategy=no")
    trainer, *_ = prepare(RECIPES / f"{name}.yaml", settings, dialogues, tmp_path / "out")
    row = trainer.train_dataset[0]
    text = trainer.processing_class.decode(row["input_ids"])
    assert "think" not in text
    assert "Date" not in text
    learnt = [token for token in row["labels"] if token != MASKED]
    answers = trainer.processing_class.decode(learnt).split(end)[:-1]
    assert all(answer[0] in "[{" and answer[-1] in "]}" for answer in answers)
    assert train(config=RECIPES / f"{name}.yaml", data=dialogues, out=tmp_path / "out",
                 overrides=settings) == 0  # fmt: skip
    assert "generation" in (tmp_path / "out" / "chat_template.jinja").read_text()


def test_four_bits_without_bitsandbytes_say_what_to_install(
    small_model, dialogues, tmp_path, monkeypatch
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = (f"model_name_or_path={small_model}", *SMALL)
    with pytest.raises(UsageError, match="pip install bitsandbytes"):
        prepare(RECIPES / "qwen3-8b-qlora.yaml", settings, dialogues, tmp_path / "out")


def test_every_recipe_says_what_it_needs():
    for file in sorted(RECIPES.glob("*.yaml")):
        head = file.read_text().split("\n", 12)[:12]
        comments = " ".join(line for line in head if line.startswith("#"))
        if file.stem in (
            *KINDS,
            "smollm2",
            "smollm2-demo-judge",
            "smollm2-judge",
            "smollm2-gpu",
            "qwen3-8b-qlora",
        ):
            for word in ("python -m finetune", "Hardware:", "Minutes:", "Memory:"):
                assert word in comments or word.replace("python -m ", "-m ") in comments, file
            assert "easured" in comments or "Estimated, not run" in comments, file
