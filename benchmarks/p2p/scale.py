"""What a round costs one node in swarms of any size, computed with the very code that decides it in the service.

Everybody announces where `places_of` says, by the level that their own `Survey` finds; some readers, chosen at random,
look with `Watch` and fetch with `choose` until there is enough, round after round. What is not computed is the network:
a read finds all that stands in a bucket, a fetch fails with a given probability. Bytes are those of the real parts.

A row is one kind of swarm of one size:

    settled          every node has counted for some rounds
    newcomers        the readers know nothing but the nodes near their own place in the DHT
    size x 1/8, x 8  all begin with an estimate that is wrong by that factor; rounds are shown from the first on
    lost             the readers begin with an estimate of 1 and a besieged place in the DHT, which tells them 2^24
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import comb, log2
from random import Random
from statistics import fmean

from benchmarks.p2p.material import GROUPS, rollouts_of
from services.p2p.network.population import MOST
from services.p2p.traffic.choice import Need, Offer, choose, is_enough
from services.p2p.traffic.survey import Survey
from services.p2p.traffic.watch import Watch
from services.p2p.wire.buckets import MAX_LEVEL, Place, bucket_of, level_of
from services.p2p.wire.packing import pack
from services.p2p.wire.validation import body_of

SIZES = (100, 1_000, 10_000, 100_000)
READERS, ROUNDS, SHOWN = 100, 6, 3  # the last rounds are shown
J = 4
BODY = len(pack(body_of(rollouts_of("Qm" + "a" * 44, 20))))  # bytes of a body of 20 KB as it travels
INFORMATIVE = 0.3  # of all groups; and of the claimed ones,
TRUE = 0.9  # are so indeed
UNREACHABLE = 0.1  # of the peers
LOOKS = 40  # of a reader in a round at most; all have announced
RECORD, ANSWER = 1_150, 1_250  # bytes of an announcement with its subkey, and of one node's list of the nodes nearest
HOLDERS, NEAR, WIDE, SEARCH_EVERY = 5, 10, 16, 8  # see network/node.py


@dataclass(frozen=True)
class Row:
    """Means over the readers and the rounds that are shown."""

    peers: int
    kind: str
    round: int  # the last one shown; of the unsettled kinds each round has a row
    bytes: float  # read and fetched by a node in a round, and written by it
    records: float  # announcements read
    bodies: float  # fetched
    looks: float  # buckets read, repetitions included
    found: float  # probability that at least J informative groups arrived


@dataclass
class Reader:
    """A node under observation."""

    peer: str
    survey: Survey
    population: float


@dataclass
class Cost:
    """Of one reader in one round."""

    records: int = 0
    reads: int = 0
    answers: int = 0  # of single nodes
    searches: int = 0  # buckets read for the first time
    bodies: int = 0
    informative: int = 0

    def bytes(self, size: int, level: int) -> float:
        """All that this round brought and took. A search takes a step for each factor of the nodes it does not know."""
        steps = NEAR + max(0.0, log2(size / 20))
        announced = (2 if level else 1) * (steps * ANSWER + HOLDERS * RECORD)
        read = self.records * RECORD + self.answers * ANSWER + self.searches * steps * ANSWER
        return announced + read + self.bodies * BODY


def estimated(size: int, random: Random) -> float:
    """How large a swarm seems by the sixteen nearest nodes: about a quarter off."""
    return max(1.0, size * random.lognormvariate(0.0, 0.25))


class Swarm:
    """All announcements of a round."""

    def __init__(self, peers: Sequence[str], levels: Sequence[int], number: int, random: Random) -> None:
        shares = [comb(GROUPS, k) * INFORMATIVE**k * (1 - INFORMATIVE) ** (GROUPS - k) for k in range(GROUPS + 1)]
        self.claims = dict(zip(peers, random.choices(range(GROUPS + 1), shares, k=len(peers)), strict=True))
        self._at: dict[tuple[int, int], list[str]] = defaultdict(list)
        for peer, level in zip(peers, levels, strict=True):
            bucket = bucket_of("scale", number, peer, level)
            self._at[level, bucket].append(peer)
            if level:
                self._at[level - 1, bucket >> 1].append(peer)

    def at(self, place: Place) -> list[str]:
        """Who stands in a bucket."""
        return self._at.get((place.level, place.bucket), [])


def play(reader: Reader, swarm: Swarm, number: int, random: Random) -> Cost:
    """One round of a reader, everybody having announced."""
    reader.survey.guess(reader.population)
    watch, need, cost = Watch(number, 0, reader.survey.level, random), Need.of(J, 1), Cost()
    taken, tried = list[int](), {reader.peer}
    read: Counter[Place] = Counter()
    for look in range(LOOKS):
        if is_enough(need, taken):
            break
        overdue = reader.survey.size is None or look > 4
        ceiling = min(MAX_LEVEL, level_of(reader.population, reader.survey.level))
        offers = dict[str, Offer]()
        for place in watch.next(ceiling, overdue=overdue):
            here = swarm.at(place)
            watch.note(place, len(here))
            read[place] += 1
            wide = not read[place] % SEARCH_EVERY  # this one asks many nodes, and each holder answers
            cost.records += len(here) * (HOLDERS if wide else 1)
            cost.answers += WIDE if wide else 1
            offers |= {peer: Offer(peer, swarm.claims[peer]) for peer in here if peer not in tried}
        for offer in choose(offers.values(), need, taken, 256, random):
            tried.add(offer.peer)
            if random.random() >= UNREACHABLE:
                cost.bodies += 1
                taken.append(offer.informative)
                cost.informative += sum(random.random() < TRUE for _ in range(offer.informative))
    cost.records += sum(len(swarm.at(place)) for place in watch.current[:2])  # counted once more at the end
    cost.answers += len(watch.current[:2])
    cost.reads, cost.searches = sum(read.values()) + len(watch.current[:2]), len(read)
    reader.survey.note(watch.entries)
    return cost


def begun(kind: str, size: int, peer: str, random: Random) -> Reader:
    """A reader as it is before its first round."""
    reader = Reader(peer, Survey(), estimated(size, random))
    factor = {"size x 1/8": 1 / 8, "size x 8": 8.0}.get(kind, 1.0)
    if kind not in ("newcomers", "lost"):
        reader.survey.size = max(1.0, estimated(size, random) * factor)
        reader.survey.level = level_of(reader.survey.size)
    if kind == "lost":
        reader.survey.size, reader.population = 1.0, MOST
    return reader


def simulate(kind: str, size: int, readers: int, rounds: int, seed: int) -> list[list[tuple[Cost, int]]]:
    """Each round's costs and levels, of each reader."""
    random = Random(f"{kind}/{size}/{seed}")
    peers = [f"peer{index}" for index in range(size)]
    watched = [begun(kind, size, peer, random) for peer in random.sample(peers, min(readers, size))]
    others = [level_of(estimated(size, random)) for _ in peers]
    played = list[list[tuple[Cost, int]]]()
    for number in range(rounds):
        if kind not in ("newcomers", "lost"):  # all are as the watched ones are
            seen = [reader.survey.level for reader in watched]
            others = random.choices(seen, k=size)
        swarm = Swarm(peers, others, number, random)
        played.append([(play(reader, swarm, number, random), reader.survey.level) for reader in watched])
    return played


def row(kind: str, size: int, number: int, played: Sequence[tuple[Cost, int]]) -> Row:
    """The means."""

    def mean(of: Callable[[Cost], float]) -> float:
        return round(fmean(of(cost) for cost, _ in played), 2)

    return Row(
        peers=size,
        kind=kind,
        round=number,
        bytes=round(fmean(cost.bytes(size, level) for cost, level in played)),
        records=mean(lambda cost: cost.records),
        bodies=mean(lambda cost: cost.bodies),
        looks=mean(lambda cost: cost.reads),
        found=mean(lambda cost: cost.informative >= J),
    )


KINDS = ("settled", "newcomers", "size x 1/8", "size x 8", "lost")


def rows(sizes: Sequence[int] = SIZES, readers: int = READERS, rounds: int = ROUNDS) -> list[dict[str, object]]:
    """All rows: of the settled swarm the mean of its last rounds, of the others each round."""
    found = list[Row]()
    for size in sizes:
        for kind in KINDS:
            played = simulate(kind, size, readers, rounds, seed=1)
            if kind == "settled":
                found.append(row(kind, size, rounds, [one for of_round in played[-SHOWN:] for one in of_round]))
            else:
                found += [row(kind, size, number + 1, of_round) for number, of_round in enumerate(played)]
    return [asdict(one) for one in found]
