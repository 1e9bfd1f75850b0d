"""A model in this process: answers, and how likely it finds them."""

import pytest

from finetune.inference import encode, fixed_prompts, greedy, token_logprobs


def test_the_greedy_answer_is_the_likeliest_token_by_token(base):
    import torch

    model, tokenizer = base
    prompt_ids, end = encode(tokenizer, fixed_prompts()[0], "")
    answer_ids = greedy(model, prompt_ids)
    assert end == [tokenizer.eos_token_id]
    assert answer_ids
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt_ids, *answer_ids]])).logits[0]
    best = torch.log_softmax(logits, dim=-1).max(dim=-1).values[len(prompt_ids) - 1 : -1]
    assert token_logprobs(model, prompt_ids, answer_ids) == pytest.approx(best.tolist(), abs=1e-4)
