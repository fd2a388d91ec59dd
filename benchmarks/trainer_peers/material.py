"""What all engines work on: a model in a folder that old and new transformers load, and the questions of each round."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from services.trainer.games.tasks import Tasks
from services.trainer.model.choice import EMBEDDED
from services.trainer.settings import TrainerSettings
from shared.settings import load

SEED = 42
END, PAD, START, UNKNOWN = "<|im_end|>", "<|endoftext|>", "<|im_start|>", "<unk>"
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|> ' + message['role'] + ' ' + message['content'] + ' <|im_end|> ' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|> assistant ' }}{% endif %}"
)


def embedded(folder: Path) -> Path:
    """The embedded model, its tokenizer's settings without what only new versions of transformers read."""
    shutil.copytree(EMBEDDED, folder, dirs_exist_ok=True)
    path = folder / "tokenizer_config.json"
    told = json.loads(path.read_text())
    for key in ("extra_special_tokens", "backend"):
        told.pop(key, None)
    path.write_text(json.dumps(told))
    return folder


def qwen3_shape(folder: Path) -> Path:
    """Qwen3-0.6B's shape with random weights, and a tokenizer of as many words; made once (1.2 GB)."""
    done = folder / "tokenizer.json"  # what is written last
    if done.exists():
        return folder
    config = Qwen3Config(
        vocab_size=151_936,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=1,
        pad_token_id=2,
        bos_token_id=None,
        dtype="bfloat16",
    )
    torch.manual_seed(SEED)
    model: Any = Qwen3ForCausalLM(config).to(torch.bfloat16)  # type: ignore[arg-type]
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = 1, 2
    model.save_pretrained(folder)
    _for_old_transformers(folder / "config.json")
    words(config.vocab_size).save_pretrained(folder)
    told = json.loads((folder / "tokenizer_config.json").read_text())
    told.update(tokenizer_class="PreTrainedTokenizerFast", chat_template=TEMPLATE)
    (folder / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in told.items() if k != "backend"}))
    return folder


def words(size: int) -> PreTrainedTokenizerFast:
    """A tokenizer of so many words: what is decoded is encoded to the same ids again, so no engine gets more to do."""
    vocabulary = {UNKNOWN: 0, END: 1, PAD: 2, START: 3}
    vocabulary.update({f"w{number}": number for number in range(4, size)})
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, unk_token=UNKNOWN, eos_token=END, pad_token=PAD, chat_template=TEMPLATE
    )


def questions(path: Path, mix: str, per_round: int, rounds: int) -> Path:
    """The same questions for everybody."""
    settings = load("trainer", TrainerSettings, (f"data={mix}",))
    tasks = Tasks(settings.data, SEED)
    asked = [tasks.question(number).model_dump() for number in range(rounds * per_round)]
    path.write_text(json.dumps([asked[start : start + per_round] for start in range(0, len(asked), per_round)]))
    return path


def _for_old_transformers(path: Path) -> None:
    told = json.loads(path.read_text())
    told.update(rope_theta=told["rope_parameters"]["rope_theta"], torch_dtype="bfloat16")
    path.write_text(json.dumps(told))
