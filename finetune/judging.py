"""Training a judge: what accuracy each of many designs has in a scenario, before any result.

A search reads the mean of the digits that a model weighs (`search/llm/foreseen.py`), so that mean
is taught: the tenths between which it has to lie share the probability (two-hot labels, as in
Schrittwieser et al. 2020, "MuZero", appendix F), and the hundredths say nothing. What a search
needs first is the order of the designs of one scenario, of which that loss sees little, since
scenarios are further apart than designs; so one minus their correlation is added.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from statistics import fmean
from typing import TYPE_CHECKING, Any

from cim_sim.config import UsageError
from finetune.values import DIGITS, SAID

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedTokenizerBase, Trainer

    from datasets import Dataset

HUNDREDTHS = 4.5
"""Mean of the second digit, whatever the design: 4 and 5 are as probable."""
LEAST_SPREAD = 1e-3
"""Added to how far designs are apart, on both sides: where all are alike, there is no order. That
makes a correlation smaller, by 2 % where accuracies differ by .05."""
TINY = 1e-12
"""Keeps the gradient of a root finite where all designs are said to be alike."""


def rows(lessons: "Dataset", tokenizer: "PreTrainedTokenizerBase") -> "Dataset":
    """Return the lessons in tokens: the prompt, each design up to its digits, and its accuracy.

    Columns: `input_ids`, the prompt up to where an answer begins; `design_ids`, [designs][tokens],
    the answer up to its tenth; `tenth_ids`, the token of that; `accuracies`.

    Raises:
        UsageError: an answer says no accuracy, the tokenizer joins digits, or the chat template
            puts something before an answer that is begun.
    """

    def encoded(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    if len(encoded(SAID + "53")) != len(encoded(SAID)) + 2:
        raise UsageError(
            f"{tokenizer.name_or_path}: its tokens join the digits of {SAID + '53'!r}, so no judge "
            "can be made of this model; train it on dialogues (judged: 0)"
        )

    def begun(row: Mapping[str, Any], design: str) -> list[int]:
        """Return the tokens of a question and the beginning of its answer, as a search asks."""
        turns = [*row["prompt"], {"role": "assistant", "content": design + SAID}]
        ids: list[int] = tokenizer.apply_chat_template(
            turns, continue_final_message=True, return_dict=False
        )
        return ids

    def taught(row: Mapping[str, Any]) -> dict[str, Any]:
        said = [turn["content"].rpartition(SAID) for turn in row["completion"]]
        if not all(design and DIGITS.fullmatch(digits) for design, _, digits in said):
            raise UsageError(
                f"an answer without {SAID.strip()}NN at its end: make the dataset again"
            )
        asked = tokenizer.apply_chat_template(
            row["prompt"], add_generation_prompt=True, return_dict=False
        )
        if begun(row, said[0][0]) != [*asked, *encoded(said[0][0] + SAID)]:
            raise UsageError(
                f"{tokenizer.name_or_path}: its chat template puts something before an answer that "
                "is begun (no thinking, for example), so a search would ask in other tokens than "
                "are taught; take a base without that, or train on dialogues (judged: 0)"
            )
        return {
            "input_ids": asked,
            "design_ids": [encoded(design + SAID) for design, *_ in said],
            "tenth_ids": [encoded(digits[0])[-1] for *_, digits in said],
            "accuracies": [float(f"0.{digits}") for *_, digits in said],
        }

    return lessons.map(taught, desc="Reading judgements")


def collated(lessons: Sequence[Mapping[str, Any]]) -> "dict[str, torch.Tensor]":
    """Return one lesson as a batch: its prompt, and blocks of one length behind it.

    Raises:
        UsageError: several lessons at once.
    """
    import torch

    if len(lessons) != 1:
        raise UsageError(
            "a lesson in judging is a batch of many designs: write per_device_train_batch_size: 1 "
            "and per_device_eval_batch_size: 1, and more gradient_accumulation_steps"
        )
    (lesson,) = lessons
    prompt, designs = lesson["input_ids"], lesson["design_ids"]
    texts = [[*design, tenth] for design, tenth in zip(designs, lesson["tenth_ids"], strict=True)]
    longest = max(map(len, texts))
    start = len(prompt)
    # What fills a block up stands behind all that is read, so it is never seen.
    filled = [token for text in texts for token in text + text[-1:] * (longest - len(text))]
    places = [start + block * longest + len(text) - 2 for block, text in enumerate(texts)]
    positions = [*range(start), *list(range(start, start + longest)) * len(texts)]
    return {
        "input_ids": torch.tensor([prompt + filled]),
        "position_ids": torch.tensor([positions]),
        "places": torch.tensor(places),
        "accuracies": torch.tensor(lesson["accuracies"]),
        "beginning": torch.tensor(start),
    }


def expected(logits: "torch.Tensor") -> "torch.Tensor":
    """Return the mean digit, [designs], of the logits of the ten digits, [designs, 10]."""
    import torch

    return logits.softmax(-1) @ torch.arange(10.0, device=logits.device)


def order(said: "torch.Tensor", found: "torch.Tensor") -> "torch.Tensor":
    """Return the correlation of what is said of designs with what was found, both [designs]."""
    one, other = said - said.mean(), found - found.mean()
    spread = [(part.square().mean() + TINY).sqrt() + LEAST_SPREAD for part in (one, other)]
    return (one * other).mean() / (spread[0] * spread[1])


def two_hot(mean: "torch.Tensor") -> "torch.Tensor":
    """Return probabilities of the ten digits, [designs, 10], whose mean is `mean`, [designs]."""
    import torch

    digits = torch.arange(10.0, device=mean.device)
    return (1 - (mean.clamp(0, 9)[:, None] - digits).abs()).clamp(min=0)


def judged_loss(
    tenths: "torch.Tensor",
    hundredths: "torch.Tensor",
    digits: "torch.Tensor",
    accuracies: "torch.Tensor",
    *,
    mean: bool = True,
    ordered: bool = True,
) -> "torch.Tensor":
    """Return the loss of one lesson: nats a digit, and one minus the correlation.

    Args:
        tenths: logits of the first digit, [designs, vocabulary].
        hundredths: of the second.
        digits: tokens of 0 to 9, [10].
        accuracies: [designs].
        mean: labels are probabilities with the mean that is wanted; else the very digits.
        ordered: the correlation counts.
    """
    nats = [
        -(labels * logits.log_softmax(-1)[:, digits]).sum(-1).mean()
        for labels, logits in zip(labels_of(accuracies, mean), (tenths, hundredths), strict=True)
    ]
    disorder = 1 - order(expected(tenths[:, digits]), accuracies) if ordered else 0
    return sum(nats) + disorder


def labels_of(accuracies: "torch.Tensor", mean: bool) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return probabilities of tenths and hundredths, [designs, 10] each."""
    if mean:
        nothing = accuracies.new_full(accuracies.shape, HUNDREDTHS)
        return two_hot(10 * accuracies - HUNDREDTHS / 10), two_hot(nothing)
    hundredths = (100 * accuracies).round()
    return two_hot(hundredths // 10), two_hot(hundredths % 10)


def _leave_casts(model: "PeftModel") -> None:
    """Have adapters take activations as they come, since autocast casts them for every product.

    PEFT would widen them to fp32 first, and autocast narrow them again: the same numbers, and a
    fifth of a step.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.cast_input_dtype_enabled = False


@cache
def trainer_class() -> "type[Trainer]":
    """Return the trainer of a judge; made on demand, since transformers takes seconds to import."""
    import torch
    from transformers import Trainer

    class JudgeTrainer(Trainer):  # type: ignore[misc]
        """Teaches accuracies, and measures the order and the error of held-out ones."""

        def __init__(self, *, mean: bool, ordered: bool, **named: Any) -> None:
            named["args"].remove_unused_columns = False
            super().__init__(**named, data_collator=collated)
            self.model_accepts_loss_kwargs = False  # each lesson counts alike
            if self.args.bf16 or self.args.fp16:
                _leave_casts(self.model)
            self.evaluations: list[list[tuple[float, float]]] = []
            """Error and correlation in each held-out lesson, at each evaluation."""
            self._taught = {"mean": mean, "ordered": ordered}
            tokenizer = self.processing_class
            self._digits = torch.tensor(tokenizer.convert_tokens_to_ids([*"0123456789"]))

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            places, accuracies = inputs["places"], inputs["accuracies"]
            head = self.accelerator.unwrap_model(model).get_output_embeddings()
            with self.accelerator.autocast():
                found = model(
                    input_ids=inputs["input_ids"],
                    position_ids=inputs["position_ids"],
                    beginning=int(inputs["beginning"]),
                    blocks=len(places),
                    use_cache=False,
                    output_hidden_states=True,
                    logits_to_keep=1,
                )
                states = found.hidden_states[-1][0]
                tenths, hundredths = head(states[places]), head(states[places + 1])
            tenths, hundredths = tenths.float(), hundredths.float()
            digits = self._digits.to(tenths.device)
            if not model.training:
                said = expected(tenths[:, digits]) / 10 + expected(hundredths[:, digits]) / 100
                off = (said - accuracies).square().mean().sqrt()
                self.evaluations[-1].append((float(off), float(order(said, accuracies))))
            loss = judged_loss(tenths, hundredths, digits, accuracies, **self._taught)
            return (loss, found) if return_outputs else loss

        def prediction_step(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            inputs = self._prepare_inputs(inputs)
            with torch.no_grad():
                return self.compute_loss(model, inputs).detach(), None, None

        def evaluate(self, *args: Any, **named: Any) -> dict[str, float]:
            """Return what Trainer does, the mean correlation and the root mean square error."""
            self.evaluations.append([])
            metrics: dict[str, float] = super().evaluate(*args, **named)
            # Processes take turns; what fills up the last turn is the first lessons again.
            own = torch.tensor(self.evaluations[-1], device=self.args.device)
            turns = self.accelerator.gather(own[:, None]).reshape(-1, *own.shape).transpose(0, 1)
            found = turns.reshape(-1, 2)[: len(self.eval_dataset)].tolist()
            self.evaluations[-1] = [(off, correlation) for off, correlation in found]
            off, correlation = map(fmean, zip(*found, strict=True))
            return {**metrics, "eval_error": off, "eval_correlation": correlation}

    return JudgeTrainer
