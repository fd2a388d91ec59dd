"""Writes a folder that transformers loads as one GGUF file: matrices in half precision, the rest in float32."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import torch
from safetensors import safe_open
from transformers import AutoTokenizer

from services.publisher.llama.shape import Shape, Unsupported, shape_of
from services.publisher.llama.vocabulary import Vocabulary, vocabulary_of


def write_f16(folder: Path, out: Path, name: str) -> None:
    """Write the file. Raises Unsupported, OSError."""
    shape = shape_of(json.loads((folder / "config.json").read_text()))
    vocabulary = vocabulary_of(json.loads((folder / "tokenizer.json").read_text()), shape.vocabulary)
    writer = gguf.GGUFWriter(out, shape.architecture)
    try:
        _tell(writer, shape, name)
        _tell_tokenizer(writer, vocabulary, AutoTokenizer.from_pretrained(folder))
        names = gguf.get_tensor_name_map(_architecture(shape), shape.block_count)
        for theirs, tensor in _tensors(folder):
            ours = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
            if ours is None:
                raise Unsupported(f"llama.cpp has no tensor like its {theirs}")
            writer.add_tensor(ours, _stored(_turned(shape, theirs, tensor)).numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _architecture(shape: Shape) -> gguf.MODEL_ARCH:
    return next(kind for kind, name in gguf.MODEL_ARCH_NAMES.items() if name == shape.architecture)


def _tell(writer: gguf.GGUFWriter, shape: Shape, name: str) -> None:
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.embedding_length)
    writer.add_block_count(shape.block_count)
    writer.add_feed_forward_length(shape.feed_forward_length)
    writer.add_head_count(shape.head_count)
    writer.add_head_count_kv(shape.head_count_kv)
    writer.add_key_length(shape.head_length)
    writer.add_value_length(shape.head_length)
    writer.add_rope_dimension_count(shape.head_length)
    writer.add_rope_freq_base(shape.rope_freq_base)
    writer.add_layer_norm_rms_eps(shape.rms_epsilon)
    writer.add_vocab_size(shape.vocabulary)


def _tell_tokenizer(writer: gguf.GGUFWriter, vocabulary: Vocabulary, tokenizer: Any) -> None:
    writer.add_tokenizer_model("gpt2")  # llama.cpp's word for a byte-level BPE
    writer.add_tokenizer_pre(vocabulary.rule)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.kinds))
    writer.add_token_merges(list(vocabulary.merges))
    marks = {"bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id, "pad": tokenizer.pad_token_id}
    for mark, number in marks.items():
        if number is not None:
            getattr(writer, f"add_{mark}_token_id")(number)
    first = tokenizer("a").input_ids[:1]
    writer.add_add_bos_token(tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id])
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no dict
                yield name, file.get_tensor(name).float()


def _turned(shape: Shape, name: str, tensor: torch.Tensor) -> torch.Tensor:
    """llama.cpp rotates a Llama's positions by pairs, transformers by halves: rows of queries and keys move."""
    heads = {"q_proj.weight": shape.head_count, "k_proj.weight": shape.head_count_kv}
    found = next((count for suffix, count in heads.items() if name.endswith(suffix)), None)
    if shape.architecture != "llama" or found is None:
        return tensor
    rows, columns = tensor.shape
    return tensor.reshape(found, 2, rows // found // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    """Half precision for matrices. Raises Unsupported where that has no room for a value."""
    if tensor.dim() < 2:
        return tensor.contiguous()
    half = tensor.to(torch.float16)
    if not bool(torch.isfinite(half).all()):
        raise Unsupported("it has weights beyond what half precision holds")
    return half.contiguous()
