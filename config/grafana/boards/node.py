"""Each service of this household: is it there, does it advance, what does it need?"""

from __future__ import annotations

import parts
from grafana_foundation_sdk.builders.dashboard import Dashboard
from parts import FULLNESS, chosen, lines, states

MINE = '{job=~"$service"}'
LIMIT: parts.Steps = [(None, "transparent"), (1, "red")]


def board() -> Dashboard:
    """By service, as many as are chosen."""
    made = parts.board("node", "Node", "Is every service of this household well?", [*_life(), *_needs()])
    return made.with_variable(chosen("service", "Service", "up", "job"))


def _life() -> list[parts.Panel]:
    return [
        states("Answers", "Whether Prometheus could scrape it.", (f"up{MINE}", "{{job}} {{instance}}"),
               good="up", bad="down", good_is=1),
        lines(
            "Age of progress",
            "Time since the work loop last advanced, in parts of its bound. Above 100 % /health answers 503.",
            (f"swarm:progress:ratio{MINE}", "{{job}} {{instance}}"),
            unit="percentunit",
            top=1,
            limit=LIMIT,
        ),
        lines(
            "Restarts",
            "Starts within the last half hour, of all replicas of a service.",
            (f"swarm:restarts:changes30m{MINE}", "{{job}}"),
            limit=[(None, "transparent"), (3, "red")],
        ),
        lines(
            "Time to Redis",
            "Since Redis last took the service's report; one comes every two seconds.",
            (f"swarm:report_age:seconds{MINE}", "{{job}} {{instance}}"),
            unit="s",
        ),
        lines(
            "Queues",
            "Entries not acked: submissions wait for the coordinator, rollouts.local for p2p.",
            ("swarm:queue_backlog:entries", "{{stream}}"),
        ),
        lines("Queues, share of their bound", "At 100 % a queue refuses more and its writers stop.",
              ("swarm:queue_filled:ratio", "{{stream}}"), unit="percentunit", limit=FULLNESS, span=6),
        lines("Dead letters", "Entries that failed again and again, kept with their error for you to look at.",
              ("swarm:queue_dead:entries", "{{stream}}"), limit=LIMIT, span=6),
    ]  # fmt: skip


def _needs() -> list[parts.Panel]:
    return [
        lines(
            "Memory",
            "Resident memory of the service's own process; p2p's p2pd and the chain's anvil come on top.",
            (f"process_resident_memory_bytes{MINE}", "{{job}} {{instance}}"),
            unit="bytes",
        ),
        lines(
            "Memory, share of the limit",
            "All that the container uses, of its limit. Without a limit of its own it is the host's memory.",
            (f"swarm_service_memory_used_bytes{MINE} / swarm_service_memory_limit_bytes{MINE}", "{{job}} {{instance}}"),
            unit="percentunit",
            top=1,
            limit=FULLNESS,
        ),
        lines(
            "CPU",
            "Cores in use by the service's own process.",
            (f"rate(process_cpu_seconds_total{MINE}[$__rate_interval])", "{{job}} {{instance}}"),
        ),
        lines(
            "Redis's memory",
            "What all queues and values take, and the limit at which Redis refuses writes.",
            ("max(swarm_redis_memory_used_bytes)", "used"),
            ("max(swarm_redis_memory_limit_bytes)", "limit"),
            unit="bytes",
            colours={"used": "blue", "limit": "red"},
        ),
        lines(
            "Judge",
            "A minute's worth: questions asked, answers scored, requests refused.",
            ("sum(rate(swarm_judge_questions_total[$__rate_interval])) * 60", "asked"),
            ("sum(rate(swarm_judge_score_ratio_count[$__rate_interval])) * 60", "scored"),
            ("sum(rate(swarm_judge_refused_total[$__rate_interval])) * 60", "refused"),
            ("sum(rate(swarm_judge_upstream_failed_total[$__rate_interval])) * 60", "not served by the upstream judge"),
            colours={
                "asked": "blue",
                "scored": "green",
                "refused": "red",
                "not served by the upstream judge": "yellow",
            },
        ),
        lines(
            "Live page",
            "Browsers that follow it.",
            ("sum(swarm_identity_viewers_current)", "viewers"),
        ),
    ]
