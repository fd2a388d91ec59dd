"""The round clock at work: looks at the chain, announces rounds, advances them where we lead.

chain --look--> forgotten anything? --> SUBMISSIONS (again)
                another round?      --> ROUNDS
                paused, going on?   --> ROUNDS
                tick(state, now)    --> Advance: chain, Extend: ROUNDS, Finish: SwarmState.finished
                the founder's word  --> chain (stages, clock, bootnodes)
                bootnodes, state    --> store
owner's orders --> orders.py --> chain
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from services.coordinator import metrics
from services.coordinator.attendance import Attendance
from services.coordinator.books import Books, Opened
from services.coordinator.bootnodes import pointed
from services.coordinator.chain import Chain, ChainDown, ChainError, Head
from services.coordinator.contract import Contract
from services.coordinator.founder import staged, timed
from services.coordinator.herald import Herald
from services.coordinator.link import Link
from services.coordinator.orders import obey
from services.coordinator.pace import clock_of, rules_of
from services.coordinator.recall import Recall
from services.coordinator.rounds import Advance, ClockState, Due, Extend, Finish, Rules, jumped, tick, turn
from services.coordinator.settings import ClockSettings
from services.coordinator.verdicts import Standing
from shared.household import pace, told_pace

log = logging.getLogger(__name__)

ROLE_S = 20.0  # between two questions whether our account may advance rounds
REST_S = 1.0  # between two questions whether a stage is due


class Clock:
    """One household's clock of one swarm. Every call raises ChainError when the chain cannot be used now."""

    def __init__(
        self,
        chain: Chain,
        contract: Contract,
        link: Link,
        books: Books,
        settings: ClockSettings,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._chain, self._contract, self._link, self._books = chain, contract, link, books
        self._settings, self._now = settings, now
        self._queue, self._store = link.context.queue, link.context.store
        self._recall = Recall(chain, books, link.context)
        self._may, self._owns = False, False  # our roles
        self._asked_at = float("-inf")  # when we asked for them
        self._opened: Opened | None = None
        self._life = ""  # of the store, see `Store.life`
        self._looked: tuple[float, float] | None = None  # when: time of day, and monotonic seconds
        self._rests_until = float("-inf")  # from the contract's clock, monotonic seconds
        self._attendance = Attendance(chain, self._store)
        self._herald = Herald(chain, link, books, ledger=settings.ledger)

    async def step(self) -> None:
        """One look, and what follows from it."""
        head = await self._shaped(await self._contract.head())
        if await obey(self._chain, self._store):
            self._asked_at = float("-inf")
        opened = await self._opening(head)
        await self._remind(opened)
        await self._recall.after(head)
        rules = await self._known_rules()
        opened = await self._pause(opened, rules)
        # One look catches up with all rounds that are over: nobody waits a poll for each.
        while isinstance(action := tick(await self._state(head, opened, rules), self._now()), Advance):
            try:
                if not await self._advance(action, rules):
                    break
            except ChainError:
                await self._tell(head, opened, rules)  # what was seen holds, whether or not we may sign
                raise
            metrics.ADVANCED.inc()
            head = await self._contract.head()
            opened = await self._opening(head)
        if isinstance(action, Extend):
            opened = await self._extend(opened, action, rules)
        elif isinstance(action, Finish) and not opened.finished:
            log.info("the last round is over")
            opened = opened.model_copy(update={"finished": True})
            await self._keep(opened)
        await self._tell(head, opened, rules)

    # ---- rounds ----

    async def _advance(self, action: Advance, rules: Rules) -> bool:
        """Go on to the next stage; False: not now. Raises ChainError where it is ours to do."""
        if not action.by_clock:
            self._asked_at = float("-inf")  # if this fails, our role may be gone
            await self._chain.advance()
            return True
        if time.monotonic() < self._rests_until:
            return False
        self._rests_until = time.monotonic() + REST_S
        try:
            advanced = await self._chain.advance_if_due()
        except ChainDown:
            raise
        except ChainError as error:
            if rules.leads:
                raise
            self._link.context.health.degrade("turn", f"a round that is due cannot be ended from here: {error}")
            return False
        self._link.context.health.heal("turn")
        return advanced

    async def _shaped(self, head: Head) -> Head:
        """The contract as the founder wants it; its bootnodes, too."""
        parts = (self._chain, self._contract, self._link)
        if (await self._known_rules()).leads:
            head = await staged(*parts, head, self._settings.wanted_stages)
            head = await timed(*parts, head, clock_of(await told_pace(self._store)))
        return await pointed(*parts, head)

    async def _opening(self, head: Head) -> Opened:
        """The open round; announced if it was not open at the last look."""
        rules = await self._known_rules()
        swarm, here = self._contract.identity(head), (head.round, head.stage)
        before = self._opened or await self._books.opened()
        if before is not None and before.swarm != swarm:
            before = await self._begin_anew(before, head)
            rules = await self._known_rules()
        if before is not None and before.swarm == swarm and here <= (before.number, before.stage):
            return before if self._opened else await self._resume(before, rules)
        now = self._now()
        opened = Opened(
            swarm=swarm,
            number=head.round,
            stage=head.stage,
            stages=head.stages,
            opened_at=now,
            deadline=now + rules.max_s,
            reached=here,
            forgotten=before.forgotten if before else None,
            paused=rules.paused,
        )
        if before is not None and before.swarm == swarm:
            metrics.LASTED.observe(now - before.opened_at)
        await self._keep(opened)
        await self._herald.announce(opened, rules)
        return opened

    async def _resume(self, before: Opened, rules: Rules) -> Opened:
        """The round that was open when this process began; its end may have been moved since."""
        last = rules.max_rounds is not None and before.number + 1 >= rules.max_rounds
        opened = before.model_copy(update={"finished": before.finished and last})
        await self._keep(opened)
        await self._herald.announce(opened, rules)
        return opened

    async def _extend(self, opened: Opened, action: Extend, rules: Rules) -> Opened:
        """Give the open round more time; of a paused swarm that is nothing to speak of."""
        if not rules.paused:
            metrics.EXTENDED.inc()
            moved = action.opened_at is not None
            log.info("round %d goes on: %s", opened.number, "the time of day was moved" if moved else _why(rules))
        opened_at = opened.opened_at if action.opened_at is None else action.opened_at
        opened = opened.model_copy(update={"opened_at": opened_at, "deadline": action.deadline})
        await self._keep(opened)
        await self._herald.announce(opened, rules)
        return opened

    async def _pause(self, opened: Opened, rules: Rules) -> Opened:
        """Tell the household when the founder pauses the swarm, and when it goes on."""
        if opened.paused == rules.paused:
            return opened
        log.info("the founder %s the swarm in round %d", "pauses" if rules.paused else "resumes", opened.number)
        opened = opened.model_copy(update={"paused": rules.paused})
        await self._keep(opened)
        await self._herald.announce(opened, rules)
        return opened

    async def _remind(self, opened: Opened) -> None:
        """A queue that was restarted may have lost its end, or everything: tell it again what holds."""
        if (life := await self._store.life()) == self._life:
            return
        if self._life:
            log.warning("the queue was restarted: telling it again that round %d is open", opened.number)
            await self._keep(opened)
            await self._herald.announce(opened, await self._known_rules())
        self._life = life

    async def _begin_anew(self, before: Opened, head: Head) -> Opened:
        """Another swarm than at the last look: what is known of the one before does not hold."""
        log.warning("this is another chain or contract than before: the swarm begins anew at round %d", head.round)
        self._opened, self._asked_at = None, float("-inf")
        self._attendance.forget()
        await self._recall.begin_anew()
        return before.model_copy(update={"forgotten": max(before.reached, before.forgotten or (0, 0))})

    async def _keep(self, opened: Opened) -> None:
        await self._books.put_opened(opened)
        self._opened = opened
        self._link.standing, self._link.swarm = Standing(opened.reached, opened.forgotten), opened.swarm

    async def _known_rules(self) -> Rules:
        """The rules as they are now. Our role is asked for now and then, because the contract's owners change it."""
        if not 0 <= self._now() - self._asked_at < ROLE_S:
            self._may, health = await self._chain.may_advance(), self._link.context.health
            self._owns = await self._chain.owned_by(self._chain.account)
            if self._settings.leads == "yes" and not self._may:
                health.degrade("rounds", f"LEAD_ROUNDS=yes, but {self._chain.account} has no STAGE_MANAGER_ROLE")
            else:
                health.heal("rounds")
            self._asked_at = self._now()
        return rules_of(self._settings, await pace(self._store), may_advance=self._may)

    async def _state(self, head: Head, opened: Opened, rules: Rules) -> ClockState:
        through, expected = await self._attendance.of(head)
        return ClockState(
            rules=rules,
            number=head.round,
            stage=head.stage,
            stages=head.stages,
            opened_at=opened.opened_at,
            deadline=opened.deadline,
            voters=len(through),
            expected=len(expected),
            reached=opened.reached,
            due=self._due(head),
            jump=self._jump(),
        )

    def _jump(self) -> float:
        before, self._looked = self._looked, (self._now(), time.monotonic())
        return jumped(self._looked[0] - before[0], self._looked[1] - before[1]) if before else 0.0

    def _due(self, head: Head) -> Due | None:
        if head.due_at is None or self._settings.leads == "no":
            return None
        return Due(head.due_at, head.stage_s or 0, turn(self._chain.account, head.round, head.stage))

    async def _tell(self, head: Head, opened: Opened, rules: Rules) -> None:
        await self._herald.publish(head, opened, rules, owns=self._owns, registered=self._recall.registered)


def _why(rules: Rules) -> str:
    return "nobody has voted in it, or rounds are shorter now" if rules.leads else "the chain is still in it"
