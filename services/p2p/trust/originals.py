"""Whose rollouts are whose: a peer that sends another's as its own is found out. Pure, and bounded.

Two signs, of which the first is a proof and needs no look at the other's rollouts:

proven    Each peer has its own sequence of questions; its seed follows from the swarm's seed and the peer's id, and
          stands in each question. Nobody who plays fair asks what is another peer's to ask, and no reader believes a
          question with another seed, as he makes it again.
repeated  A group (question and completions) that another author sent before. It counts only where the seed does not say
          whose question it is: peers of another SEED, questions that name none. Who was heard first need not be the
          author, so it is dropped and nobody blamed.

Questions that all peers share (a debate's) are nobody's: two may honestly say the same there.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import Literal

from shared.messages import Group, Rollouts
from shared.tasks import DEBATE_SEED, seed_of

MAX_PEERS = 32_768  # whose seeds are known
MAX_GROUPS_KNOWN = 32_768  # that were heard lately
SHARED = frozenset({DEBATE_SEED})

Verdict = Literal["original", "repeated", "copied"]


class Originals:
    """Whose question a seed names, and who was first to send what names none."""

    def __init__(self, seed: int) -> None:
        """`seed`: the swarm's, from which those of the peers follow."""
        self._seed = seed
        self._peers: OrderedDict[str, int] = OrderedDict()  # peer -> its seed, the one met last at the end
        self._owners: dict[int, str] = {}  # the other way round
        self._authors: OrderedDict[bytes, str] = OrderedDict()  # group -> who sent it first

    def know(self, peer: str) -> None:
        """There is such a peer: its questions are its own from now on."""
        if peer in self._peers:
            return
        self._peers[peer] = seed = seed_of(self._seed, peer)
        self._owners[seed] = peer
        if len(self._peers) > MAX_PEERS:
            _, gone = self._peers.popitem(last=False)
            self._owners.pop(gone, None)

    def judge(self, rollouts: Rollouts) -> Verdict:
        """What half of a peer's groups or more are; those of an original body are its author's from now on."""
        self.know(rollouts.peer_id)
        seeds = [_seed_of(group) for group in rollouts.groups]
        half = len(rollouts.groups) / 2
        owners = [self._owners.get(seed, "") for seed in seeds if seed is not None]
        if sum(owner not in ("", rollouts.peer_id) for owner in owners) >= half:
            return "copied"
        unclaimed = [
            _digest(group)
            for group, seed in zip(rollouts.groups, seeds, strict=True)
            if seed is None or (seed not in self._owners and seed not in SHARED)
        ]
        if sum(self._authors.get(digest, rollouts.peer_id) != rollouts.peer_id for digest in unclaimed) >= half:
            return "repeated"
        for digest in unclaimed:
            self._authors.setdefault(digest, rollouts.peer_id)
        while len(self._authors) > MAX_GROUPS_KNOWN:
            self._authors.popitem(last=False)
        return "original"


def _seed_of(group: Group) -> int | None:
    seed = group.question.metadata.get("source_seed")
    return seed if type(seed) is int else None


def _digest(group: Group) -> bytes:
    """Of what was asked and answered; not of the metadata, in which a copier may write what he likes."""
    whole = sha256(group.question.text.encode("utf-8", "surrogatepass"))
    for completion in group.completions:
        whole.update(b"\0" + completion.text.encode("utf-8", "surrogatepass"))
    return whole.digest()
