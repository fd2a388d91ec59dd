"""What a round comes to in numbers: the names under which they are kept, plotted and exported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from services.trainer.tracking.tracker import Point

if TYPE_CHECKING:  # who only reads numbers needs no torch
    from services.trainer.learning.learner import Update
    from services.trainer.learning.rollout import Scored
    from shared.messages import Trained

TOTAL, CORRECTNESS = "reward/total", "reward/correctness"  # means over the round's own completions
LOSS = "loss"  # nats
LENGTH, FINISHED = "completion/length", "completion/finished"  # tokens; share that the model ended by itself
GRADIENT, CLIPPED, DIVERGENCE = "update/gradient_norm", "update/clipped", "update/divergence"
CHANGED = "update/changed"  # share of the weights
LOCAL, EXTERNAL = "groups/local", "groups/external"  # learnt from
SPEED, DURATION = "speed/tokens_per_s", "speed/round_s"


def point(event: Trained, local: Sequence[Scored], update: Update) -> Point:
    """A round that is done. What is not a finite number is left out, and so is what there was none of."""
    completions = [completion for group in local for completion in group.completions]
    values: dict[str, float | None] = {
        TOTAL: event.mean_reward if local else None,
        CORRECTNESS: _mean([value for group in local for value in group.correct]),
        LOSS: event.loss,
        LENGTH: event.completion_tokens / len(completions) if completions else None,
        FINISHED: _mean([float(completion.finished) for completion in completions]),
        GRADIENT: event.gradient_norm,
        CLIPPED: update.clipped,
        DIVERGENCE: update.kl,
        CHANGED: update.changed,
        LOCAL: event.local_groups,
        EXTERNAL: event.external_groups,
        SPEED: event.completion_tokens / max(event.seconds.get("generate", 0.0), 1e-3),
        DURATION: sum(event.seconds.values()),
    }
    told = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
    return Point(round=event.round, stage=event.stage, at=event.at, values=told)


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
