"""The coordinator's metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ROUND = Gauge("swarm_coordinator_round_number", "Round that is open on the chain")
BLOCK = Gauge("swarm_coordinator_block_number", "Newest block of the chain")
BACKLOG = Gauge("swarm_coordinator_submissions_backlog", "Submissions that wait for the chain")
FINISHED = Gauge("swarm_coordinator_finished", "1 once the last round is over and nothing waits for the chain")
EXPECTED = Gauge("swarm_coordinator_expected_peers", "Peers whose votes the open round waits for")
VOTERS = Gauge("swarm_coordinator_voted_peers", "Peers that voted in the open round")

SETTLED = Counter("swarm_coordinator_submissions_settled_total", "Submissions settled", ["kind", "outcome"])
for kind in ("registration", "reward", "winners"):  # what has not happened yet is 0, not unknown
    for outcome in ("landed", "refused"):
        SETTLED.labels(kind, outcome)
POSTPONED = Counter("swarm_coordinator_submissions_postponed_total", "Submissions put back to be sent later")
RESUBMITTED = Counter(
    "swarm_coordinator_submissions_resubmitted_total", "Settled ones that the chain forgot, sent again"
)
ADVANCED = Counter("swarm_coordinator_rounds_advanced_total", "Stages and rounds this household advanced")
EXTENDED = Counter("swarm_coordinator_rounds_extended_total", "Deadlines that passed without an advance")
DEPLOYED = Counter("swarm_coordinator_contracts_deployed_total", "Contracts this household put on the chain")
OUTAGES = Counter("swarm_coordinator_chain_errors_total", "Looks at the chain, and batches for it, that failed")
RECORDED = Counter("swarm_coordinator_history_records_total", "Submissions of all peers read from the chain")
SKIPPED = Counter(
    "swarm_coordinator_history_skipped_total", "Logs of strangers that are no submissions as we know them"
)
HISTORY_BLOCK = Gauge("swarm_coordinator_history_block_number", "Block up to which the chain's history was read")

MOVES = Counter("swarm_coordinator_market_moves_total", "Moves of the prediction market's games dealt here", ["move"])
for move in ("create", "show", "close", "reveal", "done"):
    MOVES.labels(move)
WAGERS = Counter("swarm_coordinator_wagers_total", "Bets and claims of this household", ["kind", "outcome"])
for kind in ("guess", "claim"):
    for outcome in ("landed", "refused"):
        WAGERS.labels(kind, outcome)

BATCH = Histogram(
    "swarm_coordinator_batch_seconds",
    "Time from taking a batch of submissions to acknowledging it",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
LASTED = Histogram(
    "swarm_coordinator_round_seconds",
    "Time a round was open",
    buckets=(0.5, 1, 2, 5, 10, 20, 60, 120, 300, 900, 3600),
)
