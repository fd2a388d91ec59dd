"""Who may write into the swarm's DHT: the peers that are registered on its chain. Pure: time is an argument.

An account registers a peer with a transaction, so made-up peers are no longer free. The list comes from the chain and
lags behind it by seconds; a few peers that are not on it (yet) are therefore let in for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

Mode = Literal["auto", "true", "false"]
GRACE_S = 30.0  # for which a peer that is not on the list may write
MAX_NEW = 16  # such peers at once
MAX_KNOWN = 1_024  # of which it is remembered that they had their time


class Members:
    """The list, and the grace of those that are not on it."""

    def __init__(self, mode: Mode, own: Callable[[], Collection[str]]) -> None:
        """`mode`: whether only members may write; auto: once the list is known and our `own` peers are on it."""
        self._mode, self._own = mode, own
        self.listed: frozenset[str] | None = None  # None: no chain was read yet
        self._since: dict[str, float] = {}  # peer that is not listed -> when it was first let in, the newest last

    @property
    def only(self) -> bool:
        """Whether only members may write now."""
        if self._mode == "auto":
            return self.listed is not None and self.listed.issuperset(self._own())
        return self._mode == "true"

    def is_strange(self, peer: str) -> bool:
        """Whether only members may write now and this peer is none."""
        return self.only and peer not in (self.listed or ()) and peer not in self._own()

    def turns_away(self, peer: str, now: float) -> bool:
        """Whether this peer may not write."""
        if not self.is_strange(peer):
            return False
        if peer in self._since:
            return now >= self._since[peer] + GRACE_S
        return sum(since > now - GRACE_S for since in self._since.values()) >= MAX_NEW

    def admit(self, peer: str, now: float) -> None:
        """This peer has written an authentic record."""
        if self.is_strange(peer):
            self._since.setdefault(peer, now)
            if len(self._since) > MAX_KNOWN:
                del self._since[next(iter(self._since))]
