"""One run of the study: a swarm from its first round to its exam."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from benchmarks.sapo.study import Run, Study, settings_of
from benchmarks.sapo.swarm import Node, Turn, peers, play
from benchmarks.sapo.weights import start_model
from services.trainer.games.tasks import Tasks
from services.trainer.learning.mixing import shuffled
from services.trainer.learning.picks import PICKS, Memory, Offer, Pick, Picked

EXAM_SEED = 0
DECIMALS = 4


class NodeRow(BaseModel):
    """What came of one node."""

    model_config = ConfigDict(frozen=True)

    cumulative_reward: float
    generated_tokens: int
    final_level: float


class Row(BaseModel):
    """What came of a run."""

    model_config = ConfigDict(frozen=True)

    regime: str
    arm: str
    pick: str
    local: int  # I
    external: int  # J
    sampled: int  # groups sampled by a node in a round
    seed: int
    cumulative_reward: float  # sum over the rounds of the mean reward of own completions, mean over the nodes
    generated_tokens: int  # of all nodes
    final_level: float  # mean reward on the exam after the last round, mean over the nodes
    nodes: tuple[NodeRow, ...]
    reward: tuple[float, ...]  # of each round: mean over the nodes
    informative: tuple[float, ...]  # share of the groups sampled that were informative
    local_groups: tuple[float, ...]  # informative ones of an update, sampled here in that round
    external_groups: tuple[float, ...]  # and all others

    @property
    def reward_per_million_tokens(self) -> float:
        """What the swarm earned for what it generated."""
        return 1e6 * self.cumulative_reward * len(self.nodes) / self.generated_tokens


def unfiltered(offer: Offer, memory: Memory, random: Random) -> Picked:
    """The study's control: I and J groups drawn uniformly from all, flat ones too."""
    ours, theirs = (shuffled(groups, random) for groups in (offer.local, offer.external))
    return Picked([*ours[: offer.i], *theirs[: offer.j]], memory)


def conduct(study: Study, run: Run, folder: Path, tell: Callable[[], None] = lambda: None) -> Row:
    """Train a swarm; `tell` is called after each round."""
    arm, regime = study.arms[run.arm], study.regimes[run.regime]
    pick: Pick = unfiltered if arm.pick == "unfiltered" else PICKS[arm.pick]
    models = [start_model(careful, study.fit_steps, folder) for careful in regime.careful]
    told = [settings_of(study, run, models[place % len(models)]) for place in range(study.nodes)]
    nodes = [Node(settings, peer, pick) for settings, peer in zip(told, peers(study.nodes), strict=True)]
    rounds = []
    for turns in play(nodes, regime.rounds, shared=arm.external > 0):
        rounds.append(turns)
        tell()
    exam = Tasks(told[0].data, EXAM_SEED)
    levels = [node.level(exam, study.exam_questions) for node in nodes]
    ends = [_ended([turns[place] for turns in rounds], level) for place, level in enumerate(levels)]
    return Row(
        regime=run.regime,
        arm=run.arm,
        pick=arm.pick,
        local=arm.local,
        external=arm.external,
        sampled=arm.sampled,
        seed=run.seed,
        cumulative_reward=round(fmean(end.cumulative_reward for end in ends), DECIMALS),
        generated_tokens=sum(end.generated_tokens for end in ends),
        final_level=round(fmean(levels), DECIMALS),
        nodes=tuple(ends),
        reward=_curve(rounds, lambda turn: turn.reward),
        informative=_curve(rounds, lambda turn: turn.informative),
        local_groups=_curve(rounds, lambda turn: turn.local),
        external_groups=_curve(rounds, lambda turn: turn.external),
    )


def _ended(turns: list[Turn], level: float) -> NodeRow:
    return NodeRow(
        cumulative_reward=round(sum(turn.reward for turn in turns), DECIMALS),
        generated_tokens=sum(turn.tokens for turn in turns),
        final_level=round(level, DECIMALS),
    )


def _curve(rounds: list[list[Turn]], of: Callable[[Turn], float]) -> tuple[float, ...]:
    return tuple(round(fmean(of(turn) for turn in turns), DECIMALS) for turns in rounds)
