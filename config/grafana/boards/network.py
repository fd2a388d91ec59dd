"""What goes between the peers, how fast, and what is refused."""

from __future__ import annotations

import parts
from grafana_foundation_sdk.builders.dashboard import Dashboard
from parts import ZERO_IS_BAD, lines, number, quantiles

RATE = "[$__rate_interval]"


def board() -> Dashboard:
    """Figures of now, then the last hour."""
    return parts.board(
        "network",
        "Network",
        "Do rollouts reach us and the others?",
        [*_now(), *_exchange(), *_traffic(), _offences(), *_times()],
    )


def _now() -> list[parts.Panel]:
    return [
        number("Hosted peers", "Peers of this household.", "max(swarm_p2p_hosted_peers)", steps=ZERO_IS_BAD, span=6),
        number("Other peers", "Peers of other households in our routing tables. 0 is right for a lone founder.",
               "max(swarm_p2p_connected_peers)", span=6),
        number("Quarantined", "Peers that sent rubbish too often lately, and are left alone for a while.",
               "max(swarm_p2p_quarantined_peers)", steps=[(None, "green"), (1, "orange")], span=6),
        number("Daemons restarted", "p2pd processes that died and were started again, in the time shown.",
               "sum(increase(swarm_p2p_daemon_restarts_total[$__range]))",
               steps=[(None, "green"), (1, "orange")], decimals=0, span=6),
        number("Copied identities", "Peers of ours as which somebody else speaks, too: a key was copied, or stolen.",
               "max(swarm_p2p_cloned_identities)", steps=[(None, "green"), (1, "red")], span=6),
        number("Lost peers", "They train by the chain's word, and we do not find them.",
               "max(swarm_p2p_lost_peers)", steps=[(None, "green"), (1, "orange")], span=6),
        number("Stock rollouts read", "Of stock RL Swarm nodes, unsigned, in the time shown; needs P2P_STOCK_BRIDGE.",
               "sum(increase(swarm_p2p_stock_rollouts_accepted_total[$__range]))", decimals=0, span=6),
        number("Stock rollouts written", "Ours, where stock RL Swarm nodes look for them, in the time shown.",
               "sum(increase(swarm_p2p_stock_rollouts_written_total[$__range]))", decimals=0, span=6),
    ]  # fmt: skip


def _exchange() -> list[parts.Panel]:
    return [
        lines(
            "Peers",
            "Of this household, of others, those of them whose announcements we read, and in quarantine. lost: they"
            " train by the chain's word, and we do not find them: a split swarm, or a network that keeps us apart.",
            ("max(swarm_p2p_hosted_peers)", "hosted here"),
            ("max(swarm_p2p_connected_peers)", "connected"),
            ("max(swarm_p2p_linked_peers)", "read"),
            ("max(swarm_p2p_lost_peers)", "lost"),
            ("max(swarm_p2p_quarantined_peers)", "quarantined"),
            colours={"hosted here": "blue", "connected": "green", "lost": "orange", "quarantined": "red"},
        ),
        lines(
            "Rollouts of peers",
            "A minute's worth: accepted ones, and records and bodies that were dropped.",
            (f"sum(rate(swarm_p2p_rollouts_accepted_total{RATE})) * 60", "accepted"),
            (f"sum(rate(swarm_p2p_rejections_total{RATE})) * 60", "dropped"),
            colours={"accepted": "green", "dropped": "red"},
        ),
        lines(
            "Dropped, by reason",
            "A minute's worth. unreachable and late: a slow network or rounds that are too short. Anything about"
            " signatures, keys or hashes: somebody is broken, or tries it on. docs/wire.md says what is checked.",
            (f"sum by (reason) (rate(swarm_p2p_rejections_total{RATE})) * 60", "{{reason}}"),
            stacked=True,
        ),
        lines(
            "Not delivered",
            "A minute's worth: requests for bodies that we refused, and rollouts of ours that came when their round"
            " was over.",
            (f"sum(rate(swarm_p2p_body_requests_refused_total{RATE})) * 60", "requests refused"),
            (f"sum(rate(swarm_p2p_local_rollouts_stale_total{RATE})) * 60", "ours, too late"),
        ),
    ]


def _traffic() -> list[parts.Panel]:
    return [
        lines(
            "Traffic",
            "Bodies of rollouts. What the DHT itself needs comes on top.",
            (f"sum(rate(swarm_p2p_body_received_bytes_total{RATE}))", "received"),
            (f"sum(rate(swarm_p2p_body_sent_bytes_total{RATE}))", "sent"),
            unit="Bps",
            colours={"received": "blue", "sent": "orange"},
        ),
        lines(
            "Announcements",
            "Written into the DHT a minute, repetitions included.",
            (f"sum(rate(swarm_p2p_announcements_total{RATE})) * 60", "announcements"),
        ),
    ]


def _offences() -> parts.Panel:
    return lines(
        "Offences, by kind",
        "A minute's worth: what peers provably did wrong. copied: another peer's rollouts; forged: questions or"
        " answers that are not the swarm's; foreign: another game's. Too many, and a peer is left alone.",
        (f"sum by (offence) (rate(swarm_p2p_offences_total{RATE})) * 60", "{{offence}}"),
        stacked=True,
        span=24,
    )


def _times() -> list[parts.Panel]:
    return [
        lines("Time to announce", "One announcement into the DHT.",
              *quantiles("swarm_p2p_announce_duration_seconds", "announce"), unit="s", span=8),
        lines("Time to look", "All announcements of a round, read from the DHT.",
              *quantiles("swarm_p2p_poll_duration_seconds", "look"), unit="s", span=8),
        lines("Time to fetch", "One body from its author.",
              *quantiles("swarm_p2p_fetch_duration_seconds", "fetch"), unit="s", span=8),
    ]  # fmt: skip
