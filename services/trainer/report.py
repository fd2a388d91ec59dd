"""What a round leaves for people: events for the live page, metrics, and a line in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from statistics import fmean

from services.trainer import metrics
from services.trainer.learner import Update
from services.trainer.rollout import Scored
from services.trainer.stopwatch import Stopwatch
from shared.messages import Round, Sampled, Trained
from shared.names import name_of

log = logging.getLogger(__name__)


def trained(
    peer: str,
    round_: Round,
    local: Sequence[Scored],
    external: Sequence[Scored],
    batch: Sequence[Scored],
    update: Update,
    watch: Stopwatch,
    parent: str,
) -> Trained:
    """What came of a round, on top of the checkpoint `parent`."""
    ours = sum(group.author == peer for group in batch)
    return Trained(
        at=time.time(),
        peer_id=peer,
        round=round_.number,
        stage=round_.stage,
        mean_reward=fmean(group.mean_reward for group in local),
        loss=update.loss,
        gradient_norm=update.gradient_norm,
        local_groups=ours,
        external_groups=len(batch) - ours,
        completion_tokens=sum(len(row) for group in local for row in group.tokens or ()),
        seconds=watch.seconds,
        seen_peers=len({group.author for group in external}),
        parent=parent,
    )


def tell(event: Trained) -> None:
    """Count and log a round that is done."""
    _measure(event)
    log.info(
        "round %d: %s earned %.3f, learnt from %d own and %d of %d peers' groups, %.1f s",
        event.round, name_of(event.peer_id), event.mean_reward, event.local_groups, event.external_groups,
        event.seen_peers, sum(event.seconds.values()),
    )  # fmt: skip


def sample_of(peer: str, round_: Round, local: Sequence[Scored]) -> Sampled:
    """The round's first rollout, good or bad: a choice by reward would flatter or blacken the model."""
    group = local[0]
    reward, completion = group.rewards[0], group.completions[0]
    return Sampled(
        at=time.time(),
        peer_id=peer,
        round=round_.number,
        dataset=group.question.dataset,
        question=group.question.text,
        answer=group.question.answer,
        completion=completion.text,
        reward=reward,
    )


def _measure(event: Trained) -> None:
    metrics.ROUNDS_TRAINED.inc()
    metrics.ROUND_NUMBER.set(event.round)
    metrics.REWARD.set(event.mean_reward)
    metrics.LOSS.set(event.loss)
    metrics.GRADIENT_NORM.set(event.gradient_norm)
    metrics.TRAINED_GROUPS.labels("local").inc(event.local_groups)
    metrics.TRAINED_GROUPS.labels("external").inc(event.external_groups)
    metrics.TOKENS.inc(event.completion_tokens)
