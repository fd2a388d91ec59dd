"""Rollouts to read: what the models were asked, what they wrote, what it earned. All of it is strangers' text."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import islice
from typing import Any

from services.identity.shown.texts import label, plain
from shared.messages import Sampled
from shared.names import name_of

Section = Any  # JSON-able

SHOWN = 24  # groups
ATTEMPTS = 4  # completions of a group


def rollouts(samples: Iterable[Sampled], shown: int = SHOWN) -> Section:
    """The latest ones first."""
    return [_rollout(sample) for sample in islice(samples, shown)]


def is_first_hand(sample: Sampled, own: Container[str]) -> bool:
    """Whether its author tells it, or a stranger wrote it: what own peers read of each other is the same once more."""
    return sample.author == sample.peer_id or sample.author not in own


def _rollout(sample: Sampled) -> Section:
    return {
        "key": sample.key,
        "at": sample.at,
        "round": sample.round,
        "author": sample.author,
        "name": name_of(sample.author),
        "signed": sample.signed,
        "reader": None if sample.author == sample.peer_id else name_of(sample.peer_id),
        "dataset": label(sample.dataset),
        "question": plain(sample.question),
        "answer": None if sample.answer is None else plain(sample.answer, 200),
        "attempts": [
            {"text": plain(attempt.text), "reward": round(attempt.reward, 4)} for attempt in sample.attempts[:ATTEMPTS]
        ],
    }
