"""How a peer is reached from outside: what its p2pd is told about routers (NAT), relays and ports. Pure.

    auto      p2pd asks its peers whether they can call it back (AutoNAT, within half a minute). If not, it keeps a line
              open to an entry point, which passes calls on (circuit relay v2); if so, it does that for others
    private   as if they had said no, from the first second
    public    as if they had said yes: bootnodes
    off       no relays, for nobody; who cannot be called can still call

Whatever is passed on is encrypted between its two ends. A peer that called us is called through the same connection, so
one that cannot be called exchanges rollouts with all that can be; a relay is for two that both cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Relay = Literal["auto", "private", "off"]
MAX_RELAYS = 8  # entry points that may pass calls on to us


def is_local(listen: str) -> bool:
    """Whether nobody outside of this machine can call a multiaddress."""
    return listen.startswith(("/ip4/127.", "/ip6/::1/"))


def reach_flags(relay: Relay, *, bootnode: bool, listen: str, entries: Iterable[str]) -> list[str]:
    """p2pd's arguments for a peer that listens there and knows these entry points when it starts."""
    if is_local(listen):
        return ["-natPortMap=0", "-autonat=0", "-autoRelay=0", "-relay=1"]
    flags = ["-natPortMap=1", "-autonat=1"]
    if bootnode:
        flags.append("-forceReachabilityPublic=1")
    elif relay == "private":
        flags.append("-forceReachabilityPrivate=1")
    if relay == "off":
        return [*flags, "-autoRelay=0", "-relay=0", "-relayService=0"]
    relays = list(entries)[:MAX_RELAYS]
    if bootnode or not relays:
        return [*flags, "-autoRelay=0", "-relay=1"]
    # Discovery would look for relays in a network that has none of its own, for minutes, and forget those named here.
    return [*flags, "-autoRelay=1", "-relay=1", "-relayDiscovery=0", f"-trustedRelays={','.join(relays)}"]
