"""What the services of one household keep in the store for each other, beside the streams.

peers:hosted          the peers this household's p2p hosts            (p2p --> trainer, coordinator)
peer:lease:<peer>     the trainer instance that trains as this peer   (trainer --> coordinator, p2p)
peer:wish:<instance>  since when a trainer waits for a free peer      (trainer --> p2p, which then hosts one more)
swarm:bootnodes       multiaddresses of the swarm's entry points      (coordinator --> p2p)
swarm:members         Members, the peers that are registered on the chain; beside it a mark that changes with it
                                                    (coordinator --> p2p)
swarm:chain           SwarmState                                      (coordinator --> identity, cli, local)
swarm:bootnodes:wish  what they shall be             (cli --> coordinator, until it is done)
swarm:pace            Pace, what the founder wants  (identity, cli --> coordinator)
peers:notes           PeerNote of each peer heard   (p2p --> identity)
trainer:phase:<peer>  Activity                      (trainer --> identity)
starts:<service>:<n>  how often a service was started (every service)
state:<service>:<n>   ServiceState, see runtime.py                    (every service --> identity, cli, local)
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from shared.messages import PeerId
from shared.queue import Store

HOSTED = "peers:hosted"
LEASE = "peer:lease:"
WISH = "peer:wish:"
BOOTNODES = "swarm:bootnodes"
MEMBERS = "swarm:members"
CHAIN = "swarm:chain"
BOOTNODES_WISH = "swarm:bootnodes:wish"
PACE = "swarm:pace"
NOTES = "peers:notes"
PHASE = "trainer:phase:"
STARTS = "starts:"
STATE = "state:"

LEASE_TTL_S = 30.0  # a trainer that is silent for so long has lost its peer
WISH_TTL_S = 5.0  # a trainer that is silent for so long waits no more
STATE_TTL_S = 20.0  # a service that is silent for so long is not shown any more
STARTS_TTL_S = 30 * 86_400.0  # containers that are made anew have new names
PHASE_TTL_S = 3600.0  # a part of a round that lasts longer is not shown any more
MAX_NOTES = 256  # peers
MAX_MEMBERS = 20_000  # peers, the first that registered


class SwarmState(BaseModel):
    """The chain as this household's coordinator last saw it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain_id: int
    contract: str  # address, 0x...
    account: str  # this household's address, 0x...
    block: int
    round: int
    stage: int
    registered_peers: int  # of this household
    rewards_settled: int  # of this household, rewards on the chain since it was founded
    winners_settled: int
    finished: bool  # the last round is over and nothing waits for the chain
    leads: bool = False  # this household advances the swarm's rounds
    owns: bool = False  # its account is an owner of the contract: it may invite
    paused: bool = False  # and does not, because the founder says so
    min_s: float | None = None  # of a round, seconds, as it is now; None where another household leads
    max_s: float | None = None
    quorum: float | None = None
    clock_s: int = 0  # after so many seconds anybody may end a stage, by the contract's clock; 0: only who leads
    proof_required: bool = False  # the contract registers peers only with proof of their key
    waiting: int = 0  # submissions in the outbox
    ledger: bool = False  # there is no chain: rounds run from a ledger on this machine


class Members(BaseModel):
    """The peers that are registered on a swarm's chain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    swarm: str = ""  # which chain and contract, see `Round.swarm`
    peers: tuple[PeerId, ...] = ()


class Pace(BaseModel):
    """How the founder wants rounds to be; None leaves it to the coordinator's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paused: bool = False
    min_s: float | None = Field(default=None, ge=0, le=86_400)
    max_s: float | None = Field(default=None, gt=0, le=86_400)
    quorum: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Pace:
        if self.min_s is not None and self.max_s is not None and self.min_s > self.max_s:
            raise ValueError("a round's shortest time is above its longest")
        return self


class PeerNote(BaseModel):
    """What p2p knows of a peer that sent something lately."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    peer_id: PeerId
    round: int  # the last one it sent something for
    accepted: int  # rollouts taken since this service was started
    rejected: dict[str, int]  # rollouts dropped since then, by reason
    quarantined: bool
    reason: str = ""  # why it is in quarantine; else the last reason for which something was dropped
    until: float | None = None  # unix seconds, when it is left alone no more; None: it is not in quarantine


class Activity(BaseModel):
    """What a trainer is doing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: Literal["waiting", "sampling", "exchanging", "learning", "saving", "answering"]
    round: int  # -1: alone
    since: float  # unix seconds


class ServiceState(BaseModel):
    """How a service is, by its own word."""

    model_config = ConfigDict(frozen=True)

    service: str
    instance: str
    pid: int
    port: int  # of /health and /metrics
    at: float  # unix seconds of this report
    status: Literal["ok", "degraded", "stuck"]
    progress_age_s: float  # seconds since the work loop last advanced
    degraded: dict[str, str]  # part -> reason
    facts: dict[str, Any]  # small things worth showing: peer id, round, model
    starts: int = 1  # how often it was started, this time included
    memory_mib: float = 0.0  # resident memory of its process


_IDS: TypeAdapter[list[PeerId]] = TypeAdapter(list[PeerId])
_NOTES: TypeAdapter[list[PeerNote]] = TypeAdapter(list[PeerNote])
_TEXTS: TypeAdapter[list[str]] = TypeAdapter(list[str])


async def hosted_peers(store: Store) -> list[str]:
    """The peers this household hosts; empty until p2p is up."""
    return _IDS.validate_json(await store.get(HOSTED) or "[]")


async def put_hosted_peers(store: Store, peers: list[str]) -> None:
    """Tell the household which peers it hosts."""
    await store.put(HOSTED, _IDS.dump_json(peers).decode())


async def leases(store: Store) -> dict[str, str]:
    """Peer -> the trainer instance that holds it."""
    found = {key.removeprefix(LEASE): await store.get(key) for key in await store.keys(LEASE)}
    return {peer: holder for peer, holder in found.items() if holder is not None}


async def wish_for_peer(store: Store, instance: str, since: float) -> None:
    """A trainer has waited for a peer since then (unix seconds); to be repeated while it does."""
    await store.put(WISH + instance, repr(since), ttl_s=WISH_TTL_S)


async def withdraw_wish(store: Store, instance: str) -> None:
    """A trainer waits no more."""
    await store.take(WISH + instance)


async def wishes(store: Store) -> dict[str, float]:
    """Trainer instance -> since when it waits for a peer (unix seconds)."""
    found = {key.removeprefix(WISH): await store.get(key) for key in await store.keys(WISH)}
    return {instance: float(since) for instance, since in found.items() if since is not None}


async def bootnodes(store: Store) -> list[str]:
    """The swarm's entry points as the chain names them."""
    return _TEXTS.validate_json(await store.get(BOOTNODES) or "[]")


async def put_bootnodes(store: Store, addresses: list[str]) -> None:
    """Pass the chain's entry points on to p2p."""
    await store.put(BOOTNODES, _TEXTS.dump_json(addresses).decode())


async def members(store: Store) -> Members:
    """The peers that are registered on the chain; none until the coordinator has read it."""
    text = await store.get(MEMBERS)
    return Members.model_validate_json(text) if text else Members()


async def members_mark(store: Store) -> tuple[str, str]:
    """The swarm of `members`, and a text that is another whenever they have changed; "" while there is no list."""
    swarm, _, mark = (await store.get(f"{MEMBERS}:mark") or " ").rpartition(" ")
    return swarm, mark


async def put_members(store: Store, known: Members) -> None:
    """Pass on who is registered; the first `MAX_MEMBERS`."""
    text = known.model_copy(update={"peers": known.peers[:MAX_MEMBERS]}).model_dump_json()
    await store.put(MEMBERS, text)
    await store.put(f"{MEMBERS}:mark", f"{known.swarm} {sha256(text.encode()).hexdigest()}")


async def wish_for_bootnodes(store: Store, addresses: list[str]) -> None:
    """Ask the coordinator to put these on the chain in the place of those that are there."""
    await store.put(BOOTNODES_WISH, _TEXTS.dump_json(addresses).decode())


async def wished_bootnodes(store: Store) -> list[str] | None:
    """What the founder wants; None: nothing that is not done."""
    text = await store.get(BOOTNODES_WISH)
    return _TEXTS.validate_json(text) if text else None


async def grant_bootnodes(store: Store) -> None:
    """It is done."""
    await store.take(BOOTNODES_WISH)


async def swarm_state(store: Store) -> SwarmState | None:
    """The chain as last seen; None until the coordinator has seen it."""
    text = await store.get(CHAIN)
    return SwarmState.model_validate_json(text) if text else None


async def put_swarm_state(store: Store, state: SwarmState) -> None:
    """Publish the chain as last seen."""
    await store.put(CHAIN, state.model_dump_json())


async def told_pace(store: Store) -> Pace | None:
    """How the founder wants rounds to be; None: there never was a word of it."""
    text = await store.get(PACE)
    return Pace.model_validate_json(text) if text else None


async def pace(store: Store) -> Pace:
    """How the founder wants rounds to be."""
    return await told_pace(store) or Pace()


async def put_pace(store: Store, wanted: Pace) -> None:
    """Tell the coordinator how rounds shall be."""
    await store.put(PACE, wanted.model_dump_json())


async def peer_notes(store: Store) -> list[PeerNote]:
    """What p2p knows of other peers."""
    return _NOTES.validate_json(await store.get(NOTES) or "[]")


async def put_peer_notes(store: Store, notes: list[PeerNote]) -> None:
    """Tell what is known of other peers; the first `MAX_NOTES` of them."""
    await store.put(NOTES, _NOTES.dump_json(notes[:MAX_NOTES]).decode())


async def activities(store: Store) -> dict[str, Activity]:
    """Peer -> what its trainer is doing."""
    found = {key.removeprefix(PHASE): await store.get(key) for key in await store.keys(PHASE)}
    return {peer: Activity.model_validate_json(text) for peer, text in found.items() if text}


async def put_activity(store: Store, peer: str, activity: Activity) -> None:
    """Tell what a trainer is doing."""
    await store.put(PHASE + peer, activity.model_dump_json(), ttl_s=PHASE_TTL_S)


async def count_start(store: Store, service: str, instance: str) -> int:
    """A service begins; how often it has, this time included."""
    key = f"{STARTS}{service}:{instance}"
    starts = int(await store.get(key) or 0) + 1
    await store.put(key, str(starts), ttl_s=STARTS_TTL_S)
    return starts


async def put_service_state(store: Store, state: ServiceState) -> None:
    """Report how a service is."""
    await store.put(f"{STATE}{state.service}:{state.instance}", state.model_dump_json(), ttl_s=STATE_TTL_S)


async def service_states(store: Store) -> list[ServiceState]:
    """All services that reported lately, by name and instance."""
    texts = [await store.get(key) for key in await store.keys(STATE)]
    return [ServiceState.model_validate_json(text) for text in texts if text]
