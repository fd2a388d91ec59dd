"""The rollouts that are sent round: real questions, and answers that quote them, four words at a time, at random.

What is drawn repeats itself less than eight answers of a model to one question, so a body shrinks less on its way than
real ones do: to a sixth; those of the embedded model to an eighth. Every engine sends the same texts.
"""

from __future__ import annotations

from random import Random

import reasoning_gym

from services.p2p.wire.validation import body_of
from shared.messages import Completion, Group, Question, Rollouts

GROUPS, G, INFORMATIVE = 8, 8, 4
QUOTED = 4  # words
SETS = ("basic_arithmetic", "propositional_logic", "base_conversion", "calendar_arithmetic")


def questions_of(random: Random) -> list[Question]:
    """Two of each set, others for each state of `random`."""
    seed = random.getrandbits(31)
    made = [(name, item) for name in SETS for item in reasoning_gym.create_dataset(name, seed=seed, size=2)]
    return [Question(text=item["question"], answer=str(item["answer"]), dataset=name) for name, item in made]


def rollouts_of(peer: str, kilobytes: int) -> Rollouts:
    """A peer's rollouts of about so many thousand bytes: `GROUPS` groups of `G`."""
    random = Random(peer)  # each its own: what repeats another's is refused
    questions = questions_of(random)
    words = [word for question in questions for word in question.text.split()]
    starts = random.choices(range(len(words)), k=250 * kilobytes)
    drawn = " ".join(word for start in starts for word in words[start : start + QUOTED])

    def filled(size: int) -> Rollouts:
        texts = iter(drawn[place : place + size] for place in range(0, GROUPS * G * size or 1, size or 1))
        groups = tuple(
            Group(
                question=question,
                completions=tuple(Completion(text=next(texts, ""), finished=True) for _ in range(G)),
            )
            for question in questions
        )
        return Rollouts(peer_id=peer, round=1, stage=0, groups=groups, informative=INFORMATIVE)

    return filled(max(0, 1_000 * kilobytes - len(body_of(filled(0)))) // (GROUPS * G))
