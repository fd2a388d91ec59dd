"""Identities: the same files and the same names as stock RL Swarm nodes; never torn, never replaced by mistake."""

from __future__ import annotations

import stat

import base58
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from services.p2p.network.identities import load_or_create
from services.p2p.wire.keys import is_signed, peer_id_of, public_message, read_private, unwrap, wrap
from shared.errors import SwarmError
from tests.p2p_kit import identity

ANN = identity("ann")


def test_an_identity_is_made_once_and_kept(tmp_path):
    path = tmp_path / "deep" / "swarm.pem"
    first, second = load_or_create(path), load_or_create(path)
    assert first.peer_id == second.peer_id
    assert first.peer_id.startswith("Qm")
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert [file.name for file in path.parent.iterdir()] == ["swarm.pem"]


def test_the_file_is_a_protobuf_private_key():
    content = ANN.path.read_bytes()
    assert content[:4] == b"\x08\x00\x12\xa9" or content[:3] == b"\x08\x00\x12"
    assert content[5 + 0 :][:2] != b"--"
    assert public_message(read_private(content)) == ANN.public_key
    assert base58.b58decode(ANN.peer_id)[:2] == b"\x12\x20"


@pytest.mark.parametrize("cut", [0, 1, 3, 100, -1])
def test_a_torn_identity_is_named_and_left_alone(tmp_path, cut):
    path = tmp_path / "swarm.pem"
    torn = ANN.path.read_bytes()[:cut]
    path.write_bytes(torn)
    with pytest.raises(SwarmError, match=r"swarm\.pem is not a libp2p identity.*backup"):
        load_or_create(path)
    assert path.read_bytes() == torn


@pytest.mark.parametrize(
    "content", [b"-----BEGIN RSA PRIVATE KEY-----\n", b"\x00" * 1_200, wrap(b"\x30\x03\x02\x01\x00")]
)
def test_garbage_is_no_identity(tmp_path, content):
    (tmp_path / "swarm.pem").write_bytes(content)
    with pytest.raises(SwarmError, match="not a libp2p identity"):
        load_or_create(tmp_path / "swarm.pem")


def test_another_kind_of_key_is_no_identity():
    der = Ed25519PrivateKey.generate().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="RSA"):
        read_private(wrap(der))


def test_an_unreadable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SwarmError, match="cannot be used"):
        load_or_create(tmp_path / "file" / "swarm.pem")


def test_a_draft_of_a_killed_run_is_in_nobodys_way(tmp_path):
    import os

    (tmp_path / f".swarm.pem.{os.getpid()}").write_bytes(b"half")
    assert load_or_create(tmp_path / "swarm.pem").peer_id


def test_a_signature_belongs_to_a_key_and_a_text():
    signature = ANN.sign(b"text")
    assert is_signed(ANN.public_key, signature, b"text")
    assert not is_signed(ANN.public_key, signature, b"other")
    assert not is_signed(identity("eve").public_key, signature, b"text")


def test_weak_slow_and_strange_keys_sign_nothing():
    small, odd = generate_private_key(65537, 1024), generate_private_key(3, 2048)
    edwards = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    from services.p2p.wire.keys import sign

    assert not is_signed(public_message(small), sign(small, b"x"), b"x")
    assert not is_signed(public_message(odd), sign(odd, b"x"), b"x")
    assert not is_signed(wrap(edwards), b"", b"x")


@given(st.binary(max_size=400), st.binary(max_size=300))
def test_no_bytes_make_the_check_raise(key, signature):
    assert not is_signed(key, signature, b"x")
    assert not is_signed(wrap(key), signature, b"x")


@given(st.binary(min_size=1, max_size=20_000))
def test_wrap_and_unwrap_are_each_others_reverse(der):
    assert unwrap(wrap(der)) == der


def test_peer_ids_differ():
    assert peer_id_of(ANN.public_key) == ANN.peer_id != identity("eve").peer_id
