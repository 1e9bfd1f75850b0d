"""A fine-tuning recipe: one flat YAML file in TRL's own words.

Keys are those of `trl.ModelConfig` and `trl.SFTConfig` (or `DPOConfig`, `GRPOConfig`, as `method`
says), verbatim, so a TRL recipe can be pasted.
An unknown key is an error, and for the words of Axolotl and LLaMA-Factory it names TRL's.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from pydantic import TypeAdapter, ValidationError

from cim_sim.config import UsageError, in_short, plain, read_yaml
from cim_sim.paths import readable
from finetune.preflight import tracker_faults
from search.llm.precision import Dtype, Precision, chosen

if TYPE_CHECKING:
    from peft import PeftConfig
    from trl import DPOConfig, GRPOConfig, ModelConfig, SFTConfig

TRL_NAMES = {
    "adapter": "use_peft: true",
    "base_model": "model_name_or_path",
    "base_model_revision": "model_revision",
    "cutoff_len": "max_length",
    "evaluation_strategy": "eval_strategy",
    "finetuning_type": "use_peft: true",
    "flash_attention": "attn_implementation: flash_attention_2",
    "lora_rank": "lora_r",
    "lora_target": "lora_target_modules",
    "lora_target_linear": "lora_target_modules: all-linear",
    "lr_scheduler": "lr_scheduler_type",
    "max_seq_length": "max_length",
    "micro_batch_size": "per_device_train_batch_size",
    "no_cuda": "use_cpu",
    "num_epochs": "num_train_epochs",
    "optimizer": "optim",
    "peft_use_dora": "use_dora",
    "sample_packing": "packing",
    "sequence_len": "max_length",
    "template": "chat_template_path",
    "torch_dtype": "dtype",
    "train_on_inputs": "completion_only_loss",
    "warmup_ratio": "warmup_steps",
}
"""What Axolotl, LLaMA-Factory and older TRL call a setting, and what TRL 1 calls it."""

ELSEWHERE = {
    "dataset": "is given by --data",
    "dataset_name": "is given by --data",
    "datasets": "is given by --data",
    "hub_token": "is a secret, and a recipe is recorded: set the variable HF_TOKEN",
    "output_dir": "is given by --out",
    "resume_from_checkpoint": "is given by --resume",
}
"""What TRL's recipes may say and ours may not, and where it is said instead."""

NAMED: tuple[tuple[str, object, Dtype], ...] = (
    ("bf16", True, "bfloat16"),
    ("fp16", True, "float16"),
    ("bf16", False, "float32"),
    ("dtype", "bfloat16", "bfloat16"),
    ("dtype", "float16", "float16"),
    ("dtype", "float32", "float32"),
)
"""Key, value, and the type that a recipe with it asks for; the first that fits counts."""
UNSERVABLE = ("lm_head", "embed_tokens")
"""Modules whose LoRA vLLM refuses or drops (vllm#9280, vllm#51594)."""


@dataclass(frozen=True)
class Adaptation:
    """What an adapter may say that `trl.ModelConfig` has no key for."""

    layers_to_transform: list[int] | None = None
    """Numbers of the layers that get an adapter (a key of `peft.LoraConfig`); None: all."""
    method: Literal["sft", "dpo", "grpo"] = "sft"
    """Imitation of good answers; preference of good over poor ones; rewards of the model's own."""
    adapter_name_or_path: str | None = None
    """Directory of an adapter on the same base to go on from (LLaMA-Factory's key); None: begin."""
    mean: bool = True
    """A judge is taught the mean of the digits that it weighs; False: the digits themselves."""
    ordered: bool = True
    """A judge is taught the order of a scenario's designs beside their accuracies."""


@dataclass(frozen=True)
class Recipe:
    """A model, how it is trained, and what was written in the file and on the command line."""

    model: "ModelConfig"
    training: "SFTConfig | DPOConfig | GRPOConfig"
    written: dict[str, Any]
    precision: Precision
    """What the training computes in; `dtype` of a recipe is what the frozen weights are kept in."""
    adaptation: Adaptation = Adaptation()

    @property
    def start(self) -> Path | None:
        """The adapter to go on from; a file of the working directory wins over a shipped one."""
        named = self.adaptation.adapter_name_or_path
        return readable(Path(named)) if named else None


def load_recipe(path: Path, overrides: Sequence[str], out: Path) -> Recipe:
    """Read a recipe; `overrides` are `key=value` and win over the file.

    Raises:
        UsageError: unreadable, an unknown key, a value of the wrong type, or a setting whose
            adapter could not be served; names all faults at once.
    """
    import torch
    from trl import ModelConfig

    named = _parse_overrides(overrides)
    written = {**_read(path), **named}
    trained_by = _training_config(written.get("method", "sft"))
    kinds = {kind: get_type_hints(kind) for kind in (ModelConfig, trained_by, Adaptation)}
    known = {name: hint for hints in kinds.values() for name, hint in hints.items()}
    values, faults = _validate(written, known)
    faults += _servable_faults(values) + tracker_faults(values.get("report_to"))
    if faults:
        places = ("--set" if _key(fault) in named else path for fault in faults)
        raise UsageError("\n".join(map("{}: {}".format, places, faults)))
    if template := values.get("chat_template_path"):
        values["chat_template_path"] = str(readable(Path(template)))
    model, training, adaptation = (
        {name: value for name, value in values.items() if name in hints} for hints in kinds.values()
    )
    on_cpu = bool(values.get("use_cpu", not torch.cuda.is_available()))
    precision = _precision(values, on_cpu)
    # TRL reads an absent bf16 as true, so both are always said.
    mixed = {"bf16": precision.dtype == "bfloat16", "fp16": precision.dtype == "float16"}
    training |= {**mixed, "output_dir": str(out), "use_cpu": on_cpu}
    # `accelerate launch` says so too, and would win over fp32.
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    try:
        settings = ModelConfig(**model), trained_by(**training)
    except (ValueError, ImportError) as error:
        raise UsageError(f"{path}: TRL refuses the recipe: {error}") from None
    return Recipe(*settings, written, precision, Adaptation(**adaptation))


def adapter_of(recipe: Recipe) -> "PeftConfig":
    """Return the adapter's configuration."""
    from trl import get_peft_config

    config = get_peft_config(recipe.model)
    config.layers_to_transform = recipe.adaptation.layers_to_transform
    return config


def quantisation_of(recipe: Recipe) -> Any:
    """Return how the frozen weights are quantised (QLoRA), or None.

    Raises:
        UsageError: bitsandbytes, which does it, is not installed.
    """
    from importlib.util import find_spec

    from trl import get_quantization_config

    wanted = recipe.model.load_in_4bit or recipe.model.load_in_8bit
    if wanted and find_spec("bitsandbytes") is None:
        raise UsageError("load_in_4bit and load_in_8bit need: python -m pip install bitsandbytes")
    return get_quantization_config(recipe.model)


def told(recipe: Recipe) -> str:
    """Return two lines: where and in what type the training computes, and what is not default."""
    from trl import ModelConfig

    kinds = (ModelConfig, type(recipe.training), Adaptation)
    known = {field.name: field for kind in kinds for field in fields(kind)}
    defaults = {
        key: field.default if field.default is not MISSING else None for key, field in known.items()
    }
    changed = [
        f"{key} {value} ({defaults[key]})"
        for key, value in recipe.written.items()
        if value != defaults[key]
    ]
    where = "on the GPU"
    if recipe.training.use_cpu:
        where = "use_cpu: " + ("named" if recipe.written.get("use_cpu") else "no CUDA found")
    return (
        f"training computes in {recipe.precision}; {where}\n"
        f"recipe, with TRL's defaults in brackets: {', '.join(changed)}"
    )


def _training_config(method: object) -> Any:
    """Return TRL's configuration class of a method; an unknown one is told with all faults."""
    from trl import DPOConfig, GRPOConfig, SFTConfig

    return {"dpo": DPOConfig, "grpo": GRPOConfig}.get(str(method), SFTConfig)


def _precision(values: Mapping[str, Any], on_cpu: bool) -> Precision:
    matching = ((key, dtype) for key, value, dtype in NAMED if values.get(key) == value)
    key, named = next(matching, ("", None))
    return chosen(named, key, on_cpu)


def _read(path: Path) -> dict[str, Any]:
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise UsageError(
            f"{path}: expected `key: value` lines in TRL's names, found {in_short(data)}"
        )
    return data


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    faulty = [text for text in overrides if "=" not in text]
    if faulty:
        raise UsageError(f"--set {faulty[0]}: expected key=value, for example learning_rate=1e-3")
    pairs = (text.split("=", 1) for text in overrides)
    return {key.replace("-", "_"): plain(value, f"--set {key}") for key, value in pairs}


def _validate(
    written: Mapping[str, Any], known: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    values, faults = {}, []
    for key, value in written.items():
        if key in ELSEWHERE:
            faults.append(f"{key} {ELSEWHERE[key]}")
        elif key not in known:
            faults.append(_unknown(key, known))
        else:
            try:
                values[key] = TypeAdapter(known[key]).validate_python(
                    _as_trl_reads(key, value, known[key])
                )
            except ValidationError as error:
                faults.append(f"{key}: {error.errors()[0]['msg']}, found {in_short(value)}")
    return values, faults


def _key(fault: str) -> str:
    return fault.split(maxsplit=1)[0].rstrip(":")


def _as_trl_reads(key: str, value: Any, kind: Any) -> Any:
    """Give a lone word the list around it that TRL's command line gives; YAML's `no` is "no"."""
    if value is False and key.endswith("_strategy"):
        return "no"
    return [value] if isinstance(value, str) and kind == list[str] | None else value


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    if key in TRL_NAMES:
        return f"{key} is not known; TRL calls it {TRL_NAMES[key]}"
    close = get_close_matches(key, known, n=1)
    return f"{key} is not known; " + (
        f"did you mean {close[0]}?" if close else "see the fields of trl.SFTConfig and ModelConfig"
    )


def _servable_faults(values: Mapping[str, Any]) -> list[str]:
    """Name what vLLM would refuse or silently drop, before hours of training."""
    faults = []
    if not values.get("use_peft"):
        faults.append("use_peft: only adapters are kept and served; set it to true")
    if values.get("trust_remote_code"):
        faults.append("trust_remote_code: no code of a model is run here; leave it out")
    if values.get("use_dora"):
        faults.append("use_dora: vLLM does not serve DoRA; set it to false")
    if values.get("lora_modules_to_save"):
        faults.append("lora_modules_to_save: vLLM refuses such adapters; leave it out")
    targets = values.get("lora_target_modules") or []
    if values.get("layers_to_transform") is not None and targets in ([], ["all-linear"]):
        faults.append(
            "layers_to_transform needs the names of lora_target_modules spelt out, as in "
            "[q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]"
        )
    refused = [name for name in UNSERVABLE if name in targets]
    if refused:
        faults.append(f"lora_target_modules: vLLM does not serve LoRA on {', '.join(refused)}")
    return faults
