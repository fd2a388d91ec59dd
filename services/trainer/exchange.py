"""Other peers' rollouts of a round, scored here, until there are enough or the round's time is up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random

from services.trainer.games.game import Game
from services.trainer.learning.rollout import Scored
from services.trainer.metrics import EXTERNAL_GROUPS
from services.trainer.worker import work
from shared.messages import Rollouts, Round
from shared.queue import Queue
from shared.runtime import Context
from shared.streams import ROLLOUTS_PEER, ROUNDS

REMEMBERED_ROUNDS = 3  # a peer silent for longer is not waited for
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

    async def poll(self, wait_s: float) -> bool:
        """Take in all that is new, if anything; waits up to `wait_s` for the first. A peer's first word stands."""
        before = self._cursor
        while entries := await self._queue.read(ROLLOUTS_PEER, self._cursor, limit=BATCH, wait_s=wait_s):
            self._cursor, wait_s = entries[-1].id, 0.0
            for rollouts in (entry.message for entry in entries if entry.message.peer_id != self._me):
                self._rounds.setdefault(f"{rollouts.round}:{rollouts.stage}", {}).setdefault(rollouts.peer_id, rollouts)
            if len(entries) < BATCH:
                break
        return self._cursor != before

    def of(self, round_: Round) -> dict[str, Rollouts]:
        """What arrived for a round so far, by peer."""
        return self._rounds.get(round_.key, {})

    def expected(self) -> int:
        """How many peers to wait for: as many as were heard in one of the last rounds, within a bound."""
        return min(max(self._heard, default=0), MOST_EXPECTED)

    def close(self, round_: Round) -> None:
        """The round is over here: remember how many took part, forget what came for it and before."""
        self._heard.append(len(self.of(round_)))
        over = (round_.number, round_.stage)
        self._rounds = {key: value for key, value in self._rounds.items() if _numbers(key) > over}


@dataclass(frozen=True)
class Want:
    """When a round's exchange is over."""

    groups: int  # informative question groups
    peers: int  # whose rollouts are scored at most
    patience_s: float  # for peers that may not come
    spare_s: float = 0.0  # before the deadline: to learn and to vote in time


def is_enough(want: Want, *, informative: int, heard: int, expected: int, waited_s: float) -> bool:
    """As many as expected were heard and brought what is needed; or one of the two, and patience is at its end.

    A lone peer expects nobody, so it waits for its patience only.
    """
    all_heard, fed = heard >= expected, informative >= want.groups
    return (all_heard and fed) or (waited_s > want.patience_s and (all_heard or fed))


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

    Of more than `want.peers` peers a random choice is scored. `meanwhile` is done between two looks, while more is
    waited for.
    """
    started, scored = time.monotonic(), dict[str, list[Scored]]()
    while True:
        left_s = round_.deadline - want.spare_s - time.time()
        await feed.poll(wait_s=min(POLL_S, max(left_s, SHORTEST_POLL_S)))
        context.health.beat()
        fresh = [peer for peer in feed.of(round_) if peer not in scored]
        for peer in random.sample(fresh, min(len(fresh), max(0, want.peers - len(scored)))):
            scored[peer] = await work(game.score, feed.of(round_)[peer])
        found = [group for groups in scored.values() for group in groups]
        informative = sum(group.informative for group in found)
        waited = time.monotonic() - started
        enough = is_enough(want, informative=informative, heard=len(scored), expected=feed.expected(), waited_s=waited)
        if enough or context.stop.is_set() or await is_over(context, round_, spare_s=want.spare_s):
            return _close(feed, round_, found)
        if meanwhile is not None:
            await meanwhile()


async def collect_again(
    context: Context, feed: PeerFeed, game: Game, round_: Round, peers: Sequence[str]
) -> list[Scored]:
    """The groups that `collect` found before a crash: of just these peers, in this order, whoever came since.

    Of one whose rollouts the queue has forgotten, none.
    """
    while not set(peers) <= set(feed.of(round_)) and not context.stop.is_set() and await feed.poll(wait_s=POLL_S):
        context.health.beat()
    there = [feed.of(round_)[peer] for peer in peers if peer in feed.of(round_)]
    found = [group for rollouts in there for group in await work(game.score, rollouts)]
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
