"""The round clock, pure: what is to be done about the open round, from what is known of it and the time.

           nobody has voted          enough votes, or deadline and any vote
    open ---- deadline ---> Extend   open ---> Advance (the last stage of the last round: Finish)

A round in which nobody has voted is never advanced, however long it takes: a swarm whose trainers are all away stands
still and goes on where it stood. While the founder pauses the swarm, no round is advanced whoever has voted.

Where the contract has a clock of its own (`Due`), anybody may end a round that is due. Who leads comes first, the
others after a while, each at another moment:

    opened ------- who leads, as above -------|- nobody -| due: who leads |-- hold_s --| the others, by their turns
                                              due - hold_s               due      due + hold_s          due + 2 hold_s

A stage that is ended by the contract's clock is ended once, whoever else asks for it; so who leads asks for it, too, as
soon as somebody else might.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256

JUMP_S = 1.0  # what a clock is off by less than this is left to it
HOLD = 0.25  # share of a stage's time
HOLD_LEAST_S, HOLD_MOST_S = 1.0, 30.0


@dataclass(frozen=True)
class Rules:
    """When a round ends."""

    leads: bool  # True: this household advances the swarm's rounds
    min_s: float
    max_s: float
    quorum: float  # share of the expected peers, in (0, 1]
    max_rounds: int | None  # None: for ever
    paused: bool = False  # by the founder: lead on later

    @property
    def advances(self) -> bool:
        """A round that is over is advanced from here, now."""
        return self.leads and not self.paused


@dataclass(frozen=True)
class Due:
    """When the open stage ends by the contract's clock."""

    at: float  # unix seconds, by the time of the chain's blocks
    seconds: float  # that a stage has
    turn: float  # of this household among those who may end it, in [0, 1); see `turn`

    @property
    def hold_s(self) -> float:
        """How long everybody gives way to who leads."""
        return min(max(HOLD * self.seconds, HOLD_LEAST_S), HOLD_MOST_S)


@dataclass(frozen=True)
class ClockState:
    """What is known of the open round."""

    rules: Rules
    number: int
    stage: int
    stages: int
    opened_at: float  # unix seconds
    deadline: float  # unix seconds
    voters: int  # peers that are through with it
    expected: int  # peers that should be
    reached: tuple[int, int]  # the latest round and stage this swarm was ever seen in
    due: Due | None = None  # None: the contract has no clock, or we do not look at it
    jump: float = 0.0  # seconds that the time of day was moved by since the last look; see `jumped`


@dataclass(frozen=True)
class Stay:
    """Nothing is to be done."""


@dataclass(frozen=True)
class Extend:
    """Announce the round again with a new deadline."""

    deadline: float  # unix seconds
    opened_at: float | None = None  # unix seconds; None: as before. Another one if the time of day was moved


@dataclass(frozen=True)
class Advance:
    """Put the next stage or round on the chain."""

    by_clock: bool = False  # True: if it is due by the contract's clock, as anybody may; else as only who leads may


@dataclass(frozen=True)
class Finish:
    """The last round is over: advance no more."""


Action = Stay | Extend | Advance | Finish


def tick(state: ClockState, now: float) -> Action:
    """What to do at `now` (unix seconds)."""
    if state.jump:  # as long as before, by the new time
        return Extend(state.deadline + state.jump, opened_at=state.opened_at + state.jump)
    action = _judged(state, now)
    if state.due is None or isinstance(action, Finish):
        return action
    return _by_clock(action, state, state.due, now)


def jumped(day_s: float, steady_s: float) -> float:
    """By how much the time of day was moved while so many seconds passed by it, and by a clock that nobody sets.

    A machine that slept finds its time of day moved on: what its round lacked when it fell asleep is lacking still.
    """
    moved = day_s - steady_s
    return moved if abs(moved) >= JUMP_S else 0.0


def turn(account: str, number: int, stage: int) -> float:
    """When an account's turn is to end a stage that is due: anywhere in [0, 1), in each stage somewhere else."""
    digest = sha256(f"{account.lower()} {number} {stage}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _by_clock(action: Action, state: ClockState, due: Due, now: float) -> Action:
    """The same action under a contract that has a clock."""
    leads = isinstance(action, Advance)
    if leads and now < due.at - due.hold_s:
        return action
    ends = leads or (state.voters > 0 and not state.rules.paused)
    wait_s = 0 if state.rules.leads else due.hold_s * (1 + due.turn)
    if ends and now >= due.at + wait_s:
        return Advance(by_clock=True)
    return Stay() if leads else action


def _judged(state: ClockState, now: float) -> Action:
    """What to do where nobody but who leads ends rounds."""
    rules = state.rules
    if rules.max_rounds is not None and state.number >= rules.max_rounds:
        return Finish()
    if (state.number, state.stage) < state.reached:
        # The chain lost its last moments. This round was over before: its votes are not waited for again.
        return Advance() if rules.advances else Stay()
    if now < state.opened_at:
        return Extend(now + rules.max_s, opened_at=now)  # or everybody would wait for the hour that was taken back
    if is_over(state, now):
        if is_final(rules, state.number) and state.stage + 1 >= state.stages:
            return Finish()
        if rules.advances:
            return Advance()
    # Beyond the longest time there is: it was made shorter since the round was opened.
    return Stay() if now < state.deadline <= now + rules.max_s else Extend(now + rules.max_s)


def is_over(state: ClockState, now: float) -> bool:
    """Enough peers are through with the round, or some are and its time is up; but not before its least time."""
    if state.voters == 0:
        return False
    enough = state.voters >= needed(state.rules.quorum, state.expected)
    return (enough or now >= state.deadline) and now - state.opened_at >= state.rules.min_s


def is_final(rules: Rules, number: int) -> bool:
    """No round follows this one."""
    return rules.max_rounds is not None and number + 1 == rules.max_rounds


def needed(quorum: float, expected: int) -> int:
    """Votes that end a round early; the small term keeps 0.1 of 30 at 3."""
    return max(1, math.ceil(quorum * expected - 1e-9))
