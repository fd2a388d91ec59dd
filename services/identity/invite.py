"""The founder's invite (shared/invite.py): what it says, who may have one, and the same as a QR code.

    SwarmState (chain, contract, owner?) --+
    p2p's addresses, the chain's bootnodes +--> draft --Vault.sign_invite--> Invitation: text, warnings --> page, CLI
    settings (name, game, questions, URL) -+

A household that was invited itself shows the invite that it joined by: everybody may pass it on.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import segno

from services.identity.accounts.vault import Vault
from services.identity.settings import IdentitySettings, is_loopback
from shared.errors import SwarmError
from shared.household import ServiceState, SwarmState, bootnodes, service_states, swarm_state
from shared.invite import MAX_PEERS, WORD, Invite, expiry, parse, reachable_form
from shared.market import STATE, MarketState, read
from shared.queue import Store

DAYS = 30  # for which an invite is good
MAX_DAYS = 365


class NoInvite(SwarmError):
    """There is none to be had now."""


@dataclass(frozen=True)
class Invitation:
    """An invite, and what who hands it out should know."""

    text: str
    invite: Invite
    warnings: tuple[str, ...]  # sentences
    ours: bool  # signed here; False: the one that this household joined by


async def invitation(settings: IdentitySettings, vault: Vault, store: Store, now: float, days: int) -> Invitation:
    """This swarm's invite, good for so many days. Raises SwarmError while there is none."""
    chain = await swarm_state(store)
    if settings.invite and not (chain and chain.owns):
        passed_on = parse(settings.invite, now).invite
        return Invitation("".join(settings.invite.split()), passed_on, warnings(passed_on, settings), False)
    peers = [*addresses(await service_states(store)), *await bootnodes(store)]
    market = await read(store, STATE, MarketState)
    invite = draft(settings, chain, peers, expiry(days, now), market.contract if market else None)
    return Invitation(vault.sign_invite(invite), invite, warnings(invite, settings), True)


def draft(
    settings: IdentitySettings,
    chain: SwarmState | None,
    peers: Sequence[str],
    expires: int,
    market: str | None = None,
) -> Invite:
    """What the founder's invite says. Raises NoInvite."""
    if chain is None:
        raise NoInvite("the chain has not been seen yet, so the contract is not known", "see the coordinator's log")
    if chain.ledger:
        raise NoInvite(
            "this swarm runs from a ledger on this machine, without a chain: nobody else can take part",
            "a swarm with others is begun anew, with CHAIN_URL at a chain",
        )
    if not chain.owns:
        raise NoInvite("this household does not own the swarm's contract", "ask the swarm's founder for an invite")
    reached = [peer for peer in dict.fromkeys(peers) if reachable_form(peer)][:MAX_PEERS]
    if not reached:
        raise NoInvite("no address of a peer is known yet", "wait until p2p is up")
    return Invite(
        swarm=settings.swarm,
        chain_id=chain.chain_id,
        chain_url=settings.chain_url_for_others,
        contract=chain.contract,
        founder=chain.account,
        peers=tuple(reached),
        game=settings.plays if _is_word(settings.plays) else None,
        mix=settings.mix if _is_word(settings.mix) else None,
        market=market,
        expires=expires,
    )


def warnings(invite: Invite, settings: IdentitySettings) -> tuple[str, ...]:
    """Why others may not get far with an invite."""
    host = urlsplit(invite.chain_url).hostname or "" if invite.chain_url else ""
    told = {
        "It names no address of the chain: those who join set CHAIN_URL to theirs of a tunnel or a VPN. "
        "INVITE_CHAIN_URL puts one in.": invite.chain_url is None,
        f"Its address of the chain, {invite.chain_url}, is reached from this machine only: set INVITE_CHAIN_URL to the "
        "one under which others reach it, best through a tunnel or a VPN: whoever reaches it may register and "
        "submit, as nothing costs anything there.": is_loopback(host),
        "Its peers are reached from this machine only: set P2P_HOST=0.0.0.0 and P2P_ANNOUNCE_HOST, or found the swarm "
        "with --host.": all(map(is_local, invite.peers)),
        f"The game {settings.plays} is of your own: those who join need its file, and set GAME.": invite.game is None,
    }
    return tuple(sentence for sentence, true in told.items() if true)


def addresses(states: Sequence[ServiceState]) -> list[str]:
    """Where others reach our peers; addresses of this machine only where there is no other."""
    told = [str(state.facts.get("addresses", "")).split() for state in states if state.service == "p2p"]
    every = dict.fromkeys(address for some in told for address in some)
    far = [address for address in every if not is_local(address)]
    return far or list(every)


def is_local(address: str) -> bool:
    """Whether only this machine reaches a multiaddress."""
    return address.startswith(("/ip4/127.", "/ip6/::1/", "/dns4/localhost/", "/dns/localhost/"))


def qr_svg(text: str) -> bytes:
    """A QR code, black on white in every colour scheme. Raises ValueError if the text is too long for one."""
    out = io.BytesIO()
    code = segno.make_qr(text, error="m")
    code.save(out, kind="svg", scale=5, border=4, dark="#000", light="#fff", title="Invitation", xmldecl=False)
    return out.getvalue()


def _is_word(text: str) -> bool:
    return re.fullmatch(WORD, text) is not None
