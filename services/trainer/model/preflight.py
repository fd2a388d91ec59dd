"""Before the first round: how much this machine can do with a model of the hub, measured.

    memory free now, model's shape, a small backward pass --> fitting.plan --> length, size of a pass, questions
    a few sampled tokens -------------------------------------------------> pace of the first round

What the user set stays as it is, but for more questions than the memory holds. The embedded model fits everywhere.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

import torch

from services.trainer.forward.decoder import Decoder
from services.trainer.forward.likelihood import log_probs
from services.trainer.forward.sampling import sample
from services.trainer.learning.batches import Batch
from services.trainer.model.fitting import PROMPT_TOKENS, Plan, Wish, plan
from services.trainer.model.footprint import BFLOAT16, FLOAT32, Shape, gib, shape_of, update_footprint
from services.trainer.model.hardware import Memory, measure
from services.trainer.model.models import AUTO, BUILT_IN
from services.trainer.model.out_of_memory import release
from services.trainer.model.policy import Policy
from services.trainer.pacing import Lap, Pace
from services.trainer.settings import TrainerSettings
from shared.host import resident_bytes
from shared.runtime import Context

log = logging.getLogger(__name__)

FEW, MANY = 16, 80  # tokens of the probe's two completions
MOST_FACTOR = 2.0  # a probe that finds more measured something else
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def fit(settings: TrainerSettings, policy: Policy, context: Context, memory: Memory | None = None) -> TrainerSettings:
    """The settings as far as this machine can follow them; those of the embedded model as they are.

    memory: None: as it is measured now.
    """
    if is_embedded(policy):
        return settings
    shape = shape_of(policy.model.config.get_text_config(), policy.size)
    shape = replace(shape, packed=Decoder.of(policy.model) is not None)
    memory, width = memory or measure(policy.device), BFLOAT16 if policy.reduced else FLOAT32
    factor = probe(policy, shape, width, recompute=settings.learner.recompute)
    base = max(0, resident_bytes() - shape.parameters * FLOAT32) if memory.kind == "cpu" else 0
    found = plan(shape, memory.free, base, wish_of(settings), width=width, factor=factor)
    tell(found, settings, memory, width, factor, context)
    game = settings.game.model_copy(update={"max_new_tokens": found.max_new_tokens})
    sizes = {
        "micro_groups": found.micro_groups,
        "micro_completions": found.micro_completions,
        "recompute": found.recompute,
    }
    learner = settings.learner.model_copy(update=sizes)
    return settings.model_copy(update={"game": game, "learner": learner, "questions": found.questions})


def is_embedded(policy: Policy) -> bool:
    """Small enough for every machine."""
    return policy.name in (AUTO, BUILT_IN)


def wish_of(settings: TrainerSettings) -> Wish:
    """What is wanted, and what of it was left open."""
    game, learner = settings.game, settings.learner
    return Wish(
        max_new_tokens=game.max_new_tokens,
        completions=game.completions,
        groups=max(1, learner.local_groups + learner.external_groups),
        questions=settings.questions,
        micro_groups=learner.micro_groups,
        shorter="game.max_new_tokens" in settings.left_open,
        smaller="learner.micro_groups" in settings.left_open,
        recompute=None if "learner.recompute" in settings.left_open else learner.recompute,
    )


def tell(found: Plan, settings: TrainerSettings, memory: Memory, width: int, factor: float, context: Context) -> None:
    """One line with the numbers, and the facts of health; degraded where it is too little."""
    at_once = found.micro_completions or (found.micro_groups or "all")
    what = "completions" if found.micro_completions else "groups"
    dtype = "bfloat16" if width < FLOAT32 else "float32"
    ways = "layers computed again in the backward pass, " if found.recompute else ""
    line = (
        f"{gib(memory.free)} of {gib(memory.limit)} {memory.kind} memory are free and an update takes "
        f"{gib(found.needs)} (a backward pass {factor:.2f} times what is calculated): "
        f"answers of {found.max_new_tokens} tokens, {at_once} {what} at once, {found.questions} questions a round, "
        f"{ways}{dtype}"
    )
    log.info("%s", line)
    context.health.facts.update(max_new_tokens=found.max_new_tokens, at_once=f"{at_once} {what}", arithmetic=dtype)
    if found.fits:
        context.health.heal("memory")
    else:
        context.health.degrade("memory", f"{line}; that is the least, and too much: choose a smaller MODEL_NAME")


def probe(policy: Policy, shape: Shape, width: int, *, recompute: bool) -> float:
    """How many times more a backward pass takes than is calculated, 1 to MOST_FACTOR; 1 where no peak is told."""
    few, many = (_peak(policy, tokens, recompute=recompute) for tokens in (FEW, MANY))
    if few is None or many is None:
        return 1.0
    less, more = (
        update_footprint(shape, 1, tokens, prompt_tokens=PROMPT_TOKENS, width=width, recompute=recompute).activations
        for tokens in (FEW, MANY)
    )
    return min(MOST_FACTOR, max(1.0, (many - few) / (more - less)))


def first_pace(policy: Policy, settings: TrainerSettings) -> Pace:
    """What a round will about take, from a few tokens; answers that end early make it quicker.

    Nothing of the embedded model: it is quick.
    """
    if is_embedded(policy):
        return Pace()
    tokens = min(8, settings.game.max_new_tokens)
    generator = torch.Generator(policy.device).manual_seed(0)
    began = time.perf_counter()
    short = settings.game.model_copy(update={"max_new_tokens": tokens})
    sample(policy, [policy.prompt("1 + 1")], short, generator)
    question_s = (time.perf_counter() - began) / tokens * settings.game.max_new_tokens
    began = time.perf_counter()
    _backward(policy, MANY, recompute=settings.learner.recompute)
    completion_s = (time.perf_counter() - began) * settings.game.max_new_tokens / (MANY + PROMPT_TOKENS)
    return Pace(laps=(Lap(question_s=question_s, group_s=settings.game.completions * completion_s, save_s=0.0),))


def _peak(policy: Policy, tokens: int, *, recompute: bool) -> int | None:
    """The most bytes held in a backward pass of one completion of so many tokens; None where nobody tells."""
    release()
    if policy.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(policy.device)
        _backward(policy, tokens, recompute=recompute)
        return torch.cuda.max_memory_allocated(policy.device)
    try:
        CLEAR.write_text("5")  # the peak begins anew
        _backward(policy, tokens, recompute=recompute)
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # no Linux, or no such right
        return None


def _backward(policy: Policy, tokens: int, *, recompute: bool) -> None:
    """Forward and backward of one completion; the gradients are dropped again."""
    end = policy.end_ids[0]
    batch = Batch(
        prompts=[[end] * PROMPT_TOKENS], completions=[[end] * tokens], owner=[0], advantages=[1.0], old=[None]
    )
    policy.model.eval()
    found, _ = log_probs(policy, policy.model, batch, 1.0, recompute=recompute)
    found.sum().backward()  # type: ignore[no-untyped-call]
    policy.model.zero_grad(set_to_none=True)
