"""The prediction market (PRG_GAME): what the services say of it to each other, and what they keep in the store.

    judge --Proposal--> coordinator of the founder --createGame, revealClue, ...--> chain
    judge --Clue------> trainer, by /current_clue/; identity
    trainer, identity --WAGERS--> coordinator --guessAnswer, claimReward--> chain
                                      +--WAGERED----> identity
                                      +--MarketState, Played--> judge, trainer, identity

market:proposal   Proposal       the game that is to be dealt, or is being dealt; its answer is secret until it is over
market:dealing    Dealing        how far the founder's coordinator is with it
market:clue       Clue           what is shown now
market:state      MarketState    the market as the coordinator last saw it
market:played     list[Played]   the latest games, the oldest first
market:watch:<peer>              a peer of a stock node whose balance is asked for
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from shared.messages import Text
from shared.queue import Store
from shared.wagers import MAX_CHOICES

PROPOSAL = "market:proposal"
DEALING = "market:dealing"
CLUE = "market:clue"
STATE = "market:state"
PLAYED = "market:played"
WATCH = "market:watch:"

CLUE_TTL_S = 30.0  # a judge that is silent for so long shows nothing
STATE_TTL_S = 60.0
WATCH_TTL_S = 3_600.0
MAX_PLAYED = 40  # games
NOT = "It is not: "  # begins each line of a clue that rules a choice out
NO_GAME = -1

Choice = Annotated[str, Field(max_length=1_000)]


class Kept(BaseModel):
    """Base of what is kept in the store."""

    model_config = ConfigDict(frozen=True)


class Proposal(Kept):
    """A game as the judge made it up."""

    id: str  # names it; no secret
    question: Text
    choices: tuple[Choice, ...] = Field(min_length=2, max_length=MAX_CHOICES)
    clues: tuple[Text, ...] = Field(min_length=1, max_length=40)  # each with all before it
    answer: int  # a choice, from 0
    salt: str = Field(pattern=r"^0x[0-9a-f]{64}$")
    made_at: float  # unix seconds


class Dealing(Kept):
    """How far a proposal is."""

    proposal: str  # its id
    game: int
    shown_at: float  # unix seconds, when the last clue was shown


class Clue(Kept):
    """What /current_clue/ tells. A negative id: no game is on."""

    game_id: int = NO_GAME
    clue_id: int = NO_GAME
    rounds_remaining: int = NO_GAME  # clues from this one to the last
    clue: Text = ""
    choices: tuple[Choice, ...] = Field(default=(), max_length=MAX_CHOICES)

    @property
    def is_on(self) -> bool:
        """Whether there is something to bet on."""
        return self.game_id >= 0 and self.clue_id >= 0 and self.rounds_remaining >= 1 and len(self.choices) > 1


class Table(Kept):
    """A game as it is on the chain."""

    game: int
    state: Literal["open", "closed", "answered", "refunded"]
    choices: int
    clues: int
    shown: int  # clues
    answer: int | None  # None: not known
    reveal_by: int  # unix seconds
    commitment: str  # 0x...
    bets: tuple[int, ...] = ()  # tokens on each choice
    weights: tuple[int, ...] = ()

    def is_over(self, now: float) -> bool:
        """Nothing is to be bet or revealed any more: what is due can be claimed."""
        return self.state in ("answered", "refunded") or now > self.reveal_by


class MarketState(Kept):
    """The market as the coordinator last saw it."""

    swarm: str  # see `Round.swarm`
    contract: str  # address, 0x...
    deals: bool  # this household makes the games
    round_tokens: int
    granted: int  # tokens there are
    balances: dict[str, int]  # of this household's peers, and of those that are watched
    game: Table | None = None  # the latest


class Placed(Kept):
    """A bet of one of our peers."""

    peer: str
    clue: int
    choice: int
    tokens: int
    chances: tuple[float, ...] = ()


class Played(Kept):
    """A game as this household remembers it."""

    swarm: str
    table: Table
    question: Text = ""
    choices: tuple[Choice, ...] = ()
    placed: tuple[Placed, ...] = ()
    paid: dict[str, int] = {}  # peer -> tokens


_PLAYED: TypeAdapter[list[Played]] = TypeAdapter(list[Played])
K = TypeVar("K", bound=Kept)


async def read(store: Store, key: str, model: type[K]) -> K | None:
    """One of the values above; None where there is none."""
    text = await store.get(key)
    return model.model_validate_json(text) if text else None


async def write(store: Store, key: str, value: Kept, ttl_s: float | None = None) -> None:
    """Keep one of the values above."""
    await store.put(key, value.model_dump_json(), ttl_s=ttl_s)


async def played(store: Store) -> list[Played]:
    """The latest games, the oldest first."""
    return _PLAYED.validate_json(await store.get(PLAYED) or "[]")


async def put_played(store: Store, games: list[Played]) -> None:
    """Keep the latest `MAX_PLAYED` games."""
    await store.put(PLAYED, _PLAYED.dump_json(games[-MAX_PLAYED:]).decode())


def ruled_out(clue: str, choices: tuple[str, ...]) -> frozenset[int]:
    """The choices that a clue rules out."""
    lines = {line.removeprefix(NOT) for line in clue.splitlines() if line.startswith(NOT)}
    return frozenset(place for place, choice in enumerate(choices) if choice in lines)


def question_of(clue: str) -> str:
    """A clue without what it rules out."""
    return "\n".join(line for line in clue.splitlines() if not line.startswith(NOT)).strip()
