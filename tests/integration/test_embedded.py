"""The embedded model as it is delivered: real weights, real tokenizer."""

import re
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from tokenizers import Regex, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from services.trainer.model.prompt import SYSTEM_PROMPT, chat
from services.trainer.warmup.measure import measure
from services.trainer.warmup.phrases import CAREFUL, HASTY, PHRASES
from services.trainer.warmup.tasks import load_mix, score, shortcut

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "services" / "trainer" / "embedded"
QWEN2 = (  # the published regular expression of Qwen2's tokenizer, and of llama.cpp's `qwen2`
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TRICKY = [
    "I'll say it's 12345, don't you?",
    "a  b   c\t\td \n\n e\r\n  f",
    "-3.14*(x+1)//2 == ['59', '37']\n",
    "naïve café Ωmega 中文字符 日本 ½ ² ٣",
    "🙂🙂 ok…  ",
    " leading and trailing   ",
    "WE'RE HERE'S'T",
]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(EMBEDDED)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(EMBEDDED, dtype=torch.float32)


@pytest.mark.parametrize("text", TRICKY)
def test_text_is_split_as_qwen2_splits_it(tokenizer, text):
    split = pre_tokenizers.Split(Regex(QWEN2), behavior="isolated")
    expected = [span for _, span in split.pre_tokenize_str(text)]
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)
    assert [span for _, span in pieces] == expected
    ends = {span[1] for span in expected}
    offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    assert ends <= {end for _, end in offsets}  # no token reaches over a border


def test_digits_are_single_tokens_and_text_is_normalized_to_nfc(tokenizer):
    assert len(tokenizer.encode("2025")) == 4
    assert tokenizer.encode("e\u0301") == tokenizer.encode("\u00e9")


@pytest.mark.parametrize("text", [*TRICKY, SYSTEM_PROMPT, "<think>x</think><answer>-4.0</answer>"])
def test_text_survives_encoding_and_decoding(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text


def test_phrases_are_single_tokens_and_not_special(tokenizer):
    for phrase in PHRASES:
        (token,) = tokenizer.encode(phrase)
        assert token not in tokenizer.all_special_ids
        assert not tokenizer.added_tokens_decoder[token].special
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token == "<|endoftext|>"
    assert set(tokenizer.all_special_tokens) == {"<|im_start|>", "<|im_end|>", "<|endoftext|>"}


def test_chat_template_is_that_of_qwen_and_the_system_message_is_optional(tokenizer):
    text = tokenizer.apply_chat_template(chat("Calculate 1 + 1."), add_generation_prompt=True, tokenize=False)
    assert text == (
        f"<|im_start|>system\n{SYSTEM_PROMPT}<|im_end|>\n<|im_start|>user\nCalculate 1 + 1.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    bare = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert bare == "<|im_start|>user\nHi<|im_end|>\n"


def test_prompts_of_the_easy_mix_are_short(tokenizer):
    lengths = [
        len(tokenizer.apply_chat_template(chat(entry["question"]), add_generation_prompt=True, return_dict=False))
        for entry in load_mix("easy", 100, 1)
    ]
    assert sum(lengths) / len(lengths) < 35
    assert max(lengths) < 60


def test_model_is_a_small_tied_qwen3_of_the_tokenizers_size(model, tokenizer):
    assert model.config.architectures == ["Qwen3ForCausalLM"]
    assert 500_000 < model.num_parameters() < 1_000_000
    assert model.config.tie_word_embeddings
    assert model.config.vocab_size == len(tokenizer)
    assert sum(path.stat().st_size for path in EMBEDDED.iterdir()) < 2_500_000
    ends = GenerationConfig.from_pretrained(EMBEDDED)
    assert (ends.eos_token_id, ends.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)


def test_sampled_answers_have_the_right_form_and_leave_room_to_improve(model, tokenizer):
    result = measure(model, tokenizer, load_mix("easy", 300, 5), seed=1)
    assert 0.1 < result.reward < 0.35
    assert result.format > 0.9


def test_the_card_states_a_licence_and_measured_rewards():
    _, head, text = (EMBEDDED / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    front = OmegaConf.to_container(OmegaConf.create(head))
    assert front["license"] == "apache-2.0"
    assert front["library_name"] == "transformers"
    assert front["pipeline_tag"] == "text-generation"
    assert re.search(r"all five \| 0\.\d{3} \| 0\.\d{3}", text)


def test_phrases_do_not_hide_in_one_another_except_in_the_system_prompt():
    for phrase in [*CAREFUL, *HASTY]:
        assert not any(phrase in other for other in PHRASES if other != phrase)


@pytest.mark.parametrize(("name", "kinds"), [("easy", 5), ("six", 6), ("nine", 9)])
def test_every_mix_loads_and_has_its_kinds_of_task(name, kinds):
    mix = load_mix(name, 300, 3)
    assert len({entry["metadata"]["source_dataset"] for entry in mix}) == kinds


def test_right_answers_earn_everything_and_shortcuts_little():
    mix = load_mix("easy", 200, 3)
    assert all(score(mix, f"<answer>{entry['answer']}</answer>", entry) == 1.0 for entry in mix)
    lazy = [score(mix, f"<answer>{shortcut(entry['question'])}</answer>", entry) for entry in mix]
    assert sum(lazy) / len(lazy) < 0.2
    assert score(mix, "no tags", mix[0]) <= 0.01
