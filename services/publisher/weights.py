"""The weights of a checkpoint as a folder that transformers loads, in the base model's own precision."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from shared.errors import SwarmError

transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]

LICENCES = ("LICENSE*", "LICENCE*", "NOTICE*")


def write_model(source: Path, tensors: Path, sha256: str, out: Path) -> str:
    """Write safetensors, config, generation config and tokenizer; the weights' precision. Raises SwarmError, OSError.

    `source` is the base model's folder; `tensors` holds `model.<parameter>` for each of its parameters, and has this
    sha256 ("": it is not known). One tensor at a time, so that a large model does not fit twice.
    """
    with tensors.open("rb") as file:
        if sha256 not in ("", digest := hashlib.file_digest(file, "sha256").hexdigest()):
            raise SwarmError(f"the checkpoint is damaged: it is {digest}, not {sha256}", "wait for the next one")
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
        with safe_open(tensors, framework="pt") as file, torch.no_grad():
            for name, weight in model.named_parameters():
                weight.copy_(file.get_tensor(f"model.{name}"))
        model.save_pretrained(out)
        AutoTokenizer.from_pretrained(source).save_pretrained(out)
    except (SafetensorError, ValueError, RuntimeError) as error:
        cause = f"the checkpoint is not one of the model in {source}: {str(error).strip().splitlines()[0].rstrip('.')}"
        raise SwarmError(cause, "see its origin.json") from error
    for pattern in LICENCES:
        for path in source.glob(pattern):
            shutil.copyfile(path, out / path.name)
    for path in out.iterdir():
        path.chmod(0o644)  # safetensors are written 0600
    return str(model.dtype).removeprefix("torch.")
