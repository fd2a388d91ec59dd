"""Rollouts as stock nodes play them, and as we do. Pure.

    {md5 of the question: [{__type__: Payload, actions: [completion, ...], metadata,
                            world_state: {__type__: WorldState, environment_states: {question, answer, metadata},
                                          opponent_states, personal_states}}]}

What a stock node's text cannot tell is whether the model ended it or was cut off. So no completion of it counts as
finished: the learner puts an end token behind finished ones only, and to teach no end is never wrong, while to teach
one in the middle of a sentence is.

What we write is marked as ours (`metadata`, which stock nodes keep and never read), so that others of our kind, who
have the same under a signature, leave it alone. It is never None: some versions take that for a torn payload.
"""

from __future__ import annotations

from hashlib import md5
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, TypeAdapter, ValidationError

from services.p2p.bridge.layouts import Unreadable, read, write
from shared.messages import MAX_COMPLETIONS, MAX_TEXT, Completion, Group, Question, Rollouts

# A stock node ends when it is to score a question of a set that its reasoning-gym does not have: it gets only what is
# in its own two mixes.
SETS = frozenset(
    {
        "arc_1d",
        "base_conversion",
        "basic_arithmetic",
        "bf",
        "binary_matrix",
        "calendar_arithmetic",
        "decimal_arithmetic",
        "fraction_simplification",
        "propositional_logic",
    }
)
MAX_GROUPS = 16  # of one stock node in a round; they ask two questions
OURS = "rlswarm"  # the mark
VALUE = range(2_048, 65_536)  # bytes that one of us may write under the key that all share
SHARED = 1_048_576  # bytes that everybody's together may come to: a dictionary of 4 MiB is lost to all its readers

_Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class _Metadata(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    source_dataset: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class _Environment(_Strict):
    question: _Text
    answer: _Text | None
    metadata: _Metadata


class _World(_Strict):
    kind: Literal["WorldState"] = Field(alias="__type__")
    environment_states: _Environment
    opponent_states: JsonValue
    personal_states: JsonValue


class _Payload(_Strict):
    kind: Literal["Payload"] = Field(alias="__type__")
    world_state: _World
    actions: list[_Text] = Field(min_length=1, max_length=MAX_COMPLETIONS)
    metadata: JsonValue

    @property
    def batch(self) -> str:
        """Under what name it has to stand."""
        return batch_of(self.world_state.environment_states.question)

    @property
    def group(self) -> Group:
        """The same as we say it."""
        asked = self.world_state.environment_states
        question = Question(
            text=asked.question,
            answer=asked.answer,
            dataset=asked.metadata.source_dataset,
            metadata=asked.metadata.model_dump(),
        )
        return Group(question=question, completions=tuple(Completion(text=one, finished=False) for one in self.actions))


_PAYLOADS: TypeAdapter[dict[str, list[_Payload]]] = TypeAdapter(dict[str, list[_Payload]])


def batch_of(question: str) -> str:
    """What stock nodes call a question."""
    return md5(question.encode(), usedforsecurity=False).hexdigest()


def groups_of(value: bytes) -> tuple[Group, ...]:
    """A stock node's groups; none if one of our own kind wrote it. Raises Unreadable."""
    try:
        batches = _PAYLOADS.validate_python(read(value))
        payloads = [payload for batch in batches.values() for payload in batch]
        if any(isinstance(payload.metadata, dict) and OURS in payload.metadata for payload in payloads):
            return ()
        if not 0 < len(payloads) <= MAX_GROUPS:
            raise Unreadable(f"{len(payloads)} groups")
        if any(payload.batch != name for name, batch in batches.items() for payload in batch):
            raise Unreadable("a batch that is not named after its question")
        return tuple(payload.group for payload in payloads)
    except ValidationError as error:
        raise Unreadable(f"{error.error_count()} fields are wrong") from error


def value_of(rollouts: Rollouts, *, completions: int, room: int) -> bytes | None:
    """What to write for stock nodes: the first groups that fit into `room` bytes, each cut to `completions`.

    Stock nodes leave out groups of another number of completions than they sample themselves. None: nothing fits.
    """
    written: bytes | None = None
    batches: dict[str, list[dict[str, Any]]] = {}
    for group in rollouts.groups:
        if group.question.dataset not in SETS or len(group.completions) < completions:
            continue
        batches[batch_of(group.question.text)] = [_payload(group, completions)]
        if len(value := write(batches)) > room:
            break
        written = value
    return written


def room(peers: int) -> int:
    """Bytes for one value where so many peers write under one key."""
    return max(VALUE.start, min(VALUE.stop, SHARED // max(1, peers)))


def _payload(group: Group, completions: int) -> dict[str, Any]:
    question = group.question
    metadata = {**question.metadata, "source_dataset": question.dataset}
    asked = {"question": question.text, "answer": question.answer, "metadata": metadata}
    world = {"__type__": "WorldState", "environment_states": asked, "opponent_states": None, "personal_states": None}
    return {
        "__type__": "Payload",
        "world_state": world,
        "actions": [completion.text for completion in group.completions[:completions]],
        "metadata": {OURS: 1},
    }
