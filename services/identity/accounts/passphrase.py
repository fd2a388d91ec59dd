"""The owner's passphrase: which ones are good enough, and their argon2id hashes."""

from __future__ import annotations

import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 12, 256
# Those of 12 characters and more that stand in every list of leaked ones, and what people write in our place.
_LEAKED = """
    123456789012 1234567890123 12345678901234 123456789123 123123123123 111111111111 000000000000 987654321098
    1q2w3e4r5t6y 1qaz2wsx3edc qwertyuiop123 qwertyuiop[] qwertyuiopas qwerty123456 qwerty1234567 qwertyqwerty
    q1w2e3r4t5y6 password1234 password12345 password123456 passwordpassword passw0rd1234 password123! mypassword123
    administrator administrator1 adminadmin123 adminadminadmin changeme1234 changemechangeme letmeinletmein
    letmein12345 welcome12345 welcomewelcome iloveyou1234 iloveyouiloveyou unbelievable abcdefghijkl abcdefghijklm
    abcdefghijklmnop abc123abc123 abcd12345678 aaaaaaaaaaaa asdfghjkl123 asdfasdfasdf zxcvbnm12345 football1234
    princess1234 dragondragon sunshine1234 superman1234 monkeymonkey trustno1trustno1 starwars1234 rlswarmrlswarm
    correcthorsebatterystaple passphrase123 passphrasepassphrase localhost3000 secretsecret
"""
COMMON = frozenset(_LEAKED.split())


def normal(text: str) -> str:
    """The same letters whatever keyboard or system they come from (Unicode NFKC)."""
    return unicodedata.normalize("NFKC", text)


def weakness(passphrase: str, name: str) -> str | None:
    """Why this passphrase will not do; None if it will."""
    if len(passphrase) < SHORTEST:
        return f"A passphrase has at least {SHORTEST} characters; a few random words make a good one."
    if len(passphrase) > LONGEST:
        return f"A passphrase has at most {LONGEST} characters."
    plain = "".join(passphrase.casefold().split())
    if plain in COMMON or len(set(plain)) < 4:
        return "This passphrase is one of the first that anybody would try."
    own = "".join(name.casefold().split())
    if own and len(plain.replace(own, "")) < 4:
        return "This passphrase is the name and little more."
    return None


class Hashes:
    """argon2id with the parameters of RFC 9106 for machines of little memory (64 MiB, 3 passes)."""

    def __init__(self, *, fast: bool = False) -> None:
        self._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1) if fast else PasswordHasher()
        self._turn = threading.Lock()  # one at a time: a flood of logins takes no more than 64 MiB
        self._dummy = self._hasher.hash("nobody has this passphrase")

    def make(self, passphrase: str) -> str:
        """The hash to keep."""
        with self._turn:
            return self._hasher.hash(passphrase)

    def fits(self, kept: str | None, passphrase: str) -> bool:
        """Whether the passphrase is the one; where there is none to compare with, the work is the same."""
        with self._turn:
            try:
                return self._hasher.verify(kept or self._dummy, passphrase) and kept is not None
            except (VerificationError, InvalidHashError):
                return False

    def outdated(self, kept: str) -> bool:
        """Whether it was made with other parameters than those of now."""
        return self._hasher.check_needs_rehash(kept)
