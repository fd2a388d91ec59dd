"""What the services say to each other. Text only: no pickle and no tensors on any wire.

Every message is frozen, refuses unknown fields and non-finite numbers, and has a deterministic `key`: a message that
is delivered twice has the same key, and its reader acts on it once. One example of each is a golden file in
`tests/unit/golden/`.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, field_validator, model_validator

from shared.proof import Proof

MAX_TEXT = 20_000  # characters of a question or a completion
MAX_GROUPS = 256  # question groups in one peer's rollouts of a round
MAX_COMPLETIONS = 64  # completions in a group
MAX_WINNERS = 64  # peers in one vote
MAX_HEARD = 64  # peers whose rollouts a trainer tells about in one round
MAX_ATTEMPTS_SHOWN = 8  # completions of a group that people are shown

PeerId = Annotated[str, StringConstraints(pattern=r"^[1-9A-HJ-NP-Za-km-z]{20,128}$")]
"""libp2p peer id in base58: `Qm...` for RSA keys, `12D3Koo...` for Ed25519."""

Digest = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
"""sha256 in hex; "" where there is none."""

RoundNumber = Annotated[int, Field(ge=0, lt=2**63)]
Phase = Literal["generate", "exchange", "update", "checkpoint"]
"""The parts of a trainer's round."""

Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]


class Message(BaseModel):
    """Base of all messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def key(self) -> str:
        """The same for every delivery of the same message, different for different ones."""
        raise AttributeError(f"{type(self).__name__} has no key")


class Round(Message):
    """A round (and stage) of the swarm is open."""

    number: RoundNumber
    stage: int = Field(ge=0)
    opened_at: float  # unix seconds, when this household saw it open
    deadline: float  # unix seconds, after which a peer's rollouts of this round are too late
    stages: int = Field(default=1, ge=1)  # of this round; who plays a game of several sees here how far it goes
    final: bool = False  # True: no stage and no round follows; trainers end when they are through with it
    swarm: str = Field(default="", max_length=256)  # which chain and contract count these rounds; another begins anew
    paused: bool = False  # True: the founder lets no round follow for now; who is through with this one waits

    @property
    def key(self) -> str:
        """`round:stage`."""
        return f"{self.number}:{self.stage}"

    @property
    def closes(self) -> bool:
        """The round ends with this stage: it is the one to vote in."""
        return self.stage + 1 >= self.stages


class Question(Message):
    """A task with a verifiable answer, as reasoning-gym states it."""

    text: Text
    answer: str | None = Field(default=None, max_length=MAX_TEXT)  # None where only the scorer knows (logic puzzles)
    dataset: str = Field(max_length=64)  # the reasoning-gym generator, which is also the scorer
    metadata: dict[str, JsonValue] = {}  # what that scorer needs beside the answer

    @field_validator("metadata")
    @classmethod
    def _is_finite(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        json.dumps(value, allow_nan=False)  # `allow_inf_nan` does not reach into JsonValue; raises ValueError
        return value


class Completion(Message):
    """One sampled answer to a question."""

    text: Text
    finished: bool  # True: the model ended it by its own end token; False: cut at the length limit


class Group(Message):
    """G completions of one question; GRPO's advantage is taken within it. Rewards are never sent: readers score."""

    question: Question
    completions: tuple[Completion, ...] = Field(min_length=1, max_length=MAX_COMPLETIONS)


class Rollouts(Message):
    """All that one peer sampled in one round and stage."""

    peer_id: PeerId
    round: RoundNumber
    stage: int = Field(ge=0)
    groups: tuple[Group, ...] = Field(min_length=1, max_length=MAX_GROUPS)
    # How many groups have some completion that did better than another, by the author's own scoring. A claim: it only
    # helps others to choose whom to hear, and says which rewards nothing. 0 where nothing is claimed.
    informative: int = Field(default=0, ge=0, le=MAX_GROUPS)
    signed: bool = True  # False: of a stock node, or of anybody in its name. Said by our p2p only, never by a peer

    @model_validator(mode="after")
    def _counts(self) -> Rollouts:
        if self.informative > len(self.groups):
            raise ValueError("more informative groups than groups")
        return self

    @property
    def key(self) -> str:
        """`round:stage:peer`, and what shows that it is not signed."""
        return f"{self.round}:{self.stage}:{self.peer_id}{'' if self.signed else ':unsigned'}"


class Registration(Message):
    """This household's account owns this peer."""

    kind: Literal["registration"] = "registration"
    peer_id: PeerId
    proof: Proof | None = None  # where the contract takes no account's word for it

    @property
    def key(self) -> str:
        """`registration:peer`."""
        return f"{self.kind}:{self.peer_id}"


class Reward(Message):
    """What a peer's own rollouts of a round earned."""

    kind: Literal["reward"] = "reward"
    peer_id: PeerId
    round: RoundNumber
    stage: int = Field(ge=0)
    points: int = Field(ge=-(2**63), lt=2**63)  # thousandths of the mean reward of the round's completions

    @property
    def key(self) -> str:
        """`reward:round:stage:peer`."""
        return f"{self.kind}:{self.round}:{self.stage}:{self.peer_id}"


class Winners(Message):
    """A peer's vote for those whose rollouts of a round it saw and scored best."""

    kind: Literal["winners"] = "winners"
    peer_id: PeerId
    round: RoundNumber
    winners: tuple[PeerId, ...] = Field(min_length=1, max_length=MAX_WINNERS)

    @property
    def key(self) -> str:
        """`winners:round:peer`."""
        return f"{self.kind}:{self.round}:{self.peer_id}"


Submission = Annotated[Registration | Reward | Winners, Field(discriminator="kind")]


class Settled(Message):
    """A submission's end: it is on the chain, or the chain refused it for good."""

    submission: Submission
    outcome: Literal["landed", "refused"]
    transaction: str | None  # hash, 0x...; None: it was on the chain already, or was never sent
    block: int | None  # the block it was seen in; None when refused
    reason: str = ""  # the contract's error name when refused

    @property
    def key(self) -> str:
        """The submission's own key."""
        return self.submission.key


class Heard(Message):
    """What a trainer found in one peer's rollouts of a round, scored by itself."""

    groups: int = Field(ge=0)
    informative: int = Field(ge=0)  # groups in which some completion did better than another
    mean_reward: float  # over all groups; 0 where there are none
    refused: dict[str, int] = Field(default={}, max_length=16)  # groups beside these that were left out, by reason


class Recorded(Message):
    """A submission as it stands on the chain, anybody's."""

    submission: Submission
    account: str = Field(pattern=r"^0x[0-9a-f]{40}$")  # who sent it
    transaction: str = Field(pattern=r"^0x[0-9a-f]{64}$")
    block: int = Field(ge=0)
    swarm: str = Field(default="", max_length=256)  # see `Round.swarm`: what another's chain holds is not added up

    @property
    def key(self) -> str:
        """The submission's own key."""
        return self.submission.key


class Trained(Message):
    """A trainer is through with a round."""

    kind: Literal["trained"] = "trained"
    at: float  # unix seconds
    peer_id: PeerId
    round: RoundNumber
    stage: int
    mean_reward: float  # of this peer's own completions of the round
    loss: float
    gradient_norm: float  # before clipping
    changed: float | None = None  # share of the weights that the update changed, 0 to 1; None: there was none
    local_groups: int  # question groups of the batch sampled here
    external_groups: int  # question groups of the batch sampled by peers
    unsigned_groups: int = 0  # of these, by stock nodes
    completion_tokens: int  # sampled here in this round
    seconds: dict[Phase, float]
    seen_peers: int  # peers whose rollouts of this round arrived in time
    datasets: tuple[str, ...] = Field(default=(), max_length=MAX_GROUPS)  # of each own group
    rewards: tuple[tuple[float, ...], ...] = Field(default=(), max_length=MAX_GROUPS)  # of each own group's completions
    heard: dict[PeerId, Heard] = Field(default={}, max_length=MAX_HEARD)  # by author
    # The lineage: whoever follows `parent` from round to round sees that training went on and lost no update. Training
    # alone, without rounds, is told to nobody: the checkpoints it leaves are seen as a parent only.
    weights: Digest = ""  # of the checkpoint written after this round; "": none was due, or none could be written
    parent: Digest = ""  # of the newest checkpoint before it, on which all training since builds; "": there was none

    @property
    def key(self) -> str:
        """`trained:round:stage:peer`."""
        return f"{self.kind}:{self.round}:{self.stage}:{self.peer_id}"


class Attempt(Message):
    """One completion and what it earned."""

    text: Text
    reward: float


class Sampled(Message):
    """One of a round's groups, for people to read."""

    kind: Literal["sampled"] = "sampled"
    at: float
    peer_id: PeerId  # whose trainer tells
    author: PeerId  # who wrote it: the same, or a peer whose rollouts came in time
    signed: bool = True  # False: of a stock node, or of anybody in its name
    round: RoundNumber
    dataset: str
    question: Text
    answer: str | None
    attempts: tuple[Attempt, ...] = Field(min_length=1, max_length=MAX_ATTEMPTS_SHOWN)  # the first few of the group

    @property
    def key(self) -> str:
        """`sampled:round:peer:author`, and what shows that it is not signed; a later one replaces the earlier."""
        return f"{self.kind}:{self.round}:{self.peer_id}:{self.author}{'' if self.signed else ':unsigned'}"


class Judged(Message):
    """The judge's score of a peer's answer to a held-out question."""

    kind: Literal["judged"] = "judged"
    at: float
    peer_id: PeerId
    round: RoundNumber
    score: float

    @property
    def key(self) -> str:
        """`judged:round:peer`."""
        return f"{self.kind}:{self.round}:{self.peer_id}"


class Exchanged(Message):
    """What the network did for this household in one round."""

    kind: Literal["exchanged"] = "exchanged"
    at: float
    round: RoundNumber
    bytes_sent: int  # bodies served to peers
    bytes_received: int  # bodies fetched from peers
    accepted: int  # peers' rollouts that passed validation
    unsigned: int = 0  # of stock nodes, beside those
    rejected: dict[str, int]  # records dropped, by reason

    @property
    def key(self) -> str:
        """`exchanged:round`."""
        return f"{self.kind}:{self.round}"


Event = Annotated[Trained | Sampled | Judged | Exchanged, Field(discriminator="kind")]
