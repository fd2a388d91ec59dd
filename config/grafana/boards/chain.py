"""The chain, the round clock, and the way of rewards and votes to them."""

from __future__ import annotations

import parts
from grafana_foundation_sdk.builders.dashboard import Dashboard
from parts import ZERO_IS_GOOD, lines, number, quantiles

RATE = "[$__rate_interval]"
SETTLED = "swarm_coordinator_submissions_settled_total"


def board() -> Dashboard:
    """Figures of now, then the last hour."""
    return parts.board("chain", "Chain", "Do rounds advance, and do rewards land?", [*_now(), *_rounds(), *_outbox()])


def _now() -> list[parts.Panel]:
    return [
        number("Block", "Newest block, as the coordinator sees it.", "max(swarm_coordinator_block_number)", decimals=0),
        number("Round", "The round that is open.", "max(swarm_coordinator_round_number)", decimals=0),
        number("Votes", "Peers that voted in the open round.", "max(swarm_coordinator_voted_peers)", decimals=0),
        number("Votes expected", "Peers whose votes the open round waits for, until its deadline.",
               "max(swarm_coordinator_expected_peers)", decimals=0),
        number("Refused", "Submissions the chain will never take, in the time shown; the coordinator's log says why.",
               f'sum(increase({SETTLED}{{outcome="refused"}}[$__range]))', steps=ZERO_IS_GOOD, decimals=0),
        number("Chain errors", "Looks at the chain, and batches for it, that failed in the time shown.",
               "sum(increase(swarm_coordinator_chain_errors_total[$__range]))", steps=ZERO_IS_GOOD, decimals=0),
    ]  # fmt: skip


def _rounds() -> list[parts.Panel]:
    return [
        lines(
            "Rounds advanced and extended",
            "A minute's worth. A deadline is extended when it passes and nobody has voted. Only the household that"
            " leads advances.",
            (f"sum(rate(swarm_coordinator_rounds_advanced_total{RATE})) * 60", "advanced"),
            (f"sum(rate(swarm_coordinator_rounds_extended_total{RATE})) * 60", "extended"),
            colours={"advanced": "green", "extended": "orange"},
        ),
        lines(
            "Duration of a round",
            "From its opening to the next. Near ROUND_MAX_S, it waits for a peer that does not vote.",
            *quantiles("swarm_coordinator_round_seconds", "round"),
            unit="s",
        ),
        lines(
            "Blocks",
            "As the chain itself and as the coordinator see it. The two lines lie on each other when all is well."
            " A household that joined runs no chain.",
            ("max(swarm_chain_block_number)", "chain"),
            ("max(swarm_coordinator_block_number)", "coordinator"),
            colours={"chain": "blue", "coordinator": "green"},
        ),
        lines(
            "Chain's state",
            "Size of the file that is written anew every second.",
            ("max(swarm_chain_state_bytes)", "size"),
            unit="bytes",
            span=6,
        ),
        lines(
            "Chain's copies",
            "Whole copies of the state kept in the last ten minutes. 0 while blocks are made: if a kill tears the file,"
            " the next start falls back to an old copy.",
            ("sum(increase(swarm_chain_copies_total[10m]))", "copies"),
            span=6,
        ),
        lines(
            "Calls at the gate",
            "A minute's worth, by what became of them. Refused: somebody tried what only the machine may do to the"
            " chain. Too many, too large, unreadable: an address beyond the gate's bounds.",
            (f"sum by (outcome) (rate(swarm_chain_calls_total{RATE})) * 60", "{{outcome}}"),
            colours={"passed": "green", "refused": "red", "unanswered": "orange"},
        ),
    ]


def _outbox() -> list[parts.Panel]:
    return [
        lines(
            "Settled",
            "Submissions a minute, by kind and outcome.",
            (f"sum by (kind, outcome) (rate({SETTLED}{RATE})) * 60", "{{kind}} {{outcome}}"),
            stacked=True,
            colours={
                "reward landed": "green",
                "winners landed": "blue",
                "registration landed": "purple",
                "reward refused": "red",
                "winners refused": "dark-red",
                "registration refused": "dark-orange",
            },
        ),
        lines(
            "Waiting",
            "Submissions in the queue. It should come back to 0 in each round.",
            ('swarm:queue_backlog:entries{stream="submissions"}', "submissions"),
            span=6,
        ),
        lines(
            "Put back",
            "A minute's worth: sent later because the chain was not there yet, and sent again because it forgot.",
            (f"sum(rate(swarm_coordinator_submissions_postponed_total{RATE})) * 60", "postponed"),
            (f"sum(rate(swarm_coordinator_submissions_resubmitted_total{RATE})) * 60", "forgotten"),
            colours={"postponed": "orange", "forgotten": "red"},
            span=6,
        ),
        lines(
            "Duration of a batch",
            "From taking submissions out of the queue to acknowledging them, with their receipts.",
            *quantiles("swarm_coordinator_batch_seconds", "batch"),
            unit="s",
        ),
        lines(
            "Chain errors",
            "A minute's worth of looks and batches that failed.",
            (f"sum(rate(swarm_coordinator_chain_errors_total{RATE})) * 60", "errors"),
            colours={"errors": "red"},
        ),
        lines(
            "Prediction market",
            "Bets and claims of this household a minute, and the moves of games dealt here (PRG_GAME).",
            (f"sum by (kind, outcome) (rate(swarm_coordinator_wagers_total{RATE})) * 60", "{{kind}} {{outcome}}"),
            (f"sum(rate(swarm_coordinator_market_moves_total{RATE})) * 60", "moves"),
        ),
    ]
