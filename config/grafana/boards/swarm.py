"""What an operator looks at first: does it learn, does it reach the chain, is anything wrong?"""

from __future__ import annotations

import parts
from grafana_foundation_sdk.builders.dashboard import Dashboard
from parts import ZERO_IS_BAD, ZERO_IS_GOOD, firing, lines, number, states

LANDED = 'swarm_coordinator_submissions_settled_total{kind="reward",outcome="landed"}'
FIRING = 'count(ALERTS{alertstate="firing",severity="%s"}) or vector(0)'  # no alert is none, not unknown


def board() -> Dashboard:
    """Figures of now, then the last hour."""
    return parts.board(
        "swarm",
        "Swarm",
        "Does the swarm learn, and is anything wrong?",
        [*_learning(), *_trouble(), *_chain(), *_over_time()],
    )


def _learning() -> list[parts.Panel]:
    return [
        number("Round", "The round that is open on the chain.", "max(swarm_coordinator_round_number)", decimals=0),
        number(
            "Rounds a minute",
            "Rounds that a trainer ends in a minute, mean of all trainers.",
            "avg(rate(swarm_trainer_rounds_total[$__rate_interval])) * 60",
            decimals=1,
        ),
        number(
            "Mean reward",
            "Mean reward of the last round's own answers, mean of all trainers. 1 is the most there is.",
            "avg(swarm_trainer_reward_ratio)",
            unit="percentunit",
            decimals=1,
        ),
        number("Trainers", "Trainers that answer.", "swarm:trainers_up:count", steps=ZERO_IS_BAD, decimals=0),
        number(
            "Other peers",
            "Peers of other households that ours are connected with. 0 is right for a founder whom nobody has joined.",
            "max(swarm_p2p_connected_peers)",
            decimals=0,
        ),
    ]


def _trouble() -> list[parts.Panel]:
    return [
        number(
            "Degraded parts",
            "Parts that services go on without; the graph below names them.",
            "sum(max by (job, part) (swarm_service_degraded))",
            steps=[(None, "green"), (1, "orange")],
            decimals=0,
        ),
        number("Critical alerts", "The swarm does not learn, or soon will not.", FIRING % "critical",
               steps=ZERO_IS_GOOD, decimals=0),
        number("Warnings", "The swarm goes on, with less.", FIRING % "warning",
               steps=[(None, "green"), (1, "orange")], decimals=0),
    ]  # fmt: skip


def _chain() -> list[parts.Panel]:
    return [
        number(
            "Rewards on the chain",
            "Rewards of this household that landed within the time shown.",
            f"sum(increase({LANDED}[$__range]))",
            decimals=0,
        ),
        number(
            "Landed of trained",
            "Share of the rounds trained in the last half hour whose reward is on the chain. Near 100 % when all is"
            " well.",
            "swarm:rewards_landed:ratio30m",
            unit="percentunit",
            steps=[(None, "red"), (0.5, "orange"), (0.9, "green")],
            decimals=0,
        ),
        number("Waiting for the chain", "Submissions in the queue.",
               'swarm:queue_backlog:entries{stream="submissions"}', decimals=0),
        number("Dead letters", "Entries of all queues that were given up.", "sum(swarm:queue_dead:entries)",
               steps=ZERO_IS_GOOD, decimals=0),
    ]  # fmt: skip


def _over_time() -> list[parts.Panel]:
    return [
        lines(
            "Reward",
            "Mean reward of each round's own answers, by trainer; the line of all of them rises while they learn.",
            ("swarm_trainer_reward_ratio", "{{instance}}"),
            ("avg(avg_over_time(swarm_trainer_reward_ratio[5m]))", "all, mean of 5 minutes"),
            unit="percentunit",
            top=1,
            colours={"all, mean of 5 minutes": "text"},
        ),
        lines(
            "Rounds trained and rewards landed",
            "A minute's worth, of all trainers together. The two lines lie on each other when all is well.",
            ("sum(rate(swarm_trainer_rounds_total[$__rate_interval])) * 60", "trained"),
            (f"sum(rate({LANDED}[$__rate_interval])) * 60", "landed"),
            colours={"trained": "blue", "landed": "green"},
        ),
        states(
            "Degraded",
            "Parts that a service goes on without. Its /health names the reason.",
            ("max by (job, part) (swarm_service_degraded)", "{{job}}: {{part}}"),
            good="there",
            bad="missing",
            good_is=0,
        ),
        firing("Alerts", "What fires, or is about to. Each says what to do; docs/monitoring.md lists them all."),
    ]
