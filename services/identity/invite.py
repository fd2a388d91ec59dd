"""What somebody needs to join this swarm: four lines for .env, and the same as a QR code."""

from __future__ import annotations

import io
from collections.abc import Sequence

import segno

from shared.household import ServiceState, SwarmState

MAX_ADDRESSES = 3  # of our own peers: one is enough, the others are for when it is away
PLACEHOLDER = "http://YOUR-ADDRESS:8545"


def invitation(swarm: str, chain: SwarmState | None, states: Sequence[ServiceState], chain_url: str | None) -> str:
    """The four lines; "" in the place of what is not known yet."""
    lines = {
        "SWARM_NAME": swarm,
        "SWARM_CONTRACT": chain.contract if chain else "",
        "CHAIN_URL": chain_url or PLACEHOLDER,
        "INITIAL_PEERS": ",".join(addresses(states)),
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def addresses(states: Sequence[ServiceState]) -> list[str]:
    """Where others reach our peers; addresses of this machine only where there is no other."""
    told = [str(state.facts.get("addresses", "")).split() for state in states if state.service == "p2p"]
    every = dict.fromkeys(address for some in told for address in some)
    far = [address for address in every if not is_local(address)]
    return (far or list(every))[:MAX_ADDRESSES]


def is_local(address: str) -> bool:
    """Whether only this machine reaches a multiaddress."""
    return address.startswith(("/ip4/127.", "/ip6/::1/", "/dns4/localhost/", "/dns/localhost/"))


def qr_svg(text: str) -> bytes:
    """A QR code, black on white in every colour scheme. Raises ValueError if the text is too long for one."""
    out = io.BytesIO()
    code = segno.make_qr(text, error="m")
    code.save(out, kind="svg", scale=5, border=4, dark="#000", light="#fff", title="Invitation", xmldecl=False)
    return out.getvalue()
