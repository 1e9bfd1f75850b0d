"""The embedded tokenizer: pairs in one piece, any text survives, few tokens for a prompt."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.inference import encode, fixed_prompts
from finetune.tiny.base_model import MODEL
from finetune.tiny.tokenizer import CHAT_TEMPLATE, CONTEXT


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL)


def test_a_pair_is_one_token(tokenizer):
    ids = tokenizer("[[32,3],[128,7],[16,1]]")["input_ids"]
    assert [tokenizer.decode([token]) for token in ids] == [
        "[",
        "[32,3],",
        "[128,7],",
        "[16,1]",
        "]",
    ]


def test_a_whole_history_fits(tokenizer):
    lengths = [len(encode(tokenizer, prompt, "")[0]) for prompt in fixed_prompts()]
    assert max(lengths) < CONTEXT - 64


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=80))
def test_any_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_template_is_the_package_s_own(tokenizer):
    assert tokenizer.chat_template == CHAT_TEMPLATE.read_text()


def test_the_prompt_is_a_prefix_of_the_conversation(tokenizer):
    prompt = [{"role": "user", "content": "A design?"}]
    whole = [*prompt, {"role": "assistant", "content": "[[32,3]]"}]
    ids, answer = encode(tokenizer, prompt, "[[32,3]]")
    assert tokenizer.apply_chat_template(whole, return_dict=True)["input_ids"] == ids + answer
