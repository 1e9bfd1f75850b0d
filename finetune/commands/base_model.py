"""The verb `base-model`: the embedded base, pre-trained anew."""

import time
from pathlib import Path

from cim_sim import cli


def base_model(out: Path = Path("finetune/tiny/model"), quick: bool = False) -> int:
    """Pre-train the embedded base anew, with its tokenizer, card and manifest.

    Args:
        out: directory that the model is written to.
        quick: take a hundredth of the conversations, to try the machinery; the result is no model.
    """
    from finetune.tiny.base_card import measure, write
    from finetune.tiny.base_model import Pretraining, make
    from search.llm.precision import fastest

    started, precision = time.monotonic(), fastest(use_cpu=True)
    print(f"pre-training computes in {precision}")
    recipe = Pretraining(dtype=precision.dtype)
    if quick:
        recipe = recipe.model_copy(update={"conversations": recipe.conversations // 100})
    model, tokenizer, figures = make(recipe)
    seconds = time.monotonic() - started
    figures |= measure(model, tokenizer)
    write(out, model=model, tokenizer=tokenizer, recipe=recipe, figures=figures, seconds=seconds)
    cli.emit(base_model=str(out), seconds=round(seconds, 1), dtype=recipe.dtype, **figures)
    return 0
