"""Registrations with proof: what is signed, when, and that a contract's rule can check it."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from pydantic import ValidationError

from services.p2p.network.identities import load_or_create
from services.p2p.network.proofs import AGAIN_S, Proofs, prove, statement_of
from services.p2p.wire.keys import is_signed, private_message
from shared.health import Health
from shared.household import put_swarm_state
from shared.proof import Statement
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.streams import SUBMISSIONS
from tests.examples import PROOF
from tests.identity_kit import chain_of
from tests.p2p_kit import identity

STATEMENT = Statement(chain_id=7, contract="0x" + "AB" * 20, account="0x" + "cd" * 20)


def test_what_is_signed_names_chain_contract_and_account():
    text = b"rlswarm registration\0" + bytes(31) + b"\x07" + b"\xab" * 20 + b"\xcd" * 20
    assert STATEMENT.text == text
    ann = identity("ann")
    proof = prove(STATEMENT, ann)
    assert is_signed(bytes.fromhex(proof.public_key), bytes.fromhex(proof.signature), text)
    assert proof.is_for("0x" + "ab" * 20, "0x" + "CD" * 20)
    assert not proof.is_for("0x" + "cd" * 20, "0x" + "cd" * 20)
    assert not proof.is_for("0x" + "ab" * 20, "0x" + "ab" * 20)


@pytest.mark.parametrize("changes", [{"public_key": "08"}, {"signature": "zz" * 256}, {"contract": "0x1"}, {"more": 1}])
def test_what_is_no_proof_is_refused(changes):
    with pytest.raises(ValidationError):
        type(PROOF).model_validate({**PROOF.model_dump(), **changes})


def test_nothing_is_signed_where_nobody_wants_it_or_nobody_has_an_account():
    assert statement_of(chain_of()) is None
    assert statement_of(chain_of(proof_required=True, account="0x" + "0" * 40)) is None
    statement = statement_of(chain_of(proof_required=True))
    assert statement == Statement(chain_id=1, contract="0x" + "c" * 40, account="0x" + "d" * 40)


def test_each_peer_is_proved_once_for_each_contract_and_again_if_that_was_lost():
    async def play():
        queue, store, now = MemoryQueue(), MemoryStore(), [1_000.0]
        proofs = Proofs(Context(queue, store, Health("p2p", "one", 60)), lambda: now[0])
        peers = {one.peer_id: one for one in (identity("ann"), identity("bob"))}

        async def queued() -> list[tuple[str, str]]:
            await proofs.look(peers)
            taken = await queue.receive(SUBMISSIONS, "one", limit=100, wait_s=0)
            return [(one.message.peer_id, one.message.proof.contract[2:4]) for one in taken]

        assert await queued() == []
        await put_swarm_state(store, chain_of(registered_peers=0))
        assert await queued() == []
        await put_swarm_state(store, chain_of(registered_peers=0, proof_required=True))
        assert await queued() == [(peer, "cc") for peer in peers]
        assert await queued() == []
        now[0] += AGAIN_S + 1
        assert await queued() == [(peer, "cc") for peer in peers]
        now[0] += AGAIN_S + 1
        await put_swarm_state(store, chain_of(registered_peers=2, proof_required=True))
        assert await queued() == []
        await put_swarm_state(store, chain_of(registered_peers=2, proof_required=True, contract="0x" + "e" * 40))
        assert await queued() == [(peer, "ee") for peer in peers]

    asyncio.run(play())


def test_a_key_of_another_kind_is_told_of_and_proves_nothing(tmp_path):
    (tmp_path / "odd.pem").write_bytes(private_message(generate_private_key(65537, 3072)))
    odd = load_or_create(tmp_path / "odd.pem")

    async def play():
        queue, store, health = MemoryQueue(), MemoryStore(), Health("p2p", "one", 60)
        proofs = Proofs(Context(queue, store, health))
        await put_swarm_state(store, chain_of(proof_required=True))
        await proofs.look({odd.peer_id: odd})
        assert await queue.backlog(SUBMISSIONS) == 0
        assert "odd.pem is no RSA key of 2,048 bits" in health.state()["degraded"]["proof"]
        await put_swarm_state(store, chain_of())
        await proofs.look({odd.peer_id: odd})
        assert health.state()["degraded"] == {}

    asyncio.run(play())
