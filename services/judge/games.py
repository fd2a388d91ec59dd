"""Games of the prediction market, made up of the mix's questions; pure.

    a held-out question, its answer, wrong answers --> choices in a secret order
    clue 0: the question;   each further clue rules one wrong choice out

The questions come from a seed that nobody else knows. The wrong choices are right answers to other questions of the
same set: so they look like answers, and nothing but the question tells which one is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from shared.market import NOT, Proposal
from shared.tasks import Deck, Entry

CHOICES = 4
CLUES = 3  # the question, and two wrong choices that are ruled out: two are left at the last
LONGEST = 200  # characters of a choice
LOOKED_AT = 400  # items, for one question with its choices
RIGHT = 1 - 1e-9  # score of a right answer


class NoGame(Exception):
    """The mix has no question of which a game can be made."""


def compose(deck: Deck, random: Random, now: float) -> Proposal:
    """A game; `deck` and `random` are of secret seeds. Raises NoGame."""
    for number in range(LOOKED_AT):
        entry = deck.held_out(number)
        if (right := _choice(entry)) is None:
            continue
        wrong = _wrong(deck, entry, right, number)
        if len(wrong) == CHOICES - 1:
            return _proposal(entry["question"], right, wrong, random, now)
    raise NoGame("no question of the mix has a short answer, and others of its set another one")


def _wrong(deck: Deck, entry: Entry, right: str, number: int) -> list[str]:
    """Answers to other questions of the same set that are no answer to this one."""
    name, found = entry["metadata"]["source_dataset"], list[str]()
    for other in _others(deck, name, number):
        known = {_plain(choice) for choice in (right, *found)}
        if _plain(other) not in known and deck.grade(other, name, entry) < RIGHT:
            found.append(other)
        if len(found) == CHOICES - 1:
            break
    return found


def _others(deck: Deck, name: str, number: int) -> Iterator[str]:
    for place in range(1, LOOKED_AT):
        if (choice := _choice(deck.item(number + place, name))) is not None:
            yield choice


def _choice(entry: Entry) -> str | None:
    """An answer that can stand on a line of its own."""
    answer = None if entry["answer"] is None else str(entry["answer"]).strip()
    return answer if answer and len(answer) <= LONGEST and "\n" not in answer else None


def _proposal(question: str, right: str, wrong: list[str], random: Random, now: float) -> Proposal:
    choices = random.sample([right, *wrong], CHOICES)
    out = random.sample(wrong, CLUES - 1)
    clues = ["\n".join([question.strip(), *(NOT + choice for choice in out[:shown])]) for shown in range(CLUES)]
    return Proposal(
        id=random.randbytes(8).hex(),
        question=question,
        choices=tuple(choices),
        clues=tuple(clues),
        answer=choices.index(right),
        salt="0x" + random.randbytes(32).hex(),
        made_at=now,
    )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
