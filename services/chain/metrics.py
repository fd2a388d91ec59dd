"""What the chain tells about itself."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

BLOCK = Gauge("swarm_chain_block_number", "Newest block, as anvil answers")
STATE_BYTES = Gauge("swarm_chain_state_bytes", "Size of the state file that anvil writes anew every second")
COPIES = Counter("swarm_chain_copies_total", "Whole copies of the state file that were kept")
CALLS = Counter(
    "swarm_chain_calls_total", "Calls that came to the gate before anvil, by what became of them", ["outcome"]
)
