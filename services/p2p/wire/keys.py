"""libp2p's RSA keys and peer ids: protobuf `{type: RSA, data: DER}` and base58 of its sha256 multihash."""

from __future__ import annotations

from hashlib import sha256

import base58
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

TYPE_RSA = b"\x08\x00"  # field 1, varint 0
DATA = b"\x12"  # field 2, bytes
SHA2_256 = b"\x12\x20"  # multihash: code and length
EXPONENT = 65537  # any other makes a signature slow to check, or is a trick
BITS = range(2048, 4097)


def wrap(der: bytes) -> bytes:
    """The protobuf message round a key."""
    size, varint = len(der), bytearray()
    while size > 127:
        varint.append(size & 127 | 128)
        size >>= 7
    varint.append(size)
    return TYPE_RSA + DATA + bytes(varint) + der


def unwrap(message: bytes) -> bytes:
    """The key inside of the protobuf message; ValueError if it is anything but what `wrap` makes."""
    for varint_size in (1, 2, 3):
        der = message[3 + varint_size :]
        if der and wrap(der) == message:
            return der
    raise ValueError("not a protobuf RSA key")


def peer_id_of(public_key: bytes) -> str:
    """The peer id of a public key (protobuf)."""
    return base58.b58encode(SHA2_256 + sha256(public_key).digest()).decode()


def private_message(key: RSAPrivateKey) -> bytes:
    """The content of swarm.pem: protobuf PrivateKey of PKCS#1 DER."""
    return wrap(key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def public_message(key: RSAPrivateKey) -> bytes:
    """Protobuf PublicKey of SubjectPublicKeyInfo DER."""
    return wrap(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def read_private(message: bytes) -> RSAPrivateKey:
    """The private key of a swarm.pem; ValueError if it is none."""
    try:
        key = load_der_private_key(unwrap(message), None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("not an RSA private key") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not an RSA private key")
    return key


def sign(key: RSAPrivateKey, text: bytes) -> bytes:
    """Signature of `text`."""
    return key.sign(text, PKCS1v15(), SHA256())


def is_signed(public_key: bytes, signature: bytes, text: bytes) -> bool:
    """Whether `signature` of `text` was made by the owner of this public key (protobuf). Never raises."""
    try:
        key = load_der_public_key(unwrap(public_key))
        if not isinstance(key, RSAPublicKey) or key.key_size not in BITS or key.public_numbers().e != EXPONENT:
            return False
        key.verify(signature, text, PKCS1v15(), SHA256())
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True
