"""Other peers' rollouts of a round, scored here, until there are enough or the round's time is up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from services.trainer.games.game import Game
from services.trainer.learning.rollout import Scored, source_of
from services.trainer.metrics import EXTERNAL_GROUPS
from services.trainer.worker import work
from shared.messages import Rollouts, Round
from shared.queue import Queue
from shared.runtime import Context
from shared.streams import ROLLOUTS_PEER, ROUNDS

REMEMBERED_ROUNDS = 3  # a peer silent for longer is not waited for
STOCK_PATIENCE = 0.5  # of the time that there is, for which stock nodes are waited for: anybody may say he is one
MOST_EXPECTED = 8  # peers waited for: of more, p2p fetches the rollouts of as many as are needed, others each round
POLL_S, SHORTEST_POLL_S = 0.5, 0.05
BATCH = 100  # entries in one reading


class PeerFeed:
    """What peers sent, by round; each entry of the stream is read once."""

    def __init__(self, queue: Queue, me: str) -> None:
        self._queue, self._me = queue, me
        self._cursor = "0"
        self._rounds: dict[str, dict[str, Rollouts]] = {}
        self._heard: deque[int] = deque(maxlen=REMEMBERED_ROUNDS)  # peers, in each of the last rounds
        self._stock_round = -1  # the newest for which something came that nobody signed for, in time or late

    async def poll(self, wait_s: float) -> bool:
        """Take in all that is new, if anything; waits up to `wait_s` for the first. A peer's first word stands."""
        before = self._cursor
        while entries := await self._queue.read(ROLLOUTS_PEER, self._cursor, limit=BATCH, wait_s=wait_s):
            self._cursor, wait_s = entries[-1].id, 0.0
            for rollouts in (entry.message for entry in entries if entry.message.peer_id != self._me):
                arrived = self._rounds.setdefault(f"{rollouts.round}:{rollouts.stage}", {})
                arrived.setdefault(source_of(rollouts.peer_id, signed=rollouts.signed), rollouts)
                if not rollouts.signed:
                    self._stock_round = max(self._stock_round, rollouts.round)
            if len(entries) < BATCH:
                break
        return self._cursor != before

    def of(self, round_: Round) -> dict[str, Rollouts]:
        """What arrived for a round so far, by source: what nobody signed for stands beside what its peer sent."""
        return self._rounds.get(round_.key, {})

    def expected(self) -> int:
        """How many peers to wait for: as many as were heard in one of the last rounds, within a bound."""
        return min(max(self._heard, default=0), MOST_EXPECTED)

    def awaits_stock(self, round_: Round) -> bool:
        """Whether stock nodes were heard of in the last rounds, and none in this one."""
        lately = 0 <= self._stock_round >= round_.number - REMEMBERED_ROUNDS
        return lately and all(rollouts.signed for rollouts in self.of(round_).values())

    def close(self, round_: Round) -> None:
        """The round is over here: remember how many took part, forget what came for it and before."""
        self._heard.append(sum(rollouts.signed for rollouts in self.of(round_).values()))
        over = (round_.number, round_.stage)
        self._rounds = {key: value for key, value in self._rounds.items() if _numbers(key) > over}


@dataclass(frozen=True)
class Want:
    """When a round's exchange is over."""

    groups: int  # informative question groups
    peers: int  # whose rollouts are scored at most
    patience_s: float  # for peers that may not come
    spare_s: float = 0.0  # before the deadline: to learn and to vote in time
    unsigned: int = 0  # groups that nobody signed for, as many as count


def is_enough(
    want: Want, *, informative: int, heard: int, expected: int, waited_s: float, awaited: bool = False
) -> bool:
    """As many as expected were heard and brought what is needed; or one of the two, and patience is at its end.

    A lone peer expects nobody, so it waits for its patience only; `awaited`: or for stock nodes.
    """
    all_heard, fed = heard >= expected, informative >= want.groups
    return (all_heard and fed) or (waited_s > want.patience_s and ((all_heard and not awaited) or fed))


async def collect(
    context: Context,
    feed: PeerFeed,
    game: Game,
    round_: Round,
    want: Want,
    random: Random,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> list[Scored]:
    """Peers' groups, scored here: until there are enough, or the deadline, or the next round.

    Of more than `want.peers` peers a random choice is scored, stock nodes last. `meanwhile` is done between two looks,
    while more is waited for.
    """
    started, scored = time.monotonic(), dict[str, list[Scored]]()
    stock_s = STOCK_PATIENCE * (round_.deadline - want.spare_s - time.time())
    while True:
        left_s = round_.deadline - want.spare_s - time.time()
        await feed.poll(wait_s=min(POLL_S, max(left_s, SHORTEST_POLL_S)))
        context.health.beat()
        arrived = feed.of(round_)
        for source in chosen(arrived, set(scored), want.peers, random):
            scored[source] = await work(score, game, arrived[source])
        found = [group for groups in scored.values() for group in groups]
        waited, informative = time.monotonic() - started, count(found, want.unsigned)
        heard = sum(arrived[source].signed for source in scored)
        awaited = want.unsigned > 0 and waited < stock_s and feed.awaits_stock(round_)
        enough = is_enough(
            want,
            informative=informative,
            heard=heard,
            expected=feed.expected(),
            waited_s=waited,
            awaited=awaited,
        )
        if enough or context.stop.is_set() or await is_over(context, round_, spare_s=want.spare_s):
            return _close(feed, round_, found)
        if meanwhile is not None:
            await meanwhile()


def chosen(arrived: Mapping[str, Rollouts], scored: set[str], peers: int, random: Random) -> list[str]:
    """Whose rollouts are scored next, of at most `peers` sources in all; those that nobody signed for are a quarter."""
    found: list[str] = []
    for signed, most in ((True, peers), (False, peers // 4)):
        fresh = [source for source, one in arrived.items() if one.signed == signed and source not in scored]
        had = sum(arrived[source].signed == signed for source in scored)
        room = min(most - had, peers - len(scored) - len(found))
        found += random.sample(fresh, max(0, min(len(fresh), room)))
    return found


def count(groups: Sequence[Scored], unsigned: int) -> int:
    """Informative groups; of those that nobody signed for, at most so many."""
    strange = sum(group.informative for group in groups if not group.signed)
    return sum(group.informative for group in groups if group.signed) + min(unsigned, strange)


def score(game: Game, rollouts: Rollouts) -> list[Scored]:
    """A peer's groups, with the mark that they are not signed where they are not, whatever the game."""
    found = game.score(rollouts)
    return found if rollouts.signed else [replace(group, signed=False) for group in found]


async def collect_again(
    context: Context, feed: PeerFeed, game: Game, round_: Round, peers: Sequence[str]
) -> list[Scored]:
    """The groups that `collect` found before a crash: of just these sources, in this order, whoever came since.

    Of one whose rollouts the queue has forgotten, none.
    """
    while not set(peers) <= set(feed.of(round_)) and not context.stop.is_set() and await feed.poll(wait_s=POLL_S):
        context.health.beat()
    there = [feed.of(round_)[peer] for peer in peers if peer in feed.of(round_)]
    found = [group for rollouts in there for group in await work(score, game, rollouts)]
    return _close(feed, round_, found)


async def is_over(context: Context, round_: Round, *, spare_s: float = 0.0) -> bool:
    """The newest word on the round: closed, or less than `spare_s` before a deadline that nobody extended."""
    newest = await newest_of(context, round_)
    return (newest.number, newest.stage) > (round_.number, round_.stage) or time.time() > newest.deadline - spare_s


async def newest_of(context: Context, round_: Round) -> Round:
    """The last word on rounds: this one, with a new deadline perhaps, or a later one."""
    last = await context.queue.last(ROUNDS)
    return last.message if last else round_


def _close(feed: PeerFeed, round_: Round, found: list[Scored]) -> list[Scored]:
    feed.close(round_)
    informative = sum(group.informative for group in found)
    EXTERNAL_GROUPS.labels("informative").inc(informative)
    EXTERNAL_GROUPS.labels("flat").inc(len(found) - informative)
    return found


def _numbers(key: str) -> tuple[int, int]:
    number, stage = key.split(":")
    return int(number), int(stage)
