"""Registrations with proof, where the swarm's contract wants one: signed here, because here are the peers' keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from services.p2p.network.identities import Identity
from shared.errors import QueueFullError
from shared.household import SwarmState, swarm_state
from shared.messages import Registration
from shared.proof import Proof, Statement
from shared.runtime import Context
from shared.streams import SUBMISSIONS

AGAIN_S = 60.0  # until a peer that is still not registered is proved again
NOBODY = f"0x{0:040x}"


class Proofs:
    """Queues a registration for each hosted peer, for each account, contract and chain that one is to be for."""

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._context, self._clock = context, clock
        self._given: dict[str, tuple[Statement, float]] = {}  # peer -> for what, and when

    async def look(self, identities: Mapping[str, Identity]) -> None:
        """Prove what is not proved yet. `identities`: the hosted peers by their ids."""
        state = await swarm_state(self._context.store)
        statement = statement_of(state) if state else None
        self._tell([one for one in identities.values() if statement and not one.provable])
        if statement is None or state is None:
            return
        missing = state.registered_peers < len(identities)
        try:
            for peer, identity in identities.items():
                if identity.provable and self._is_due(peer, statement, missing=missing):
                    registration = Registration(peer_id=peer, proof=prove(statement, identity))
                    await self._context.queue.publish(SUBMISSIONS, registration)
                    self._given[peer] = statement, self._clock()
        except QueueFullError:
            pass  # the next look tries again

    def _is_due(self, peer: str, statement: Statement, *, missing: bool) -> bool:
        """Another contract than before; or the queue may have lost what it was given."""
        before, at = self._given.get(peer, (None, 0.0))
        return before != statement or (missing and self._clock() - at > AGAIN_S)

    def _tell(self, odd: list[Identity]) -> None:
        if odd:
            reason = f"{odd[0].path.name} is no RSA key of 2,048 bits, and the swarm registers no other: remove it"
            self._context.health.degrade("proof", reason)
        else:
            self._context.health.heal("proof")


def statement_of(state: SwarmState) -> Statement | None:
    """What is to be signed; None where the contract does not want it, or nobody has an account yet."""
    if not state.proof_required or state.account == NOBODY:
        return None
    return Statement(chain_id=state.chain_id, contract=state.contract, account=state.account)


def prove(statement: Statement, identity: Identity) -> Proof:
    """The statement, signed by a peer."""
    signature = identity.sign(statement.text).hex()
    return Proof(**statement.model_dump(), public_key=identity.public_key.hex(), signature=signature)
