"""The model card: facts in, Markdown with the hub's metadata out. Pure.

Facts --> metadata (ModelCardData, model-index) --+
      --> sections.py, running.py ----------------+--> README.md, read back by the hub's own parser
"""

from __future__ import annotations

from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from services.publisher import running, sections
from services.publisher.evaluation import ALL, Estimate, Evaluation
from services.publisher.facts import Facts
from services.publisher.names import TAGS, short
from shared.names import name_of

HUB_SETS = {"gsm8k": "openai/gsm8k"}  # sets of questions that the hub has, too, by ours
PARTS = (
    sections.introduction,
    sections.evaluation,
    sections.training,
    sections.provenance,
    sections.hardware,
    running.how_to_run,
    sections.use,
    sections.licence,
    sections.citation,
)


def card(facts: Facts) -> str:
    """The README.md of a repository. Raises ValueError if the hub's own code cannot read it back."""
    body = "\n\n".join(part(facts).strip() for part in PARTS)
    text = f"---\n{metadata(facts).to_yaml()}\n---\n\n{body}\n"
    ModelCard(text)
    return text


def metadata(facts: Facts) -> ModelCardData:
    """What stands in front of the card, for the hub's search. What is not known is left out."""
    names = [task["name"] for task in facts.origin.data["datasets"]]
    kind: dict[str, Any] = {"base_model_relation": "merge" if facts.merged else "finetune"} if facts.base else {}
    who = [] if facts.merged else [f"I am {name_of(facts.peer)}"]
    return ModelCardData(
        license=facts.licence.id,
        license_name=facts.licence.name,
        license_link=facts.licence.link,
        library_name="transformers",
        pipeline_tag="text-generation",
        language=["en"],
        base_model=facts.base,
        datasets=[HUB_SETS[name] for name in names if name in HUB_SETS] or None,
        tags=[*TAGS, *who, "reasoning", *(["gguf"] if facts.gguf else [])],
        model_name=facts.repository.rpartition("/")[2] if facts.evaluation else None,
        eval_results=results(facts.evaluation) if facts.evaluation else None,
        **kind,
    )


def results(found: Evaluation) -> list[EvalResult]:
    """The model-index: one greedy answer's and k drawn answers' marks, for each set and for all."""
    listed: list[EvalResult] = []
    for name, line in found.after.items():
        config = "all sets" if name == ALL else name
        greedy = ("accuracy", "pass@1, one greedy answer", line.pass_at_1)
        drawn = ("mean_reward", f"mean reward of {found.samples} drawn answers", line.mean_at_k)
        for kind, title, one in (greedy, drawn):
            listed.append(_result(found, config, line.questions, kind, title, one))
    return listed


def _result(found: Evaluation, config: str, questions: int, kind: str, title: str, one: Estimate) -> EvalResult:
    return EvalResult(
        task_type="text-generation",
        task_name="Reasoning tasks with checkable answers",
        dataset_type="reasoning-gym",
        dataset_name=f"reasoning-gym, mix {short(found.mix)}, held-out questions",
        dataset_config=config,
        dataset_split="held-out",
        metric_type=kind,
        metric_name=title,
        metric_value=round(one.value, 4),
        metric_args={"low_95": round(one.low, 4), "high_95": round(one.high, 4), "questions": questions},
    )
