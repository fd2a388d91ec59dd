"""A byte-level BPE of about a thousand tokens that splits text exactly as Qwen2 does.

The same split is what llama.cpp calls the pre-tokenizer `qwen2`, so a GGUF of the model tokenizes as it does here.
"""

import json
import re
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import Qwen2Tokenizer

from services.trainer.warmup.phrases import END, PAD, PHRASES, START

VOCABULARY = 1000  # bytes and merges, before the added tokens
TOKENS: dict[str, Any] = {"unk_token": None, "eos_token": END, "pad_token": PAD}
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def build_tokenizer(texts: list[str]) -> Qwen2Tokenizer:
    """Learn the merges from `texts` and add the phrases; same texts, same tokenizer."""
    learner = Tokenizer(BPE())
    qwen = Qwen2Tokenizer()
    learner.normalizer, learner.pre_tokenizer = qwen.backend_tokenizer.normalizer, qwen.backend_tokenizer.pre_tokenizer
    trainer = BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=ByteLevel.alphabet(), show_progress=False)
    learner.train_from_iterator(_without_phrases(texts), trainer)
    bpe = json.loads(learner.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=bpe["vocab"],
        merges=[tuple(pair) for pair in bpe["merges"]],  # type: ignore[misc]  # annotated as text, takes pairs
        extra_special_tokens=[START],
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
        **TOKENS,
    )
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in PHRASES])
    return tokenizer


def _without_phrases(texts: list[str]) -> list[str]:
    """Cut the added tokens out: a merge inside of one would never be used."""
    added = re.compile("|".join(re.escape(text) for text in sorted([PAD, START, END, *PHRASES], key=len, reverse=True)))
    roles = ["system", "user", "assistant"] * 1000  # each a single token
    return [part for text in texts for part in added.split(text) if part] + roles
