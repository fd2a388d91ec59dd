"""The debate as a game: `rules.py` on what `record.py` remembers.

    stage 0   the round's questions, the same for everybody ---> answers
    stage 1   a question, and answers given to it -------------> critiques
    stage 2   the same, and what is said about the answers ----> votes, answers anew

Who heard nothing in the earlier stages (it came late, or was cut off) answers the round's questions instead; a lone
peer debates its own answers. What a peer sends in stages 1 and 2 is asked from answers that we heard as well, or it is
left out: its question is put together here, and has to come out the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from pydantic import JsonValue, ValidationError

from services.trainer.games.debate import rules
from services.trainer.games.debate.record import Answers, Critique, Part, Record, Topic
from services.trainer.games.game import AnswerGame, in_time
from services.trainer.learning.rollout import Scored
from shared.messages import MAX_GROUPS, MAX_TEXT, Group, Question, Rollouts, Round
from shared.tasks import DEBATE_SEED

TOPICS = 16  # of a round that are remembered


class DebateGame(AnswerGame):
    """See the module."""

    stages = 3
    _record = Record()

    def sample(self, step: int, questions: range, round_: Round | None = None) -> list[Scored]:
        """See `Game.sample`."""
        if round_ is None:
            return super().sample(step, questions)
        asked = self._later(round_) if round_.stage else []
        return self.complete(step, asked[: len(questions)] or self._opening(round_.number, len(questions)))

    def reward(self, question: Question, text: str) -> float:
        """See `AnswerGame.reward`."""
        part = _part(question)
        if part is None:
            return rules.answered(self.tasks.score(question, text), text)
        if part.stage == 1:
            return rules.criticised(text, len(part.about))
        topic = self._record.topic(part.topic)
        most = rules.majority(topic.critiques if topic else (), self._record.round)
        place = part.about.index(most) if most in part.about else None
        task = question.model_copy(update={"text": part.topic})
        return rules.voted(self.tasks.score(task, text), rules.foreseen(text, len(part.about)), place)

    def score(self, rollouts: Rollouts) -> list[Scored]:
        """See `Game.score`."""
        found = []
        for group in in_time(rollouts.groups, partial(self.refuse, rollouts)):
            reason, question = self._verdict(rollouts, group)
            if reason:
                self.refuse(rollouts, reason)
            elif question is not None:
                rewards = tuple(self.reward(question, completion.text) for completion in group.completions)
                found.append(Scored(rollouts.peer_id, question, group.completions, rewards))
        return found

    def hear(self, round_: Round, groups: Sequence[Scored]) -> None:
        """See `Game.hear`."""
        if (self._record.swarm, self._record.round) != (round_.swarm, round_.number):
            self._record = Record(swarm=round_.swarm, round=round_.number)
        topics = {topic.question.text: topic for topic in self._record.topics}
        for question in self._opening(round_.number, TOPICS):
            topics.setdefault(question.text, Topic(question=question))
        for group in groups:
            part = _part(group.question)
            text = group.question.text if part is None else part.topic
            if text in topics:
                topics[text] = _with(topics[text], group, part, round_.number)
        kept = tuple(topic for topic in topics.values() if topic.answers)
        self._record = self._record.model_copy(update={"topics": kept})

    def state(self) -> dict[str, JsonValue]:
        """See `Game.state`."""
        return self._record.model_dump(mode="json")

    def restore(self, state: Mapping[str, JsonValue]) -> None:
        """See `Game.restore`; what is not understood was said in a round that is over."""
        try:
            self._record = Record.model_validate(state)
        except ValidationError:
            self._record = Record()

    def _opening(self, round_number: int, count: int) -> list[Question]:
        """The round's first questions."""
        return [self.tasks.question(round_number * MAX_GROUPS + k, DEBATE_SEED) for k in range(count)]

    def _later(self, round_: Round) -> list[Question]:
        """What this peer asks itself in stage 1 or 2; empty if it heard nothing in the stages before."""
        if (self._record.swarm, self._record.round) != (round_.swarm, round_.number):
            return []
        asked = []
        for topic in self._record.topics:
            about = rules.discussed(topic.answers, round_.number)
            critics = rules.critics(topic, about, round_.number) if round_.stage > 1 else ()
            part = Part(stage=min(round_.stage, 2), topic=topic.question.text, about=about, critics=critics)
            if (question := _ask(topic, part)) is not None:
                asked.append(question)
        return asked

    def _verdict(self, rollouts: Rollouts, group: Group) -> tuple[str, Question | None]:
        """A reason of REFUSED_GROUPS ("": none), and a peer's question as it is put together here."""
        try:
            part = _part(group.question)
        except ValidationError:
            return "altered", None
        if part is None:
            return self.tasks.verdict(group.question)
        if part.stage != min(rollouts.stage, 2):
            return "wrong_stage", None
        topic = self._record.topic(part.topic) if self._record.round == rollouts.round else None
        known = {critique.author: critique.about for critique in topic.critiques} if topic else {}
        answers = topic is not None and all(topic.text_of(ref) is not None for ref in part.about)
        if topic is None or not answers or any(known.get(author) != part.about for author in part.critics):
            return "unknown_answer", None
        question = _ask(topic, part)
        altered = question is None or question.text != group.question.text
        return ("altered", None) if altered else ("", question)


def _ask(topic: Topic, part: Part) -> Question | None:
    """The question of a later stage; None if it would be too long."""
    if part.stage == 1:
        text = rules.ask_to_criticise(topic, part.about)
    else:
        text = rules.ask_to_vote(topic, part.about, part.critics)
    if len(text) > MAX_TEXT:
        return None
    metadata = {**topic.question.metadata, "debate": part.model_dump(mode="json")}
    return topic.question.model_copy(update={"text": text, "metadata": metadata})


def _part(question: Question) -> Part | None:
    """What a later stage's question is made from; None: it is one of stage 0. Raises ValidationError."""
    told = question.metadata.get("debate")
    return None if told is None else Part.model_validate(told)


def _with(topic: Topic, group: Scored, part: Part | None, round_number: int) -> Topic:
    """A topic, and what one more group says about it; a peer's first word stands."""
    texts = [completion.text for completion in group.completions]
    if part is None:
        shown = tuple(rules.shorten(text, rules.ANSWER_SHOWN) for text in texts[: rules.DISCUSSED])
        by_author = {one.author: one for one in (Answers(author=group.author, texts=shown), *reversed(topic.answers))}
        kept = rules.in_turn(by_author, round_number)[: rules.AUTHORS]
        return topic.model_copy(update={"answers": tuple(by_author[author] for author in kept)})
    if part.stage != 1 or any(critique.author == group.author for critique in topic.critiques):
        return topic
    critique = Critique(
        author=group.author,
        about=part.about,
        text=rules.shorten(texts[0], rules.CRITIQUE_SHOWN),
        best=rules.best(texts, part.about),
    )
    return topic.model_copy(update={"critiques": (*topic.critiques, critique)})
