"""The open base model: the right tokens, a language model's answer, and no half-made folder."""

import unicodedata
from hashlib import sha256
from itertools import groupby, pairwise

import numpy as np
import pytest

from cim_sim.config import UsageError, load
from finetune import base as module
from finetune.base import (
    INSTALL,
    MODELS,
    SMOLLM2,
    TEMPLATE,
    ensure,
    is_whole,
    packaged,
    read_manifest,
)
from search.llm.model import ModelConfig

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="session")
def tokenizer(smollm2_tokenizer):
    return smollm2_tokenizer


@pytest.fixture(scope="session")
def fields():
    """What the GGUF file says beside its weights; the reader takes seconds."""
    from gguf import GGUFReader

    return GGUFReader(packaged().file).fields


@pytest.fixture(scope="session")
def vocabulary(fields):
    """Token ids and ranks of merges, straight from the GGUF file."""
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = fields["tokenizer.ggml.merges"].contents()
    ids = {token: number for number, token in enumerate(tokens)}
    return ids, {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}


def letters_of_bytes():
    """GPT-2's printable letter of each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    spare = {byte: chr(256 + place) for place, byte in enumerate(others)}
    return {byte: spare.get(byte, chr(byte)) for byte in range(256)}


LETTERS = letters_of_bytes()
ENDINGS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


def kind(character):
    if character.isspace():
        return "blank"
    return {"L": "letter", "N": "digit"}.get(unicodedata.category(character)[0], "other")


def pieces(text):
    """llama.cpp's `smollm`: \\p{N} apart; then endings, ` ?letters`, ` ?others`, blanks.

    A run of blanks keeps its last one for the word behind it, unless a digit or the end follows.
    """
    for digits, group in groupby(text, lambda character: kind(character) == "digit"):
        run = "".join(group)
        yield from run if digits else words(run)


def words(text):
    while text:
        ending = next((one for one in ENDINGS if text.startswith(one)), None)
        length = len(ending) if ending else word_length(text)
        yield text[:length]
        text = text[length:]


def word_length(text):
    blanks = next((n for n, c in enumerate(text) if kind(c) != "blank"), len(text))
    if blanks == len(text):
        return blanks
    if blanks > 1:
        return blanks - 1
    if blanks == 1 and text[0] != " ":
        return 1
    same = kind(text[blanks])
    return next((n for n in range(blanks, len(text)) if kind(text[n]) != same), len(text))


def merged(piece, ranks):
    """Byte pair encoding: the merge of lowest rank first, leftmost first."""
    parts = [LETTERS[byte] for byte in piece.encode()]
    while len(parts) > 1:
        pairs = [ranks.get(pair, len(ranks)) for pair in pairwise(parts)]
        place = int(np.argmin(pairs))
        if pairs[place] == len(ranks):
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def expected(text, vocabulary):
    ids, ranks = vocabulary
    return [ids[part] for piece in pieces(text) for part in merged(piece, ranks)]


FRAGMENTS = (
    "x", "[[32,3],", "128", "7", "0.532", " ", "  ", "    ", "\n", "\n\n", " \n", "\t", "reward ",
    "reward", "mm2", "-1", "don't", "it's 5", "sigma 0.100", '{"layers":', "}}", "naïve", "½",
    "日本 3", "...", " ,", "K", "22 nm", "\r\n", "٣",
)  # fmt: skip
HAND_MADE = (
    "x\n\n3", "x\n3", "x  3", "x 3", "3\n\n3", "  3", "\n\n\n16", "3  x", "3 x", "1234567890",
    "[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]", "reward 0.532", "infeasible: area 45.1 mm2",
    "", " ", "\n", "a  ", "a \n b", "We've 2  \n 3", "accuracy - sqrt(energy / 80 uJ)",
)  # fmt: skip


@pytest.mark.slow
def test_200_strings_have_the_tokens_of_the_original_s_rules(tokenizer, vocabulary):
    rng = np.random.default_rng(0)
    drawn = ["".join(rng.choice(FRAGMENTS, rng.integers(2, 9))) for _ in range(180)]
    texts = [*HAND_MADE, *drawn]
    assert len(texts) == 200
    for text in texts:
        assert tokenizer(text)["input_ids"] == expected(text, vocabulary), repr(text)
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.slow
def test_the_words_before_a_number_and_the_number_are_these(tokenizer, vocabulary):
    """By hand: x, two line ends together, 3; and every digit by itself."""
    ids, _ = vocabulary
    assert tokenizer("x\n\n3")["input_ids"] == [ids["x"], ids["ĊĊ"], ids["3"]]
    assert tokenizer("128  3")["input_ids"] == [ids[one] for one in ("1", "2", "8", "ĠĠ", "3")]


@pytest.mark.slow
def test_the_template_is_the_model_s_own_without_its_words(tokenizer, fields):
    """Ours marks the assistant's turns; apart from the system message it says the same."""
    theirs = fields["tokenizer.chat_template"].contents()
    turns = [{"role": "system", "content": "Be brief."}, *QUESTION,
             {"role": "assistant", "content": "Paris."}, *QUESTION]  # fmt: skip
    for asks in (True, False):
        said = {"tokenize": False, "add_generation_prompt": asks}
        expected = tokenizer.apply_chat_template(turns, chat_template=theirs, **said)
        assert tokenizer.apply_chat_template(turns, **said) == expected


def test_the_template_adds_no_words(tokenizer):
    text = tokenizer.apply_chat_template(QUESTION, tokenize=False, add_generation_prompt=True)
    assert text == f"<|im_start|>user\n{QUESTION[0]['content']}<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.chat_template == TEMPLATE.read_text(encoding="utf-8")
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token == "<|endoftext|>"


def test_licence_card_and_configuration_go_with_the_weights(smollm2):
    card = (smollm2 / "README.md").read_text(encoding="utf-8")
    assert "A dequantised 4-bit copy of SmolLM2-135M-Instruct (134.5 million" in " ".join(
        card.split()
    )
    assert "Apache License" in (smollm2 / "LICENSE").read_text(encoding="utf-8")
    assert read_manifest(smollm2).source_sha256 == module.SHA256
    assert load("configs/models/base.yaml", ModelConfig).path == SMOLLM2


def test_a_whole_folder_is_not_made_again(smollm2, monkeypatch):
    monkeypatch.setattr(module, "convert", None)
    assert ensure(SMOLLM2) == smollm2
    assert ensure(SMOLLM2.resolve()) == smollm2.resolve()


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Conversion without the weights, into a folder of its own."""
    made = []

    def write(source, out):
        made.append(source)
        out.mkdir()
        (out / "config.json").write_text("{}")

    monkeypatch.setattr("finetune.base.write_model", write)
    monkeypatch.setattr(module, "MODELS", tmp_path)
    return made


def gguf(tmp_path, content=b"GGUF rest"):
    file = tmp_path / "Some.gguf"
    file.write_bytes(content)
    return file


def test_a_half_made_or_changed_folder_is_made_anew(quick, tmp_path):
    file, folder = gguf(tmp_path), tmp_path / "some"
    assert ensure(file) == folder
    assert ensure(file) == folder
    assert len(quick) == 1
    (folder / "config.json").write_text("")
    assert not is_whole(folder)
    ensure(file)
    (folder / module.MANIFEST).unlink()
    (folder / "rest").write_text("of a killed run")
    ensure(file)
    assert len(quick) == 3
    assert sorted(one.name for one in folder.iterdir()) == [module.MANIFEST, "config.json"]
    gguf(tmp_path, b"GGUF other weights")
    ensure(file)
    assert len(quick) == 4
    assert module.read_manifest(folder).source_sha256 == sha256(file.read_bytes()).hexdigest()
    ensure(file)
    assert len(quick) == 4
    assert sorted(one.name for one in tmp_path.iterdir()) == ["Some.gguf", "some"]


def test_an_interrupted_conversion_leaves_nothing(quick, monkeypatch, tmp_path):
    def stopped(source, out):
        out.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("finetune.base.write_model", stopped)
    with pytest.raises(KeyboardInterrupt):
        ensure(gguf(tmp_path))
    assert [one.name for one in tmp_path.iterdir()] == ["Some.gguf"]


def test_what_cannot_be_had_says_what_to_type(monkeypatch, tmp_path):
    with pytest.raises(UsageError, match="is not a GGUF file: it does not begin with GGUF"):
        ensure(gguf(tmp_path, b"PK\3\4"))
    with pytest.raises(UsageError, match=r"none\.gguf: No such file or directory; expected a GGUF"):
        ensure(tmp_path / "none.gguf")
    with pytest.raises(UsageError, match=r"holds no model: config.json is missing"):
        ensure(tmp_path)
    with pytest.raises(UsageError, match="neither a directory here nor a model of the hub"):
        ensure("no-such/model")
    monkeypatch.setattr(module, "SHA256", "0" * 64)
    with pytest.raises(UsageError, match=r"SHA-256 b179c95.*, expected 000.*--force-reinstall"):
        packaged()
    monkeypatch.setattr(module, "PACKAGE", "llm-absent")
    with pytest.raises(UsageError) as caught:
        packaged()
    assert INSTALL in str(caught.value)


@pytest.mark.parametrize("size", [4, 100_000, 40_000_000])
def test_a_file_that_was_cut_short_is_refused_by_name(size, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(packaged().file.read_bytes()[:size] + b"xxxx")
    with pytest.raises(UsageError, match=r"cut\.gguf: damaged or cut short \(.*\); fetch it again"):
        ensure(cut)
    assert not (MODELS / "cut").exists()


def test_an_unknown_pre_tokeniser_is_refused(monkeypatch, tmp_path):
    from finetune.dequantise import load_tokenizer

    fields = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "martian"}
    monkeypatch.setattr("finetune.dequantise._fields", lambda file: fields)
    with pytest.raises(UsageError, match="pre-tokeniser martian is not known here"):
        load_tokenizer(gguf(tmp_path))


@pytest.mark.slow
def test_it_knows_the_capital_of_france(smollm2, tokenizer):
    from transformers import AutoModelForCausalLM

    from finetune.inference import encode, greedy

    model = AutoModelForCausalLM.from_pretrained(smollm2)
    question, _ = encode(tokenizer, QUESTION, "")
    assert "Paris" in tokenizer.decode(greedy(model, question))


@pytest.mark.slow
@pytest.mark.vllm
def test_a_server_knows_it_too(smollm2, tmp_path):
    from contextlib import closing

    from search.llm.client import Client
    from search.llm.endpoint import Endpoint
    from search.llm.server import serving

    model = load("configs/models/base.yaml", ModelConfig)
    sampling = model.sampling.model_copy(update={"temperature": 0.0, "max_tokens": 16})
    model = model.model_copy(update={"sampling": sampling})
    with (
        serving(model, tmp_path / "server.log") as server,
        closing(Endpoint(server.base_url, "EMPTY", model.timeout_s)) as endpoint,
    ):
        assert "Paris" in Client(model, endpoint).complete(0, 0, QUESTION, 0).reply
