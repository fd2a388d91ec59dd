"""What llama.cpp is told of a tokenizer: tokenizer.json in, tokens, their kinds and merges out. Pure.

llama.cpp splits text by rules of its own, known by name, before it applies the merges. A tokenizer that splits by other
rules would be another tokenizer there, so only those are written whose rule is one that it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.publisher.llama.shape import Unsupported

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # llama.cpp's kinds of tokens

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
RULES = {
    _WORDS + r"\p{N}" + _REST: "qwen2",
    _WORDS + r"\p{N}{1,3}" + _REST: "llama-bpe",
}


@dataclass(frozen=True)
class Vocabulary:
    """A byte-level BPE tokenizer."""

    tokens: tuple[str, ...]  # by id
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    rule: str  # by which text is split, llama.cpp's name


def vocabulary_of(tokenizer: Mapping[str, Any], rows: int) -> Vocabulary:
    """What a tokenizer.json holds, filled up to as many tokens as the embedding has rows. Raises Unsupported."""
    model = tokenizer.get("model") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise Unsupported("its tokenizer is no byte-level BPE")
    tokens, kinds = [f"[PAD{number}]" for number in range(rows)], [UNUSED] * rows
    listed = [(text, number, NORMAL) for text, number in model["vocab"].items()]
    for token in tokenizer.get("added_tokens") or ():
        listed.append((token["content"], token["id"], CONTROL if token["special"] else USER_DEFINED))
    for text, number, kind in listed:
        if number >= rows:
            raise Unsupported(f"its token {text!r} has no row in the embedding")
        tokens[number], kinds[number] = text, kind
    merges = tuple(pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"])
    return Vocabulary(tuple(tokens), tuple(kinds), merges, rule_of(tokenizer))


def rule_of(tokenizer: Mapping[str, Any]) -> str:
    """llama.cpp's name of the rule by which text is split. Raises Unsupported."""
    splitter = tokenizer.get("pre_tokenizer") or {}
    parts = splitter.get("pretokenizers") or [splitter]
    patterns = [(part.get("pattern") or {}).get("Regex") for part in parts if part.get("type") == "Split"]
    if patterns == [] and [part.get("type") for part in parts] == ["ByteLevel"] and parts[0].get("use_regex"):
        return "gpt-2"
    if len(patterns) == 1 and patterns[0] in RULES and len(parts) == 2:
        return RULES[patterns[0]]
    raise Unsupported("its tokenizer splits text by a rule that llama.cpp does not have")
