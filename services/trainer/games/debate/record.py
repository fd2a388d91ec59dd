"""What was said in a debate so far: topics, everybody's answers, critiques. Plain JSON, for the checkpoint."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.messages import MAX_COMPLETIONS, PeerId, Question, Text


class Ref(BaseModel):
    """One of a peer's answers to a question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: PeerId
    place: int = Field(ge=0, lt=MAX_COMPLETIONS)  # among the completions of its group


class Answers(BaseModel):
    """A peer's first few answers to a question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: PeerId
    texts: tuple[Text, ...]  # shortened


class Critique(BaseModel):
    """What a peer says about answers, and which it calls the best."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: PeerId
    about: tuple[Ref, ...]
    text: Text  # shortened
    best: Ref | None  # None: it named none


class Topic(BaseModel):
    """A question of the round and what was said about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: Question
    answers: tuple[Answers, ...] = ()
    critiques: tuple[Critique, ...] = ()

    def text_of(self, ref: Ref) -> str | None:
        """The answer meant; None: we know of none such."""
        texts = next((one.texts for one in self.answers if one.author == ref.author), ())
        return texts[ref.place] if ref.place < len(texts) else None


class Record(BaseModel):
    """A round's debate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    swarm: str = ""
    round: int = -1
    topics: tuple[Topic, ...] = ()

    def topic(self, text: str) -> Topic | None:
        """The topic that asks this."""
        return next((topic for topic in self.topics if topic.question.text == text), None)


class Part(BaseModel):
    """What a question of a later stage is made from; stands in its metadata as `debate`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Annotated[int, Field(ge=1, le=2)]  # 1: criticise, 2: vote and answer anew
    topic: Text  # the question that is debated
    about: tuple[Ref, ...] = Field(min_length=1, max_length=8)  # the answers, as they are numbered in the question
    critics: tuple[PeerId, ...] = Field(default=(), max_length=8)  # whose critiques are shown
