"""The identities this household hosts: one RSA key a peer, kept in files that stock RL Swarm nodes can read too."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from services.p2p.wire.keys import EXPONENT, peer_id_of, private_message, public_message, read_private, sign
from shared.errors import SwarmError

log = logging.getLogger(__name__)

PROVABLE_BITS = 2048


@dataclass(frozen=True)
class Identity:
    """A hosted peer: its id and the key that proves it."""

    path: Path
    key: RSAPrivateKey
    public_key: bytes  # protobuf
    peer_id: str

    @property
    def provable(self) -> bool:
        """Whether a contract can check what this peer signs."""
        return self.key.key_size == PROVABLE_BITS and self.key.public_key().public_numbers().e == EXPONENT

    def sign(self, text: bytes) -> bytes:
        """Signature of `text` by this peer."""
        return sign(self.key, text)


def load_or_create(path: Path) -> Identity:
    """The identity kept at `path`, made if there is none. Raises SwarmError if the file is not an identity."""
    try:
        if not path.exists():
            _write(path, private_message(generate_private_key(EXPONENT, PROVABLE_BITS)))
        content = path.read_bytes()
    except OSError as error:
        raise SwarmError(
            f"the identity {path} cannot be used ({error.strerror})", "see the permissions of the file and its folder"
        ) from error
    try:
        key = read_private(content)
    except ValueError as error:
        raise SwarmError(
            f"{path} is not a libp2p identity ({len(content)} bytes, {error})",
            "restore it from a backup, or delete it to become a new peer",
        ) from error
    public_key = public_message(key)
    return Identity(path.resolve(), key, public_key, peer_id_of(public_key))


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Nobody else on this machine is the peer of this file while the block lasts. Raises SwarmError."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SwarmError(
                f"another p2p service runs as the peer of {path}",
                "stop it, or set IDENTITY_PATH to another file: two of one name take each other's connections",
            ) from error
        except OSError as error:  # a file system without locks; a clone would still be seen in the network
            log.warning("%s cannot be locked: %s", path, error.strerror)
        yield


def _write(path: Path, content: bytes) -> None:
    """All or nothing: a process killed here leaves no torn identity behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
