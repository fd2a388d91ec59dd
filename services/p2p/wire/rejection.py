"""Why something that came from a peer was dropped."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Closed list: the label of a metric, and the keys of `Exchanged.rejected`."""

    # announcement
    TOO_LARGE = "too_large"  # the announcement, or the body it announces
    MALFORMED = "malformed"  # not what the format says
    WRONG_VERSION = "wrong_version"  # of the announcement's format
    WRONG_SWARM = "wrong_swarm"
    WRONG_ROUND = "wrong_round"
    WRONG_STAGE = "wrong_stage"
    WRONG_PLACE = "wrong_place"  # under the key of another round, stage or bucket than it belongs to
    WRONG_PEER = "wrong_peer"  # speaks for another than its author
    WRONG_KEY = "wrong_key"  # the public key is not the one the peer id was made from
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    FAR_EXPIRATION = "far_expiration"  # would stay in the DHT for too long
    WRONG_EXPIRATION = "wrong_expiration"  # the record's is not the signed one
    PAST_ROUND = "past_round"  # over for long
    FUTURE_ROUND = "future_round"  # will not be open for long
    NOT_MEMBER = "not_member"  # the chain knows no such peer
    CROWDED = "crowded"  # the key has as many subkeys as it may have, or all keys together
    # body
    WRONG_HASH = "wrong_hash"
    WRONG_COUNT = "wrong_count"  # groups, announced and sent
    TOO_MANY = "too_many"  # groups, completions or peers
    COPIED = "copied"  # another peer's rollouts, provably
    REPEATED = "repeated"  # groups that another peer sent before; whose they are cannot be told
    UNREACHABLE = "unreachable"  # the body could not be fetched
    # neither alone is bad
    DUPLICATE = "duplicate"  # a peer's second body of a round
    LATE = "late"  # after the deadline
    QUARANTINED = "quarantined"  # failed too often lately


class Rejected(Exception):
    """A peer's record or body is dropped; `reason` says why."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
