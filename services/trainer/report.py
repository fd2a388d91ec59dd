"""What a round leaves for people: events for the live page, metrics, and a line in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from random import Random
from statistics import fmean

from services.trainer import metrics
from services.trainer.learning.learner import Noop, Update
from services.trainer.learning.rollout import Scored
from services.trainer.stopwatch import Stopwatch
from services.trainer.tracking.tracker import Point
from shared.messages import MAX_HEARD, Attempt, Heard, Round, Sampled, Trained
from shared.names import name_of

log = logging.getLogger(__name__)

SHOWN = 4  # completions of a group
SHOWN_TEXT = 3_000  # characters of each text: a peer may send far more than anybody reads, and all of it is kept
DECIMALS = 4  # of a reward
NOTHING_LEARNT: dict[Noop, tuple[int, str]] = {
    "empty": (logging.INFO, "the weights stay as they are: there were no rollouts to learn from"),
    "flat": (logging.INFO, "the weights stay as they are: in no group did one completion do better than another"),
    "nonfinite": (logging.WARNING, "the weights stay as they are: loss or gradient were not finite numbers"),
}


def trained(
    peer: str,
    round_: Round,
    local: Sequence[Scored],
    external: Sequence[Scored],
    batch: Sequence[Scored],
    update: Update,
    watch: Stopwatch,
    parent: str,
    refused: Mapping[str, Mapping[str, int]],
) -> Trained:
    """What came of a round, on top of the checkpoint `parent`; `refused`: see `Game.refused`."""
    ours = sum(group.author == peer for group in batch)
    return Trained(
        at=time.time(),
        peer_id=peer,
        round=round_.number,
        stage=round_.stage,
        mean_reward=mean_reward(local),
        loss=update.loss,
        gradient_norm=update.gradient_norm,
        changed=update.changed,
        local_groups=ours,
        external_groups=len(batch) - ours,
        unsigned_groups=sum(not group.signed for group in batch),
        completion_tokens=sum(len(row) for group in local for row in group.tokens or ()),
        seconds=watch.seconds,
        seen_peers=len({group.source for group in external}),
        datasets=tuple(group.question.dataset for group in local),
        rewards=tuple(tuple(round(reward, DECIMALS) for reward in group.rewards) for group in local),
        heard=heard(external, refused),
        parent=parent,
    )


def tell(event: Trained, point: Point) -> None:
    """Count and log a round that is done."""
    _measure(event)
    for name, gauge in metrics.LAST.items():
        if name in point.values:
            gauge.set(point.values[name])
    log.info(
        "round %d: %s earned %.3f, learnt from %d own and %d of %d peers' groups, %.1f s",
        event.round, name_of(event.peer_id), event.mean_reward, event.local_groups, event.external_groups,
        event.seen_peers, sum(event.seconds.values()),
    )  # fmt: skip


def learnt(update: Update, micro_completions: int) -> None:
    """Count what an update did, or why it did nothing, which is said once."""
    metrics.CLIPPED.set(update.clipped)
    metrics.DIVERGENCE.set(update.kl)
    metrics.MICRO_BATCH.set(micro_completions)
    if update.changed is not None:
        metrics.CHANGED.set(update.changed)
    if update.noop is not None:
        metrics.NOOPS.labels(update.noop).inc()
        log.log(*NOTHING_LEARNT[update.noop])


def heard(external: Sequence[Scored], refused: Mapping[str, Mapping[str, int]]) -> dict[str, Heard]:
    """What each peer's rollouts were worth here, and what was left out of them, by reason.

    Of signed rollouts only: what anybody may have written says nothing of the peer it names. Of very many peers, those
    of whom anything was left out, then those from whom most could be learnt.
    """
    scored = _by_author([group for group in external if group.signed])
    found = {author: _heard(scored.get(author, ()), refused.get(author, {})) for author in {**refused, **scored}}
    first = sorted(found, key=lambda one: (not found[one].refused, -found[one].informative, -found[one].groups, one))
    return {author: found[author] for author in first[:MAX_HEARD]}


def samples(
    peer: str, round_: Round, local: Sequence[Scored], external: Sequence[Scored], random: Random
) -> list[Sampled]:
    """The round's first own group, and one of a peer. No choice by reward: it would flatter or blacken the model."""
    shown, others = list(local[:1]), _by_author(external)
    if others:
        shown.append(random.choice(others[random.choice(sorted(others))]))
    return [_sampled(peer, round_, group) for group in shown]


def origins(peer: str, batch: Sequence[Scored]) -> tuple[int, list[str], int]:
    """Whose groups a batch is made of: the peer's own, the authors of others' that are signed, those of nobody."""
    others = [group for group in batch if group.author != peer or not group.signed]
    signed = [group.author for group in others if group.signed]
    return len(batch) - len(others), signed, len(others) - len(signed)


def mean_reward(groups: Sequence[Scored]) -> float:
    """Mean over the groups; of none, 0."""
    return fmean(group.mean_reward for group in groups) if groups else 0.0


def _sampled(peer: str, round_: Round, group: Scored) -> Sampled:
    attempts = zip(group.completions[:SHOWN], group.rewards, strict=False)
    return Sampled(
        at=time.time(),
        peer_id=peer,
        author=group.author,
        signed=group.signed,
        round=round_.number,
        dataset=group.question.dataset,
        question=_cut(group.question.text),
        answer=None if group.question.answer is None else _cut(group.question.answer),
        attempts=tuple(Attempt(text=_cut(one.text), reward=round(reward, DECIMALS)) for one, reward in attempts),
    )


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_TEXT else text[: SHOWN_TEXT - 1] + "…"


def _heard(groups: Sequence[Scored], refused: Mapping[str, int]) -> Heard:
    return Heard(
        groups=len(groups),
        informative=sum(group.informative for group in groups),
        mean_reward=round(mean_reward(groups), DECIMALS),
        refused=dict(refused),
    )


def _by_author(groups: Sequence[Scored]) -> dict[str, list[Scored]]:
    found: dict[str, list[Scored]] = {}
    for group in groups:
        found.setdefault(group.author, []).append(group)
    return found


def _measure(event: Trained) -> None:
    metrics.ROUNDS_TRAINED.inc()
    metrics.ROUND_NUMBER.set(event.round)
    metrics.REWARD.set(event.mean_reward)
    metrics.LOSS.set(event.loss)
    metrics.GRADIENT_NORM.set(event.gradient_norm)
    metrics.TRAINED_GROUPS.labels("local").inc(event.local_groups)
    metrics.TRAINED_GROUPS.labels("external").inc(event.external_groups - event.unsigned_groups)
    metrics.TRAINED_GROUPS.labels("unsigned").inc(event.unsigned_groups)
    metrics.TOKENS.inc(event.completion_tokens)
