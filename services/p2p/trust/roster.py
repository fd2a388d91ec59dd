"""The swarm's list of registered peers, as the coordinator keeps it for this household."""

from __future__ import annotations

import logging

from services.p2p.trust.members import Members
from services.p2p.trust.originals import Originals
from shared.household import members, members_mark
from shared.runtime import Context

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Roster:
    """Keeps `Members.listed` as new as the store, and tells whose questions there are."""

    def __init__(self, known: Members, originals: Originals, context: Context) -> None:
        self._known, self._originals, self._context = known, originals, context
        self._mark = ""

    async def run(self) -> None:
        """Until told to stop."""
        while True:
            await self.look()
            if not await self._context.sleep(LOOK_S):
                return

    async def look(self) -> None:
        """Read the list if it has changed."""
        store, before = self._context.store, self._known.only
        _, mark = await members_mark(store)
        if mark != self._mark:
            self._mark, self._known.listed = mark, frozenset((await members(store)).peers)
            for peer in self._known.listed:
                self._originals.know(peer)
        if self._known.only != before:
            log.info("rollouts are taken from %s", "registered peers only" if self._known.only else "all peers")
        self._context.health.facts["members"] = len(self._known.listed or ()) if self._known.only else "all"
