"""A model in this process: answers, and how likely it finds them."""

import pytest

from finetune.inference import encode, fixed_prompts, greedy, sample, token_logprobs


def test_greedy_answers_are_the_likeliest_token_by_token(base):
    import torch

    model, tokenizer = base
    prompts, ends = zip(*(encode(tokenizer, prompt, "") for prompt in fixed_prompts()), strict=True)
    assert set(map(tuple, ends)) == {(tokenizer.eos_token_id,)}
    assert len(set(map(len, prompts))) > 1
    for prompt_ids, answer_ids in zip(prompts, greedy(model, prompts), strict=True):
        assert tokenizer.eos_token_id not in answer_ids[:-1]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt_ids, *answer_ids]])).logits[0]
        best = torch.log_softmax(logits, dim=-1).max(dim=-1).values[len(prompt_ids) - 1 : -1]
        found = token_logprobs(model, prompt_ids, answer_ids)
        assert found == pytest.approx(best.tolist(), abs=1e-3)


def test_sampled_answers_are_a_function_of_the_seed(base):
    prompts = fixed_prompts()[:3]
    first, again, fresh = (
        sample(*base, prompts, temperature=0.7, seed=seed, batch=2) for seed in (0, 0, 1)
    )
    assert len(first) == 3
    assert first == again
    assert first != fresh
