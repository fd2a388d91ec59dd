"""The debate's rules, pure: which answers are discussed, what is asked about them, what a completion earns.

Stage 0   everybody answers the round's questions                              correctness, format
Stage 1   criticise some of the answers, name the best                         format
Stage 2   name the answer that most will call the best, then answer anew       correctness, predicted majority

The plan is that of RL Swarm's technical report. What it leaves open is chosen here: a peer is one ballot, namely what
most of its critiques call the best; the majority is what most ballots name; the answers discussed are at most four,
each another one, from authors in an order that changes with the round and is the same for everybody.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256

from services.trainer.games.debate.record import Answers, Critique, Ref, Topic

DISCUSSED = 4  # answers, and critiques shown
ANSWER_SHOWN, CRITIQUE_SHOWN = 800, 400  # characters
AUTHORS = 16  # remembered for a topic

RIGHT, FORM = 0.8, 0.2  # of stage 0's reward
NAMED, SPOKEN_OF = 0.5, 0.5  # of stage 1's: names an answer that exists; speaks of each by its number
REVISED, FORESEEN = 0.5, 0.5  # of stage 2's

IN_FORM = re.compile(r"\s*<think>.*</think>\s*<answer>.*</answer>\s*", re.DOTALL)
ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
VOTE = re.compile(r"<vote>(.*?)</vote>", re.DOTALL)
NUMBER = re.compile(r"\s*\[?(\d{1,2})\]?\.?\s*")

CRITICISE = """{question}

Answers given:
{answers}

Say of each answer, by its number in brackets, what is right and what is wrong. The number of the best one is the \
final answer."""
VOTE_AND_ANSWER = """{question}

Answers given:
{answers}
{critiques}
Put the number of the answer that most will call the best between <vote> and </vote>. Then give the final answer to \
the question."""


def shorten(text: str, limit: int) -> str:
    """At most about `limit` characters: the beginning, and the end, where the answer stands."""
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}"


def in_turn(authors: Iterable[str], round_number: int) -> list[str]:
    """The authors in the order of a round."""
    return sorted(authors, key=lambda author: sha256(f"{round_number}/{author}".encode()).digest())


def discussed(answers: Sequence[Answers], round_number: int) -> tuple[Ref, ...]:
    """The answers to be discussed: everybody's first, then everybody's second, until there are four different ones.

    Without a single answer between tags, the first text as it is; empty only if nobody said anything.
    """
    by_author = {one.author: one.texts for one in answers if one.texts}
    order, found = in_turn(by_author, round_number), dict[str, Ref]()
    for place in range(max(map(len, by_author.values()), default=0)):
        for author in order:
            text = by_author[author][place] if place < len(by_author[author]) else ""
            if (answer := _last(ANSWER, text)) is not None:
                found.setdefault(" ".join(answer.casefold().split()), Ref(author=author, place=place))
    chosen = tuple(found.values())[:DISCUSSED]
    return chosen or tuple(Ref(author=author, place=0) for author in order[:1])


def critics(topic: Topic, about: Sequence[Ref], round_number: int) -> tuple[str, ...]:
    """Whose critiques are shown: of those who number the answers alike, the first few of the round's order."""
    alike = [critique.author for critique in topic.critiques if critique.about == tuple(about)]
    return tuple(in_turn(alike, round_number)[:DISCUSSED])


def ask_to_criticise(topic: Topic, about: Sequence[Ref]) -> str:
    """The question of stage 1."""
    return CRITICISE.format(question=topic.question.text, answers=_numbered(topic, about))


def ask_to_vote(topic: Topic, about: Sequence[Ref], critics: Sequence[str]) -> str:
    """The question of stage 2."""
    by_author = {critique.author: critique.text for critique in topic.critiques}
    said = "".join(f"- {by_author[author]}\n" for author in critics)
    critiques = f"\nWhat is said about them:\n{said}" if said else ""
    return VOTE_AND_ANSWER.format(question=topic.question.text, answers=_numbered(topic, about), critiques=critiques)


def best(texts: Iterable[str], about: Sequence[Ref]) -> Ref | None:
    """The answer that most of a peer's critiques call the best; of equals, the one with the lowest number."""
    named = Counter(place for text in texts if (place := named_best(text, len(about))) is not None)
    return about[min(named, key=lambda place: (-named[place], place))] if named else None


def majority(critiques: Iterable[Critique], round_number: int) -> Ref | None:
    """The answer that most peers call the best; of equals, the one whose author comes first in the round's order."""
    ballots = Counter(critique.best for critique in critiques if critique.best is not None)
    order = {author: place for place, author in enumerate(in_turn({ref.author for ref in ballots}, round_number))}
    return min(ballots, key=lambda ref: (-ballots[ref], order[ref.author], ref.place), default=None)


def named_best(critique: str, count: int) -> int | None:
    """Which of `count` answers a critique names, from 0; None: none, or one that does not exist."""
    return _choice(ANSWER, critique, count)


def foreseen(text: str, count: int) -> int | None:
    """Which of `count` answers a vote names, from 0; None: none, or one that does not exist."""
    return _choice(VOTE, text, count)


def answered(right: float, text: str) -> float:
    """Reward of stage 0; `right`: what the verifier says, 0 to 1."""
    return RIGHT * right + FORM * bool(IN_FORM.fullmatch(text))


def criticised(text: str, count: int) -> float:
    """Reward of stage 1, for the form alone: `count` answers were to be discussed."""
    prose = ANSWER.sub("", text)
    spoken_of = sum(f"[{number}]" in prose for number in range(1, count + 1)) / count
    return NAMED * (named_best(text, count) is not None) + SPOKEN_OF * spoken_of


def voted(right: float, vote: int | None, most: int | None) -> float:
    """Reward of stage 2; `most`: what the majority called the best, None where nobody named anything."""
    return REVISED * right + FORESEEN * (vote is not None and vote == most)


def _numbered(topic: Topic, about: Sequence[Ref]) -> str:
    return "\n".join(f"[{number}] {topic.text_of(ref)}" for number, ref in enumerate(about, 1))


def _last(tag: re.Pattern[str], text: str) -> str | None:
    found = tag.findall(text)
    return str(found[-1]) if found else None


def _choice(tag: re.Pattern[str], text: str, count: int) -> int | None:
    number = NUMBER.fullmatch(_last(tag, text) or "")
    return int(number[1]) - 1 if number and 1 <= int(number[1]) <= count else None
