"""An adapter to pass on: small, without a path of this machine, and checked as others get it."""

import json
import re
from pathlib import Path
from shutil import copy
from typing import Any, NamedTuple

from cim_sim.config import UsageError
from cim_sim.files import whole_folder, write_whole
from finetune.adapter import PEFT_CONFIG, WEIGHTS, trainings, weights_digest, write_manifest
from finetune.dequantise import save_tokenizer
from finetune.inference import fixed_answers, logprobs_of, mean_difference
from finetune.learn import stage
from finetune.merge import Tuned, load_tuned, merge_adapter, require_mergeable
from finetune.roundtrip import check
from search.llm.model import ModelConfig, directory_digest
from search.record.adapter import (
    MANIFEST,
    MERGED,
    ROUND_TRIP,
    TRAINED_ON,
    AdapterManifest,
    Released,
    read_adapter,
    read_manifest,
    read_trained_on,
)


class Source(NamedTuple):
    """An adapter that may be released."""

    folder: Path
    manifest: AdapterManifest
    """As it will be passed on: paths from the working directory, all trainings before."""
    served: str
    """Digest of the model that passed the round trip."""


def releasable(adapter: Path, out: Path) -> Source:
    """Look whether an adapter may be released to `out`.

    Raises:
        UsageError: it is unfinished, was not merged or not served as it is now, names paths of this
            machine alone, or `out` holds something else.
    """
    manifest = read_manifest(adapter)
    if not (adapter / MERGED / "config.json").is_file():
        raise UsageError(
            f"{adapter / MERGED} holds no model; make it: python -m finetune merge "
            f"--adapter {adapter}"
        )
    served = _served(adapter)
    if out.is_dir() and any(out.iterdir()) and not _is_release(out):
        raise UsageError(f"{out} is not empty and holds no release; give another --out")
    manifest = manifest.model_copy(update={"earlier": trainings(adapter)[:-1]})
    return Source(adapter, _portable(adapter, manifest), served)


def release(source: Source, out: Path, model: ModelConfig, base: ModelConfig) -> dict[str, Any]:
    """Write a release, merge it and check it as a user's will be, and return what a summary says.

    Args:
        source: the adapter.
        out: directory of the release, which is replaced.
        model: how the merged release is served; its path is replaced too.
        base: how the base is served.

    Raises:
        UsageError: the adapter's base is another, or the model's path is not one to merge into.
        Stopped: the merged release answers differently.
    """
    if model.path is None or model.adapter is not None:
        raise UsageError(f"model {model.name}: a release is served merged: give path, no adapter")
    require_mergeable(model.path)
    seconds: dict[str, float] = {}
    with stage("write", seconds):
        rounding = write_release(source, out)
    with stage("merge", seconds):
        difference = merge_adapter(out, model.path)
    with stage("round trip", seconds):
        result = check(out, model, base)
        copy(model.path / ROUND_TRIP, out / ROUND_TRIP)
    for fault in result.faults:
        print(f"round trip: {fault}")
    return {
        "released": str(out),
        "megabytes": round(sum(file.stat().st_size for file in out.iterdir()) / 1e6, 2),
        "digest": directory_digest(out),
        "rounding_nats": rounding,
        "merge_difference": round(difference, 5),
        "roundtrip_passed": result.passed,
        "seconds": seconds,
    }


def write_release(source: Source, out: Path) -> float:
    """Write all but the round trip, and return what rounding the weights does, nats per token."""
    tuned = load_tuned(source.folder)
    nats = round(_rounding(tuned), 5)
    with whole_folder(out) as part:
        _write_weights(source.folder, part)
        _write_peft_config(source, part)
        _write_tasks(source, part)
        _write_tokenizer(tuned, part)
        released = Released(
            weights=weights_digest(part), rounded_from=source.served, rounding_nats=nats
        )
        write_manifest(part, source.manifest.model_copy(update={"released": released}))
    return nats


def _served(adapter: Path) -> str:
    """Return the digest of what passed the round trip."""
    trip = read_adapter(adapter).round_trip
    again = f"python -m finetune roundtrip --adapter {adapter}"
    if trip is None:
        raise UsageError(
            f"{adapter / ROUND_TRIP} is missing, so nobody knows whether vLLM serves what was "
            f"trained; make it: {again}"
        )
    if not trip.passed:
        raise UsageError(
            f"{adapter}: its round trip failed ({'; '.join(trip.faults)}); mend that, then: {again}"
        )
    present = [directory_digest(folder) for folder in (adapter / MERGED, adapter)]
    if trip.served not in present:
        raise UsageError(
            f"{adapter}: its round trip was made with weights {trip.served}, but merged now are "
            f"{present[0]}; make it anew: {again}"
        )
    return trip.served


def _is_release(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and read_manifest(folder).released is not None


def _portable(adapter: Path, manifest: AdapterManifest) -> AdapterManifest:
    """Return a manifest with paths from the working directory; refuse those that lie elsewhere."""
    text = manifest.model_dump_json().replace(f'"{Path.cwd()}/', '"')
    elsewhere = sorted(set(re.findall(r'"(/[^"]*)"', text)))
    if elsewhere:
        raise UsageError(
            f"{adapter}: its manifest names {', '.join(elsewhere)}, which no other machine has; "
            "type this in a folder above them, or train with names of the hub and paths below"
        )
    return AdapterManifest.model_validate_json(text)


def _rounding(tuned: Tuned) -> float:
    """Round the adapter's weights where they are loaded, and return what it does to the answers."""
    import torch

    answers = fixed_answers(tuned.model, tuned.tokenizer, tuned.renderer)
    before = logprobs_of(tuned.model, answers)
    for name, weight in tuned.model.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.to(torch.bfloat16).to(weight.dtype)
    return mean_difference(before, logprobs_of(tuned.model, answers))


def _write_weights(adapter: Path, part: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    weights = {name: w.to(torch.bfloat16) for name, w in load_file(adapter / WEIGHTS).items()}
    save_file(weights, part / WEIGHTS, metadata={"format": "pt"})


def _write_peft_config(source: Source, part: Path) -> None:
    """Copy PEFT's configuration, with the base as the manifest names it."""
    config = json.loads((source.folder / PEFT_CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = source.manifest.base
    write_whole(part / PEFT_CONFIG, json.dumps(config, indent=2, sort_keys=True) + "\n")


def _write_tasks(source: Source, part: Path) -> None:
    """Write what it was trained on, without defaults: less than half the size, and read alike."""
    tasks = read_trained_on(source.folder)
    lines = [task.model_dump_json(exclude_defaults=True) + "\n" for task in tasks]
    write_whole(part / TRAINED_ON, "".join(lines))


def _write_tokenizer(tuned: Tuned, part: Path) -> None:
    """Write the chat template, and the tokenizer only where it is not the base's."""
    from transformers import AutoTokenizer

    if _facts(tuned.tokenizer) != _facts(AutoTokenizer.from_pretrained(tuned.base)):
        save_tokenizer(tuned.tokenizer, part)
    write_whole(part / "chat_template.jinja", str(tuned.tokenizer.chat_template))


def _facts(tokenizer: Any) -> tuple[Any, ...]:
    """Return what decides how a tokenizer splits and frames a text."""
    whole = tokenizer.backend_tokenizer.to_str()
    return whole, tokenizer.special_tokens_map, tokenizer.chat_template
