"""The model and its tokenizer: any AutoModelForCausalLM, from the hub, from a folder, or the embedded one."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from services.trainer.model.choice import locate
from services.trainer.model.hardware import device_of
from services.trainer.model.light import AutoModelForCausalLM, AutoTokenizer, transformers_logging
from services.trainer.model.models import AUTO, BUILT_IN
from services.trainer.model.prompt import chat
from services.trainer.settings import PolicySettings
from shared.errors import SettingsError
from shared.messages import MAX_TEXT, Completion

SMALL = (
    50_000_000  # parameters below which one thread beats many: the threads wait for each other longer than they work
)

PROMPTS = 256  # remembered

transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


class Policy:
    """What is trained. Weights are float32; the arithmetic is bfloat16 where the device computes that faster.

    Such are GPUs from Ampere on, and processors with matrix units (AMX). Where a processor has no more than vector
    instructions for it, only sampling gains: it waits for the weights, and half of them are read in half the time. For
    a small model, to convert takes longer than to compute.
    """

    def __init__(self, settings: PolicySettings, *, trains: bool = True) -> None:
        """`trains`: it must fit with gradients and moments; else it only answers."""
        self.name = BUILT_IN if settings.model == AUTO else settings.model
        self.device = device_of(settings)
        self.source = locate(settings, trains=trains)
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(self.source)
            model = self._load(torch.float32)
        except (OSError, ValueError, StrictDataclassError) as error:
            cause = f"the model {settings.model!r} cannot be loaded: {str(error).strip().splitlines()[0].rstrip('.')}"
            raise SettingsError(cause, "set MODEL_NAME to a Hugging Face id, a folder, or `embedded`") from error
        self.model: Any = model.to(self.device)
        self.size = sum(parameter.numel() for parameter in self.model.parameters())
        if self.device.type == "cpu":
            torch.set_num_threads(settings.threads or (1 if self.size < SMALL else os.cpu_count() or 1))
        self.prompt = lru_cache(PROMPTS)(self._prompt)  # asked for when a question is answered, and to learn from it
        self.prompts_at_once = 0  # in sampling at most, found out by running out of memory; 0: not yet
        self.end_ids = _end_ids(self.model, self.tokenizer)
        self.pad_id = next(
            (i for i in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id) if i is not None), self.end_ids[0]
        )

    @property
    def device_name(self) -> str:
        """`cpu`, or what the GPU is called."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    def reference(self) -> Any:
        """The model as it was before any training, frozen: bfloat16 where the arithmetic is, else float32.

        It comes from where the policy came from, never from a checkpoint: the same one after every restart.
        """
        model = self._load(torch.bfloat16 if self.reduced else torch.float32)
        return model.to(self.device).eval().requires_grad_(False)

    def autocast(self, *, sampling: bool = False) -> torch.autocast:
        """The context of a forward pass; `sampling`: of one by a copy of the weights, where it is one in bfloat16."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.samples_reduced if sampling else self.reduced
        )

    @property
    def reduced(self) -> bool:
        """The arithmetic is bfloat16; weights stay float32, and a copy in bfloat16 is made of them for each pass."""
        return self._gains(amx=True)

    @property
    def samples_reduced(self) -> bool:
        """Sampling reads a copy of the weights in bfloat16."""
        return self._gains(amx=False)

    def _gains(self, *, amx: bool) -> bool:
        if self.device.type == "cuda":
            return bool(torch.cuda.is_bf16_supported())
        able = torch.cpu.get_capabilities()
        names = ("amx_bf16",) if amx else ("amx_bf16", "avx512_bf16")
        return self.size >= SMALL and any(bool(able.get(name)) for name in names)

    def _load(self, dtype: torch.dtype) -> Any:
        return AutoModelForCausalLM.from_pretrained(self.source, dtype=dtype)

    def _prompt(self, question: str) -> tuple[int, ...]:
        """Token ids of a question as this model wants to be asked; one without a chat template gets the plain text."""
        if self.tokenizer.chat_template is None:
            return tuple(self.tokenizer("\n\n".join([*(turn["content"] for turn in chat(question)), ""])).input_ids)
        return tuple(self.tokenizer.apply_chat_template(chat(question), add_generation_prompt=True, return_dict=False))

    def encode(self, completion: Completion) -> list[int]:
        """Token ids of a peer's completion, its end token restored; markers in its text stay text."""
        ids = self.tokenizer(completion.text, add_special_tokens=False, split_special_tokens=True).input_ids
        return [*ids, self.end_ids[0]] if completion.finished else list(ids)

    def decode(self, ids: list[int]) -> Completion:
        """A completion as sampled, as text."""
        finished = bool(ids) and ids[-1] in self.end_ids
        text = self.tokenizer.decode(ids[:-1] if finished else ids, skip_special_tokens=True)
        return Completion(text=text[:MAX_TEXT], finished=finished)

    def save(self, folder: Path) -> None:
        """Write the model as a folder that transformers loads. Raises OSError."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        for path in folder.glob("*.safetensors"):
            path.chmod(0o644)  # written 0600, and who publishes it may be another user


def _end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Tokens that end a completion; the first is the one put behind a peer's finished text."""
    told = model.generation_config.eos_token_id
    ids = [tokenizer.eos_token_id, *(told if isinstance(told, list) else [told])]
    known = list(dict.fromkeys(i for i in ids if i is not None))
    if not known:
        raise SettingsError("the model has no end-of-text token", "choose an instruction-tuned model")
    return known
