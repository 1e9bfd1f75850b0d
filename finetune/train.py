r"""LoRA fine-tuning with TRL and PEFT: by imitation, by preferences or by rewards.

python -m finetune train --data runs/finetune/judgements --out runs/finetune/smollm2-judge
accelerate launch -m finetune train --config configs/finetune/qwen3.yaml \
    --data runs/finetune/dialogues --out runs/finetune/qwen3
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from statistics import fmean
from typing import TYPE_CHECKING, Any

from cim_sim.config import Stopped, UsageError
from cim_sim.files import require_no_file, write_whole
from finetune.base import ensure
from search.record.adapter import MANIFEST, ROUND_TRIP

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, Trainer

    from datasets import Dataset
    from finetune.dataset import DatasetRecipe
    from finetune.elapsed import Elapsed
    from finetune.preflight import Check
    from finetune.recipe import Recipe
    from search.llm.model import ModelConfig


SHAPE = {
    "lora_r": "r",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "lora_target_modules": "target_modules",
    "use_rslora": "use_rslora",
    "layers_to_transform": "layers_to_transform",
}
"""Of a recipe, what an adapter that a training goes on from has already, in PEFT's words."""
JUDGED = ("correlation", "error")
"""What a judge's trainer measures on held-out scenarios beside the loss (`judging.py`)."""


def prepare(
    config: Path, overrides: Sequence[str], data: Path, out: Path
) -> tuple["Trainer", "Recipe", "Check"]:
    """Read the recipe, say what it resolved to, build the trainer, and look at its data.

    Raises:
        UsageError: recipe, base or data are not usable, or the loss mask is wrong.
    """
    from finetune.dataset import require_tasks
    from finetune.preflight import counted, inspect
    from finetune.recipe import load_recipe, told

    recipe = load_recipe(config, overrides, out)
    manifest = require_tasks(data)
    given = manifest.counts["train"]
    require_suited(recipe, manifest.recipe, f"{config}: {data}")
    imitates = recipe.adaptation.method == "sft" and not manifest.recipe.judges
    _require_unseen(recipe, manifest.held_out, data)
    trainer = build_trainer(recipe, data)
    if trainer.is_world_process_zero():
        print(told(recipe), flush=True)
    return trainer, recipe, inspect(trainer, given) if imitates else counted(trainer)


def require_suited(recipe: "Recipe", lessons: "DatasetRecipe", where: str) -> None:
    """Raise UsageError, which begins with `where`, unless a recipe teaches what such data hold."""
    method, dialogues = recipe.adaptation.method, lessons.style == "dialogue"
    if lessons.judges:
        if method != "sft":
            raise UsageError(
                f"{where} gives judgements, of which method {method} knows nothing: write method: "
                "sft, or make dialogues (judged: 0)"
            )
        sizes = (
            recipe.training.per_device_train_batch_size,
            recipe.training.per_device_eval_batch_size,
        )
        if sizes != (1, 1):
            raise UsageError(
                f"{where} gives judgements, and one lesson of them is a batch of many designs: "
                "take a recipe for them (configs/finetune/smollm2-judge.yaml), or write "
                "per_device_train_batch_size: 1 and per_device_eval_batch_size: 1, and more "
                "gradient_accumulation_steps"
            )
    elif not dialogues and method != "sft":
        raise UsageError(
            f"{where} gives single questions, from which method {method} cannot learn: write "
            "method: sft, or make dialogues (style: dialogue)"
        )
    elif dialogues and method == "sft" and not recipe.training.assistant_only_loss:
        raise UsageError(
            f"{where} gives dialogues, whose results must not be learnt: take a recipe for them "
            "(configs/finetune/smollm2.yaml), or write assistant_only_loss: true; for a judge make "
            "judgements, turns: {judged: 32, similar: 4, value: true}"
        )


def _require_unseen(recipe: "Recipe", held_out: Sequence[str], data: Path) -> None:
    """Raise UsageError where an adapter to go on from has learnt what should be held out."""
    from search.record.adapter import read_manifest

    start = recipe.start
    known = set(held_out) & set(read_manifest(start).trained_on) if start else set()
    if known:
        raise UsageError(
            f"{data}: {len(known)} of its {len(held_out)} held-out scenarios were learnt by "
            f"{start} already, so nothing would tell learning from memory: make the dataset with "
            "the seed that it had, or of other scenarios"
        )


def build_trainer(recipe: "Recipe", data: Path) -> "Trainer":
    """Return a trainer with model, adapter and data, which TRL tokenises.

    Raises:
        UsageError: the base model or the data are absent.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from finetune import shared_prefix
    from finetune.dataset import read_manifest
    from finetune.recipe import adapter_of, quantisation_of

    base = _base(recipe)
    judges = read_manifest(data).recipe.judges
    shared_prefix.register()
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=recipe.model.dtype,
        attn_implementation=shared_prefix.NAME if judges else recipe.model.attn_implementation,
        quantization_config=quantisation_of(recipe),
    )
    start = recipe.start
    parts = {
        "model": _started(model, start, recipe, base) if start else model,
        "args": recipe.training,
        "processing_class": tokenizer,
        "peft_config": None if start else adapter_of(recipe),
    }
    method = recipe.adaptation.method
    return _judge(recipe, data, parts) if judges else _trainer(method, data, parts)


def _judge(recipe: "Recipe", data: Path, parts: dict[str, Any]) -> "Trainer":
    """Return the trainer of a judge, with the lessons in tokens."""
    from peft import get_peft_model
    from transformers import set_seed

    from finetune.dataset import read_split
    from finetune.judging import rows, trainer_class

    set_seed(recipe.training.seed)  # the first weights of the adapter are drawn before the trainer
    model, config = parts["model"], parts.pop("peft_config")
    parts["model"] = get_peft_model(model, config) if config else model
    lessons = {
        name: rows(split, parts["processing_class"])
        for name, split in _splits(read_split, data).items()
    }
    taught = {"mean": recipe.adaptation.mean, "ordered": recipe.adaptation.ordered}
    return trainer_class()(**parts, **lessons, **taught)


def _trainer(method: str, data: Path, parts: dict[str, Any]) -> "Trainer":
    """Return TRL's trainer of a method with the data that it learns from."""
    from finetune import preferences
    from finetune.answer_loss import trainer_class
    from finetune.dataset import read_manifest, read_split
    from finetune.values import with_values

    if method == "dpo":
        from trl import DPOTrainer

        return DPOTrainer(**parts, **_splits(preferences.pairs, data))
    if method == "grpo":
        from trl import GRPOTrainer

        ladder = preferences.ladder
        return GRPOTrainer(**parts, reward_funcs=ladder, **_splits(preferences.questions, data))
    # Questions have the columns `prompt` and `completion`, of which TRL masks the prompt; dialogues
    # are masked turn by turn. Logits are computed at what is left alone.
    trainer = trainer_class()(**parts, **_splits(read_split, data))
    if read_manifest(data).recipe.turns.value:
        tokenizer = parts["processing_class"]
        trainer.train_dataset = with_values(trainer.train_dataset, tokenizer)
        trainer.eval_dataset = with_values(trainer.eval_dataset, tokenizer)
    return trainer


def _splits(read: "Callable[[Path, str], Dataset]", data: Path) -> dict[str, "Dataset"]:
    return {"train_dataset": read(data, "train"), "eval_dataset": read(data, "validation")}


def _started(model: "PreTrainedModel", adapter: Path, recipe: "Recipe", base: Path) -> "PeftModel":
    """Return the model with the adapter that a training goes on from.

    Raises:
        UsageError: it is not finished, of another base or renderer, or of other settings.
    """
    from finetune.adapter import put_on, require_base
    from finetune.recipe import adapter_of

    require_base(adapter, base)
    started = put_on(model, adapter, trainable=True)
    there, asked = started.peft_config["default"], adapter_of(recipe)
    for key, name in SHAPE.items():
        own, wanted = (_as_set(getattr(config, name)) for config in (there, asked))
        words = isinstance(wanted, str)  # all-linear, or a pattern: PEFT keeps the names it found
        if own != wanted and not words and (key in recipe.written or key == "lora_r"):
            raise UsageError(
                f"{adapter}: its {key} is {own}, the recipe says {wanted}; to go on from it, write "
                f"{key}: {own}"
            )
    return started


def _as_set(value: Any) -> Any:
    """Names of modules come as a list or as a set."""
    return sorted(value) if isinstance(value, (list, set, tuple)) else value


def _base(recipe: "Recipe") -> Path:
    """Return the directory of the base model, made first where it has to be."""
    return ensure(str(recipe.model.model_name_or_path), recipe.model.model_revision).resolve()


def require_served(recipe: "Recipe", base: "ModelConfig") -> None:
    """Raise UsageError unless the base that will be served is the one that is trained."""
    from search.llm.model import directory_digest

    trained = _base(recipe)
    served = ensure(str(base.path)) if base.path else trained
    if directory_digest(trained) != directory_digest(served):
        raise UsageError(
            f"the recipe trains {recipe.model.model_name_or_path}, but {base.name} ({base.path}) "
            f"would be served as its base: give --base FILE.yaml with path: {trained}"
        )


def last_checkpoint(out: Path, resume: bool, overwrite: bool) -> Path | None:
    """Return the checkpoint to go on from, and refuse to write over another training.

    As in a search, `resume` begins what was never begun. A checkpoint that a kill tore is none.

    Raises:
        UsageError: `out` is in use.
    """
    require_no_file(out)
    found = [path for path in out.glob("checkpoint-*") if _steps(path).isdecimal()]
    checkpoints = sorted(found, key=lambda path: int(_steps(path)))
    if resume:
        return next(filter(_is_whole, reversed(checkpoints)), None)
    if not overwrite and out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty: --resume goes on, --overwrite starts afresh")
    return None


def _steps(checkpoint: Path) -> str:
    return checkpoint.name.removeprefix("checkpoint-")


def _is_whole(checkpoint: Path) -> bool:
    """Trainer writes its state after weights, optimiser and random numbers."""
    try:
        _state(checkpoint)
    except (OSError, ValueError):
        return False
    return True


def _state(checkpoint: Path) -> Any:
    """Return how far a training was, and its losses, as Trainer keeps them."""
    return json.loads((checkpoint / "trainer_state.json").read_text())


def _logged(history: Sequence[Mapping[str, float]]) -> list[float]:
    """Return the losses that were logged, the last one of all only where none was."""
    losses = [entry["loss"] for entry in history if "loss" in entry]
    return losses or [entry["train_loss"] for entry in history if "train_loss" in entry][-1:]


def begin(out: Path, checkpoint: Path | None) -> None:
    """Have nothing there be taken for this training, or for its end, if it is killed."""
    for record in (MANIFEST, ROUND_TRIP):
        (out / record).unlink(missing_ok=True)
    for old in out.glob("checkpoint-*") if checkpoint is None else ():
        rmtree(old)


def _unprepare(trainer: "Trainer") -> None:
    """Have training prepare a model that was evaluated first.

    Trainer takes it for prepared, and would train it without the wrapper that averages gradients:
    every process by itself, and all but the first for nothing.
    """
    accelerator = trainer.accelerator
    model = accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    accelerator.free_memory()
    model._is_accelerate_prepared = False


def _take_over(trainer: "Trainer", checkpoint: Path) -> None:
    """Put the trainer where a training ended.

    Asked to go on from the last of `max_steps`, Trainer would take one more.
    """
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file
    from transformers import TrainerState

    from finetune.adapter import WEIGHTS

    set_peft_model_state_dict(trainer.model, load_file(checkpoint / WEIGHTS))
    trainer.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))


def fit(
    trainer: "Trainer", recipe: "Recipe", data: Path, checkpoint: Path | None
) -> dict[str, Any]:
    """Train, save the adapter, and return losses, steps and seconds, those before a resume too.

    Losses are nats per answer token; of preferences TRL's loss, of rewards the mean reward; of a
    judge the nats of both digits and one minus the correlation. A judge adds how its held-out
    accuracies are ordered, and how far they are off.
    """
    from finetune.elapsed import Clock

    _claim(trainer, recipe, data, checkpoint)
    clock = Clock(checkpoint)
    trainer.add_callback(clock)
    method = recipe.adaptation.method
    measure = "eval_reward" if method == "grpo" else "eval_loss"
    # Held-out answers before and after tell learning from the mere falling of a training loss.
    before = trainer.evaluate()
    _unprepare(trainer)
    steps = trainer.args.max_steps
    if trainer.is_world_process_zero():
        begin(Path(trainer.args.output_dir), checkpoint)
    if checkpoint is not None and 0 < steps <= _state(checkpoint)["global_step"]:
        _take_over(trainer, checkpoint)
    else:
        if checkpoint is not None and method == "sft":
            trainer.add_callback(_no_jump(checkpoint))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    # Trainer's own mean leaves out what was before a resume.
    logged = _logged(trainer.state.log_history)
    training = {"training": fmean(logged)} if logged else {}
    after = trainer.evaluate()
    losses = {"held-out before": before[measure], "held-out after": after[measure], **training}
    losses |= {name: after[f"eval_{name}"] for name in JUDGED if f"eval_{name}" in after}
    elapsed = clock.elapsed
    if trainer.is_world_process_zero():
        save(trainer, recipe, data, losses, elapsed)
    return {"losses": losses, "seconds": elapsed.seconds, "steps": trainer.state.global_step}


def _claim(trainer: "Trainer", recipe: "Recipe", data: Path, checkpoint: Path | None) -> None:
    """Write down what is trained, or refuse to go on with the checkpoint of another training.

    Raises:
        UsageError: the checkpoint is of other data, another recipe, base or adapter.
    """
    from finetune.adapter import weights_digest
    from finetune.asked import TRAINING, claim
    from finetune.dataset import read_manifest
    from search.llm.model import directory_digest

    out, start = Path(trainer.args.output_dir), recipe.start
    if checkpoint is None and trainer.is_world_process_zero():
        (out / TRAINING).unlink(missing_ok=True)
    if checkpoint is not None or trainer.is_world_process_zero():
        asked = {
            "data": read_manifest(data).digest,
            "recipe": recipe.written,
            "base": directory_digest(_base(recipe)),
            "adapter": weights_digest(start) if start else None,
        }
        claim(out, asked, TRAINING)


def save(
    trainer: "Trainer",
    recipe: "Recipe",
    data: Path,
    losses: dict[str, float],
    elapsed: "Elapsed",
) -> None:
    """Write the adapter, its tokenizer and template, card and manifest."""
    from finetune.adapter import template_digest, trainings, versions, write_manifest
    from finetune.dataset import read_manifest
    from finetune.dequantise import save_tokenizer
    from finetune.traces import SCENARIOS
    from search.llm.model import directory_digest
    from search.record import adapter as adapters
    from search.record.adapter import TRAINED_ON, AdapterManifest
    from search.record.tasks import read_tasks

    out, source = Path(trainer.args.output_dir), read_manifest(data)
    base = _base(recipe)
    tokenizer = trainer.processing_class
    _name_base(trainer.model.peft_config["default"], recipe, base)
    # DPO keeps the adapter that it began with as a second one.
    trainer.model.save_pretrained(str(out), selected_adapters=["default"])
    save_tokenizer(tokenizer, out)
    trained, given = set(source.trained_on), source.given
    tasks = [one for one in read_tasks(data / SCENARIOS) if one.scenario.digest in trained]
    start = recipe.start
    if start:
        before = adapters.read_manifest(start)
        if before.data_digest != source.digest:  # else the same evaluations
            given += before.given
        tasks = [*adapters.read_trained_on(start), *tasks]
    lines = dict.fromkeys(task.model_dump_json() + "\n" for task in tasks)
    write_whole(out / TRAINED_ON, "".join(lines))
    write_manifest(
        out,
        AdapterManifest(
            base=str(recipe.model.model_name_or_path),
            base_revision=recipe.model.model_revision,
            base_digest=directory_digest(base),
            went_on_from=recipe.adaptation.adapter_name_or_path,
            earlier=trainings(start) if start else (),
            data=str(data),
            data_digest=source.digest,
            trained_on=tuple(sorted({task.scenario.digest for task in tasks})),
            given=given,
            examples=len(trainer.train_dataset),
            renderer=source.renderer,
            template=template_digest(tokenizer),
            end_token=str(tokenizer.eos_token),
            seed=trainer.args.seed,
            steps=trainer.state.global_step,
            dtype=recipe.precision.dtype,
            dtype_reason=recipe.precision.reason,
            losses=losses,
            seconds=elapsed.seconds,
            whole_time=elapsed.whole,
            recipe=recipe.written,
            versions=versions(),
        ),
    )


def _name_base(config: Any, recipe: "Recipe", base: Path) -> None:
    """Say in what becomes adapter_config.json what the adapter belongs to.

    A directory is named in full, which loads from anywhere here; a model of the hub by its name,
    which loads anywhere.
    """
    name, revision = str(recipe.model.model_name_or_path), recipe.model.model_revision
    local = Path(name).exists() or Path(name).suffix == ".gguf"
    config.base_model_name_or_path = str(base) if local else name
    config.revision = None if local else revision


def _no_jump(checkpoint: Path) -> Any:
    """Compare the first loss after a resume with the last one before it.

    LoRA resumes have silently started afresh (transformers#35850, #29607).
    """
    from transformers import TrainerCallback

    saved = _logged(_state(checkpoint)["log_history"])

    class NoJump(TrainerCallback):  # type: ignore[misc]
        checked = not saved

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any
        ) -> None:
            if self.checked or not logs or "loss" not in logs:
                return
            self.checked = True
            now, last = float(logs["loss"]), float(saved[-1])
            print(f"resumed from {checkpoint.name}: loss {now:.4f}, was {last:.4f}")
            if now > 1.5 * last + 0.1:
                raise Stopped(
                    f"the loss jumped from {last:.4f} to {now:.4f} on resuming {checkpoint}: the "
                    "adapter was not restored; train again with --overwrite"
                )

    return NoJump()
