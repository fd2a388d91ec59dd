"""What the services of one household keep in the store for each other, beside the streams.

peers:hosted          the peers this household's p2p hosts            (p2p --> trainer, coordinator)
peer:lease:<peer>     the trainer instance that trains as this peer   (trainer --> coordinator, p2p)
peer:wish:<instance>  since when a trainer waits for a free peer      (trainer --> p2p, which then hosts one more)
swarm:bootnodes       multiaddresses of the swarm's entry points      (coordinator --> p2p)
swarm:chain           SwarmState                                      (coordinator --> identity, cli, local)
state:<service>:<n>   ServiceState, see runtime.py                    (every service --> identity, cli, local)
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from shared.messages import PeerId
from shared.queue import Store

HOSTED = "peers:hosted"
LEASE = "peer:lease:"
WISH = "peer:wish:"
BOOTNODES = "swarm:bootnodes"
CHAIN = "swarm:chain"
STATE = "state:"

LEASE_TTL_S = 30.0  # a trainer that is silent for so long has lost its peer
WISH_TTL_S = 5.0  # a trainer that is silent for so long waits no more
STATE_TTL_S = 20.0  # a service that is silent for so long is not shown any more


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


_IDS: TypeAdapter[list[PeerId]] = TypeAdapter(list[PeerId])
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


async def swarm_state(store: Store) -> SwarmState | None:
    """The chain as last seen; None until the coordinator has seen it."""
    text = await store.get(CHAIN)
    return SwarmState.model_validate_json(text) if text else None


async def put_swarm_state(store: Store, state: SwarmState) -> None:
    """Publish the chain as last seen."""
    await store.put(CHAIN, state.model_dump_json())


async def put_service_state(store: Store, state: ServiceState) -> None:
    """Report how a service is."""
    await store.put(f"{STATE}{state.service}:{state.instance}", state.model_dump_json(), ttl_s=STATE_TTL_S)


async def service_states(store: Store) -> list[ServiceState]:
    """All services that reported lately, by name and instance."""
    texts = [await store.get(key) for key in await store.keys(STATE)]
    return [ServiceState.model_validate_json(text) for text in texts if text]
