"""What every model of the swarm is told before a question, and the chat it is told in."""

# One sentence: the embedded model's tokenizer holds it as a single token, so a change here means `make model`.
SYSTEM_PROMPT = (
    "Think step by step between <think> and </think>, then give the final answer between <answer> and </answer>."
)


def chat(question: str) -> list[dict[str, str]]:
    """Return the messages to feed to a tokenizer's chat template for one question."""
    return [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": question}]
