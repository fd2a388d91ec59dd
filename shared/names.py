"""A peer's name for people: two adjectives and an animal, always the same for the same peer id.

The lists in `words/` are part of the naming: a word added, dropped or moved renames peers.
"""

from __future__ import annotations

from hashlib import md5
from pathlib import Path

WORDS = Path(__file__).parent / "words"
ADJECTIVES = tuple((WORDS / "adjectives.txt").read_text().split())
ANIMALS = tuple((WORDS / "animals.txt").read_text().split())


def name_of(peer_id: str, separator: str = " ") -> str:
    """The peer's name: md5 of the id's text; byte 2 picks the first adjective, byte 1 the second, byte 0 the animal."""
    digest = md5(peer_id.encode(), usedforsecurity=False).digest()
    first, second = (ADJECTIVES[byte % len(ADJECTIVES)] for byte in (digest[2], digest[1]))
    return separator.join((first, second, ANIMALS[digest[0] % len(ANIMALS)]))
