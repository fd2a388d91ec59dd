"""Files for llama.cpp, by llama.cpp itself: random Qwen2.5, Qwen3 and Llama shapes, and the embedded model answering.

`make test-gguf`: llama-cpp-python is compiled once, which takes minutes, so this is no part of `make test`.
"""

import asyncio
import json
import shutil

import pytest
import torch

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: make test-gguf")

from gguf import GGUFReader
from llama_cpp import Llama
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from services.cli.publish import run_export
from services.local.folder import Plan, RunFolder
from services.publisher.llama import export as module
from services.publisher.llama.export import compare, export, run
from services.publisher.llama.reference import QUESTIONS, prompt_text, references
from services.publisher.llama.tolerance import KINDS, TOLERANCES, Tolerance
from services.publisher.llama.write import write_f16
from services.trainer.model.choice import EMBEDDED
from services.trainer.model.prompt import SYSTEM_PROMPT
from tests.publisher_kit import train, trainer_of

torch.set_num_threads(1)  # of so small a model, more threads wait for each other
SIZES = {
    "vocab_size": 1034, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 1024, "initializer_range": 0.06, "eos_token_id": 1000,
}  # fmt: skip
ROPE = {"rope_type": "default", "rope_theta": 5e5}
SHAPES = {
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, tie_word_embeddings=True)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=64, tie_word_embeddings=False)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=ROPE)),
}


def folder_of(kind, place):
    """A model of random weights, as transformers writes it, with the embedded model's tokenizer."""
    torch.manual_seed(7)
    model = SHAPES[kind]().to(torch.bfloat16)
    for name, weight in model.named_parameters():
        if name.endswith("bias") or "norm" in name:  # ones and zeros would hide what is left out
            torch.nn.init.normal_(weight, mean=float("norm" in name), std=0.2)
    model.save_pretrained(place / kind)
    AutoTokenizer.from_pretrained(EMBEDDED).save_pretrained(place / kind)
    return place / kind


@pytest.fixture(scope="module", params=sorted(SHAPES))
def exported(request, tmp_path_factory):
    """A random model's folder with its files for llama.cpp."""
    folder = folder_of(request.param, tmp_path_factory.mktemp("shapes"))
    files, reasons = export(folder, request.param, SYSTEM_PROMPT)
    return request.param, folder, files, reasons


def test_every_shape_is_the_same_model_in_llama_cpp(exported):
    kind, folder, files, reasons = exported
    print(kind, *files, *reasons, sep="\n")
    found = {one.kind: one for one in files}
    assert "F16" in found, reasons
    assert found["F16"].splits_alike
    assert found["F16"].agreement >= TOLERANCES["F16"].agreement
    assert {path.name for path in folder.glob("*.gguf")} == {one.name for one in files}
    for one in files:
        assert one.divergence <= TOLERANCES[one.kind].divergence
        assert (folder / one.name).stat().st_size == one.bytes
    assert len(files) + len(reasons) == len(KINDS), "what is not there has its reason"
    assert not list(folder.parent.glob(".gguf-*"))


def test_a_model_that_has_learnt_something_is_published_in_all_kinds(tmp_path):
    """Random weights are nobody's model: their likeliest token is so by a hair, and five bits make it another."""
    folder = folder_of("qwen3", tmp_path)
    model, tokenizer = Qwen3ForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    texts = [f"{prompt_text(tokenizer, SYSTEM_PROMPT, one)}<answer>{n}</answer>" for n, one in enumerate(QUESTIONS)]
    rows = [torch.tensor([[*tokenizer(text).input_ids, tokenizer.eos_token_id]]) for text in texts]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(120):
        optimizer.zero_grad()
        model(input_ids=rows[step % len(rows)], labels=rows[step % len(rows)]).loss.backward()
        optimizer.step()
    model.to(torch.bfloat16).save_pretrained(folder)
    files, reasons = export(folder, "learnt", SYSTEM_PROMPT)
    print(*files, *reasons, sep="\n")
    assert ([one.kind for one in files], reasons) == (list(KINDS), [])
    sizes = [one.bytes for one in files]
    assert sizes == sorted(sizes, reverse=True) and sizes[2] < 0.4 * sizes[0]


def test_five_bits_keep_llama_cpps_mixed_strategy(exported, tmp_path):
    kind, folder, _, _ = exported
    write_f16(folder, tmp_path / "f16.gguf", kind)
    run("quantize", tmp_path / "f16.gguf", tmp_path / "q5.gguf", "Q5_K_M")
    types = {one.name: one.tensor_type.name for one in GGUFReader(tmp_path / "q5.gguf").tensors}
    embedding = "token_embd.weight" if "output.weight" not in types else "output.weight"
    assert types[embedding] == "Q6_K"
    assert {types[f"blk.0.attn_{part}.weight"] for part in ("q", "k", "output")} == {"Q5_K"}
    assert {types[f"blk.{layer}.ffn_{part}.weight"] for layer in (0, 1) for part in ("up", "gate", "down")} <= {
        "Q5_K",
        "Q6_K",
    }
    assert all(name == "F32" for tensor, name in types.items() if "norm" in tensor or "bias" in tensor)


def test_a_file_that_is_not_near_enough_is_not_published(exported, tmp_path, monkeypatch):
    kind, folder, _, _ = exported
    copied = shutil.copytree(folder, tmp_path / kind, ignore=shutil.ignore_patterns("*.gguf"))
    strict = {name: Tolerance(2.0, 0.0) if name != "F16" else one for name, one in TOLERANCES.items()}
    monkeypatch.setattr("services.publisher.llama.tolerance.TOLERANCES", strict)
    files, reasons = export(copied, kind, SYSTEM_PROMPT)
    assert [one.kind for one in files] == ["F16"]
    assert len(reasons) == 3 and all("are allowed" in reason for reason in reasons)
    assert [path.name for path in copied.glob("*.gguf")] == [f"{kind}-F16.gguf"]


def test_another_models_file_is_told_from_the_own(tmp_path):
    own, other = folder_of("qwen3", tmp_path), tmp_path / "other"
    write_f16(own, tmp_path / "own.gguf", "own")
    torch.manual_seed(8)
    SHAPES["qwen3"]().to(torch.bfloat16).save_pretrained(other)
    AutoTokenizer.from_pretrained(EMBEDDED).save_pretrained(other)
    found = compare(tmp_path / "own.gguf", references(other, SYSTEM_PROMPT))
    assert found.fault("Q3_K_M") is not None


def test_what_llama_cpp_cannot_load_ends_only_its_own_process(tmp_path):
    folder = folder_of("qwen2", tmp_path)
    write_f16(folder, tmp_path / "own.gguf", "own")
    whole = (tmp_path / "own.gguf").read_bytes()
    (tmp_path / "own.gguf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(module.SwarmError, match=r"llama\.cpp"):
        compare(tmp_path / "own.gguf", references(folder, SYSTEM_PROMPT)[:1])


def test_without_llama_cpp_nothing_is_made_and_the_reason_says_how(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    files, reasons = export(tmp_path, "x", SYSTEM_PROMPT)
    assert files == [] and "pip install 'rlswarm[gguf]'" in reasons[0]


@pytest.mark.timeout(240)
def test_the_embedded_model_answers_in_llama_cpp_as_it_does_here(tmp_path):
    folder = RunFolder(tmp_path / "first")
    folder.create()
    ports = {name: 1 for name in ("judge", "identity", "signer", "p2p", "chain")}
    told = {"name": "first", "peers": 1, "rounds": 1, "model": None, "own_redis": False, "own_chain": True}
    folder.write_plan(Plan(**told, ports=ports, started_at=0.0))
    asyncio.run(train(trainer_of(folder.state), 2))
    assert run_export(folder, None, tmp_path / "gguf") == 0
    names = {path.name for path in (tmp_path / "gguf").iterdir()}
    assert names == {"Modelfile", *(f"rlswarm-embedded-{kind}.gguf" for kind in KINDS)}
    model_file = (tmp_path / "gguf" / "Modelfile").read_text()
    assert (
        "<|im_start|>system\n{{ .System }}<|im_end|>" in model_file and "FROM ./rlswarm-embedded-Q4_K_M" in model_file
    )
    chat = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": "Calculate 3 * 7."}]
    for kind in KINDS:
        llama = Llama(str(tmp_path / "gguf" / f"rlswarm-embedded-{kind}.gguf"), n_ctx=256, n_threads=1, verbose=False)
        said = llama.create_chat_completion(chat, temperature=0.0, max_tokens=40)["choices"][0]
        print(kind, json.dumps(said["message"]["content"]))
        assert said["finish_reason"] == "stop"
        assert "<answer>" in said["message"]["content"] and "</answer>" in said["message"]["content"]


def test_the_embedded_tokenizer_is_the_same_in_llama_cpp(tmp_path):
    write_f16(EMBEDDED, tmp_path / "f16.gguf", "embedded")
    llama, here = (
        Llama(str(tmp_path / "f16.gguf"), n_ctx=64, verbose=False, vocab_only=True),
        AutoTokenizer.from_pretrained(EMBEDDED),
    )
    texts = [
        "Calculate 38 * 7.", "a  b\n\n  c\t\r\n", "I'll say: don't! 'S", "12345678", "größe, naïve, 東京, 🙂",
        f"<|im_start|>user\n{SYSTEM_PROMPT}<|im_end|>\n<think>Let me work it out step by step.</think>",
    ]  # fmt: skip
    for text in texts:
        assert llama.tokenize(text.encode(), add_bos=False, special=True) == here(text).input_ids, text
