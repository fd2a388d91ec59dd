"""How to run a published model: the card's section of commands, and the Ollama Modelfile. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.publisher.facts import Facts, GgufFile
from services.publisher.tables import table

QUESTION = "Calculate 3 * 7."
SPLITS_OTHERWISE = (
    "**llama.cpp splits text into other tokens than this model's own tokenizer does**, so it may answer worse there "
    "than these figures say: they are for the right tokens."
)
SAMPLING = {"temperature": 0.6, "top_p": 0.95, "top_k": 20}  # of RL Swarm's models


def how_to_run(facts: Facts) -> str:
    """transformers, TGI, llama.cpp, Ollama: what this repository has files for."""
    return f"""## How to run it

The model was trained with this system prompt, and expects it:

```text
{facts.origin.system_prompt}
```

With transformers:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

name = "{facts.repository}"
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForCausalLM.from_pretrained(name)
chat = [
    {{"role": "system", "content": {facts.origin.system_prompt!r}}},
    {{"role": "user", "content": "{QUESTION}"}},
]
prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answer = model.generate(**prompt, max_new_tokens={facts.origin.game["max_new_tokens"]})
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :]))
```

With Text Generation Inference:

```sh
docker run --gpus all -p 8080:80 ghcr.io/huggingface/text-generation-inference --model-id {facts.repository}
```

{_llama(facts)}"""


def _llama(facts: Facts) -> str:
    if not facts.gguf:
        return "There are no files for llama.cpp and Ollama here: " + "; ".join(facts.no_gguf) + "."
    name, best = facts.repository, usual(facts.gguf)
    head = ["file", "size", "same tokens", "mean divergence, nats", "largest difference of logits"]
    rows = [
        [one.name, f"{one.bytes / 1e6:,.1f} MB", f"{one.agreement:.1%}", f"{one.divergence:.1e}", f"{one.largest:.3f}"]
        for one in facts.gguf
    ]
    alike = all(one.splits_alike for one in facts.gguf)
    warning = "" if alike else f"\n\n{SPLITS_OTHERWISE}"
    missing = "".join(f"\n\nNot here: {reason}." for reason in facts.no_gguf)
    return f"""With llama.cpp, and with Ollama:

```sh
llama-cli -hf {name} -hff {best.name} -sys '{facts.origin.system_prompt}'
ollama run hf.co/{name}:{best.kind}    # or, beside a copy of the files: ollama create mine -f Modelfile
```

Each file was loaded by llama.cpp and compared with the safetensors model before it was put here: the share of greedily
chosen tokens that are the same, and how far its next-token distribution is from the other one.

{table(head, rows)}{warning}{missing}"""


def modelfile(files: Sequence[GgufFile], system_prompt: str, template: str) -> str:
    """Ollama's description of the model, beside the GGUF files; `template`: of its chat, in Ollama's words."""
    told = "\n".join(f"PARAMETER {name} {value}" for name, value in SAMPLING.items())
    return f'FROM ./{usual(files).name}\nTEMPLATE """{template}"""\nSYSTEM """{system_prompt}"""\n{told}\n'


def usual(files: Sequence[GgufFile]) -> GgufFile:
    """The file that most would take: four bits, else the smallest there is."""
    return next((one for one in files if one.kind == "Q4_K_M"), min(files, key=lambda one: one.bytes))
