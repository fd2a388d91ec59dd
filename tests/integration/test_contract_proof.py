"""A peer registered with proof that its key is held: keys and signatures as libp2p has them, on a real chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chain.anvil import CHAIN_ID
from services.p2p.wire.keys import peer_id_of, public_message, sign
from tests.contract_kit import NOBODY, ask, do, events, refusal

if TYPE_CHECKING:
    from tests.integration.conftest import Deployed

WITH_PROOF = "registerPeerWithProof"


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def message(swarm: Deployed, account: str, chain_id: int = CHAIN_ID) -> bytes:
    """What is signed, as docs/chain.md describes it."""
    addresses = bytes.fromhex(swarm.address[2:]) + bytes.fromhex(account[2:])
    return b"rlswarm registration\0" + chain_id.to_bytes(32, "big") + addresses


def proof(swarm: Deployed, key: RSAPrivateKey, account: str) -> tuple[str, bytes, bytes]:
    """The arguments with which `account` registers the peer of `key`."""
    public = public_message(key)
    return peer_id_of(public), public, sign(key, message(swarm, account))


def test_the_contract_tells_what_to_sign(deployed: Deployed) -> None:
    account = Account.create().address
    assert ask(deployed, "registrationMessage", account) == message(deployed, account)


def test_who_holds_the_key_registers_the_peer(deployed: Deployed) -> None:
    for _ in range(3):  # keys differ in how their ids come out in base58
        account: LocalAccount = Account.create()
        key = generate_private_key(65537, 2048)
        peer, public, signature = proof(deployed, key, account.address)
        receipt = do(deployed, account, WITH_PROOF, peer, public, signature)
        assert events(deployed, receipt) == [("PeerRegistered", {"eoa": account.address, "peerId": peer})]
        assert ask(deployed, "getEoa", [peer]) == [account.address]
        assert refusal(deployed, account, WITH_PROOF, peer, public, signature) == "PeerIdAlreadyRegistered"


def test_where_proof_is_required_there_is_no_other_way(deployed: Deployed, key: RSAPrivateKey) -> None:
    account: LocalAccount = Account.create()
    do(deployed, deployed.owner, "setRules", (False, True, False, 0, 0, 0))
    peer, public, signature = proof(deployed, key, account.address)
    assert refusal(deployed, account, "registerPeer", peer) == "ProofRequired"
    do(deployed, account, WITH_PROOF, peer, public, signature)
    # To a node that only asks for it again, it is done.
    assert refusal(deployed, account, "registerPeer", peer) == "PeerIdAlreadyRegistered"


def test_a_proof_is_worth_nothing_to_another_account(deployed: Deployed, key: RSAPrivateKey) -> None:
    seen = proof(deployed, key, Account.create().address)
    assert refusal(deployed, Account.create(), WITH_PROOF, *seen) == "InvalidProof"


def test_a_proof_is_worth_nothing_on_another_contract_or_chain(deployed: Deployed, key: RSAPrivateKey) -> None:
    account: LocalAccount = Account.create()
    peer, public, there = proof(deployed.at(deployed.create("SwarmCoordinator")), key, account.address)
    assert refusal(deployed, account, WITH_PROOF, peer, public, there) == "InvalidProof"
    elsewhere = sign(key, message(deployed, account.address, chain_id=1))
    assert refusal(deployed, account, WITH_PROOF, peer, public, elsewhere) == "InvalidProof"


def test_a_key_proves_no_other_peer_id_than_its_own(deployed: Deployed, key: RSAPrivateKey) -> None:
    account: LocalAccount = Account.create()
    peer, public, signature = proof(deployed, key, account.address)
    for other in ("", peer[:-1], peer + "1", peer.swapcase(), "Qm" + "a" * 44):
        assert refusal(deployed, account, WITH_PROOF, other, public, signature) == "InvalidProof"
    another = public_message(generate_private_key(65537, 2048))
    assert refusal(deployed, account, WITH_PROOF, peer_id_of(another), another, signature) == "InvalidProof"


@pytest.mark.parametrize(("exponent", "bits"), [(3, 2048), (65537, 3072), (65537, 1024)])
def test_other_kinds_of_keys_prove_nothing(deployed: Deployed, exponent: Any, bits: int) -> None:
    account: LocalAccount = Account.create()
    odd = proof(deployed, generate_private_key(exponent, bits), account.address)
    assert refusal(deployed, account, WITH_PROOF, *odd) == "InvalidProof"


def test_a_key_with_something_before_or_behind_it_proves_nothing(deployed: Deployed, key: RSAPrivateKey) -> None:
    account: LocalAccount = Account.create()
    _, public, signature = proof(deployed, key, account.address)
    for dressed in (public + b"\0", b"\0" + public, public[:-1], b"", public[:5] + b"\x31" + public[6:]):
        odd = peer_id_of(dressed), dressed, signature
        assert refusal(deployed, account, WITH_PROOF, *odd) == "InvalidProof"


def test_a_signature_with_anything_changed_proves_nothing(deployed: Deployed, key: RSAPrivateKey) -> None:
    account: LocalAccount = Account.create()
    peer, public, signature = proof(deployed, key, account.address)
    for odd in (b"", b"\0" * 256, b"\xff" * 256, signature[:-1], b"\0" + signature, signature + b"\0"):
        assert refusal(deployed, account, WITH_PROOF, peer, public, odd) == "InvalidProof"

    @settings(max_examples=40, deadline=None, database=None, derandomize=True)
    @given(at=st.integers(0, 255), flip=st.integers(1, 255))
    def change(at: int, flip: int) -> None:
        odd = signature[:at] + bytes([signature[at] ^ flip]) + signature[at + 1 :]
        assert refusal(deployed, account, WITH_PROOF, peer, public, odd) == "InvalidProof"

    change()
    assert ask(deployed, "getEoa", [peer]) == [NOBODY]
