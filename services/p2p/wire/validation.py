"""A peer's body, judged: bytes -> Rollouts, or the reason why not. Pure."""

from __future__ import annotations

from hashlib import sha256

from pydantic import ValidationError

from services.p2p.wire.announcement import Announcement
from services.p2p.wire.rejection import Reason, Rejected
from shared.messages import Rollouts


def body_of(rollouts: Rollouts) -> bytes:
    """What travels: UTF-8 JSON. Nobody is told that it is signed: that is seen."""
    return rollouts.model_dump_json(exclude={"signed"}).encode()


def validate(body: bytes, announcement: Announcement, *, limit: int) -> Rollouts:
    """The rollouts in a body that this announcement announced. Raises Rejected."""
    if len(body) > limit or announcement.size > limit:
        raise Rejected(Reason.TOO_LARGE)
    if len(body) != announcement.size or sha256(body).hexdigest() != announcement.sha256:
        raise Rejected(Reason.WRONG_HASH)
    rollouts = _read(body)
    if rollouts.peer_id != announcement.peer:
        raise Rejected(Reason.WRONG_PEER)
    if rollouts.round != announcement.round:
        raise Rejected(Reason.WRONG_ROUND)
    if rollouts.stage != announcement.stage:
        raise Rejected(Reason.WRONG_STAGE)
    if (len(rollouts.groups), rollouts.informative) != (announcement.groups, announcement.informative):
        raise Rejected(Reason.WRONG_COUNT)
    return rollouts


def _read(body: bytes) -> Rollouts:
    try:
        # Strict: "1" is no number and 1.0 no round. The parser itself bounds nesting and refuses broken UTF-8.
        rollouts = Rollouts.model_validate_json(body, strict=True)
    except ValidationError as error:
        many = any(problem["type"] == "too_long" for problem in error.errors(include_url=False, include_input=False))
        raise Rejected(Reason.TOO_MANY if many else Reason.MALFORMED) from error
    if "signed" in rollouts.model_fields_set:
        raise Rejected(Reason.MALFORMED)
    return rollouts
