"""How the models learn, and what they spend their time on."""

from __future__ import annotations

import parts
from grafana_foundation_sdk.builders.dashboard import Dashboard
from parts import chosen, lines

MINE = '{instance=~"$trainer"}'
RATE = "[$__rate_interval]"
PHASES = {"generate": "blue", "exchange": "yellow", "update": "green", "checkpoint": "purple"}


def board() -> Dashboard:
    """All of it by trainer, as many as are chosen."""
    made = parts.board(
        "learning",
        "Learning",
        "How do the models learn, and how fast?",
        [*_rewards(), *_updates(), *_answers(), *_groups(), *_pace()],
    )
    return made.with_variable(chosen("trainer", "Trainer", "swarm_trainer_round_number", "instance"))


def _rewards() -> list[parts.Panel]:
    return [
        lines(
            "Reward",
            "Mean reward of the last round's own answers. It should rise, with much noise from round to round.",
            (f"avg_over_time(swarm_trainer_reward_ratio{MINE}{RATE})", "{{instance}}"),
            unit="percentunit",
            top=1,
        ),
        lines(
            "Correctness",
            "What the last round's own answers earned for being right alone. Where the game rewards nothing else, it is"
            " the reward.",
            (f"avg_over_time(swarm_trainer_correctness_ratio{MINE}{RATE})", "{{instance}}"),
            unit="percentunit",
            top=1,
        ),
        lines(
            "Judge's score",
            "The judge's last score for one question nobody trains on: 0 to 100 %. The best proof of learning.",
            (f"swarm_trainer_judge_score_ratio{MINE}", "{{instance}}"),
            unit="percentunit",
            top=1,
        ),
    ]


def _updates() -> list[parts.Panel]:
    return [
        lines(
            "Gradient norm",
            "Before clipping. 0: nobody's answers differed in reward, so there was nothing to learn. A steep rise is"
            " the first sign of a model that falls apart.",
            (f"swarm_trainer_gradient_norm_ratio{MINE}", "{{instance}}"),
        ),
        lines(
            "Loss",
            "Of the last update. It swings round 0 and need not fall: the advantages are centred.",
            (f"swarm_trainer_loss_nats{MINE}", "{{instance}}"),
        ),
    ]


def _answers() -> list[parts.Panel]:
    return [
        lines(
            "Completion length",
            "Mean tokens of the last round's own answers. A steady rise to the limit, with less reward, is rambling.",
            (f"avg_over_time(swarm_trainer_completion_length_tokens{MINE}{RATE})", "{{instance}}"),
        ),
        lines(
            "Completions finished",
            "Share of the last round's own answers that the model ended itself; the others were cut at the limit.",
            (f"avg_over_time(swarm_trainer_finished_completions_ratio{MINE}{RATE})", "{{instance}}"),
            unit="percentunit",
            top=1,
        ),
    ]


def _groups() -> list[parts.Panel]:
    return [
        lines(
            "Learnt from",
            "Question groups a round, by whose they were; those whose answers all earned the same teach nothing and"
            " are left out.",
            (f"sum by (source) (rate(swarm_trainer_trained_groups_total{MINE}{RATE}))"
             f" / scalar(sum(rate(swarm_trainer_rounds_total{MINE}{RATE})))", "{{source}}"),
            stacked=True,
            colours={"local": "blue", "external": "green"},
        ),
        lines(
            "Peers' groups scored",
            "Question groups of other peers a round: informative ones have answers of differing reward, flat ones"
            " teach nothing.",
            (f"sum by (kind) (rate(swarm_trainer_external_groups_total{MINE}{RATE}))"
             f" / scalar(sum(rate(swarm_trainer_rounds_total{MINE}{RATE})))", "{{kind}}"),
            stacked=True,
            colours={"informative": "green", "flat": "orange"},
        ),
    ]  # fmt: skip


def _pace() -> list[parts.Panel]:
    return [
        lines(
            "A round's phases",
            "Mean duration of each phase. A long exchange is waiting: for slow peers, or for nobody.",
            (f"sum by (phase) (rate(swarm_trainer_phase_seconds_sum{MINE}{RATE}))"
             f" / sum by (phase) (rate(swarm_trainer_phase_seconds_count{MINE}{RATE}))", "{{phase}}"),
            unit="s",
            stacked=True,
            colours=PHASES,
        ),
        lines(
            "Tokens sampled",
            "Tokens of its own answers a second, time for everything else included.",
            (f"rate(swarm_trainer_completion_tokens_total{MINE}{RATE})", "{{instance}}"),
            unit="cps",
        ),
        lines(
            "Speed of sampling",
            "Tokens a second while answers are sampled.",
            (f"swarm_trainer_sampling_tokens_per_second{MINE}", "{{instance}}"),
            unit="cps",
        ),
        lines(
            "Rounds a minute",
            "Rounds that each trainer ended.",
            (f"rate(swarm_trainer_rounds_total{MINE}{RATE}) * 60", "{{instance}}"),
        ),
        lines(
            "Checkpoints not written",
            "Within the last half hour. Anything but 0 is a full disk or a folder without permission.",
            (f"increase(swarm_trainer_checkpoint_failures_total{MINE}[30m])", "{{instance}}"),
            limit=[(None, "transparent"), (1, "red")],
        ),
        lines(
            "Publishing",
            "Held-out score of the checkpoint that the publisher looked at last, and uploads within the last hour.",
            ("max(swarm_publisher_score_ratio)", "score"),
            ("sum by (outcome) (increase(swarm_publisher_uploads_total[1h]))", "{{outcome}}"),
        ),
    ]  # fmt: skip
