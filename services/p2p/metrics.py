"""Metrics of the peer-to-peer service."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from services.p2p.trust.offence import Offence
from services.p2p.wire.rejection import Reason

HOSTED = Gauge("swarm_p2p_hosted_peers", "Peers hosted by this household")
CONNECTED = Gauge("swarm_p2p_connected_peers", "Peers of other households in the routing tables")
ANNOUNCING = Gauge("swarm_p2p_announcing_peers", "Peers that announce rollouts in a round, as counted in some buckets")
LINKED = Gauge("swarm_p2p_linked_peers", "Peers of other households whose announcements of the last rounds were read")
LOST = Gauge("swarm_p2p_lost_peers", "Peers that train by the chain's word and cannot be reached")
CLONED = Gauge("swarm_p2p_cloned_identities", "Hosted peers as which somebody else speaks too")
QUARANTINED = Gauge("swarm_p2p_quarantined_peers", "Peers left alone because they failed too often lately")
OFFENCES = Counter("swarm_p2p_offences_total", "What peers provably did wrong, by kind", ["offence"])
for offence in Offence:
    OFFENCES.labels(offence.value)
ANNOUNCED = Counter("swarm_p2p_announcements_total", "Announcements written into the DHT, repetitions included")
ACCEPTED = Counter("swarm_p2p_rollouts_accepted_total", "Peers' rollouts that passed validation")
STOCK_ACCEPTED = Counter("swarm_p2p_stock_rollouts_accepted_total", "Stock nodes' rollouts that passed, unsigned")
STOCK_WRITTEN = Counter("swarm_p2p_stock_rollouts_written_total", "Own rollouts written for stock nodes")
REJECTED = Counter("swarm_p2p_rejections_total", "Peers' records and bodies that were dropped", ["reason"])
for reason in Reason:  # what has not happened yet is 0, not unknown
    REJECTED.labels(reason.value)
STALE = Counter("swarm_p2p_local_rollouts_stale_total", "Local rollouts that came when their round was over")
SENT = Counter("swarm_p2p_body_sent_bytes_total", "Bodies served to peers")
RECEIVED = Counter("swarm_p2p_body_received_bytes_total", "Bodies fetched from peers")
REFUSED = Counter(
    "swarm_p2p_body_requests_refused_total", "Requests for bodies that are not here or were asked too often"
)
RESTARTS = Counter("swarm_p2p_daemon_restarts_total", "Daemons (p2pd) that died and were started again")
ANNOUNCE_SECONDS = Histogram("swarm_p2p_announce_duration_seconds", "Time to write one announcement into the DHT")
POLL_SECONDS = Histogram("swarm_p2p_poll_duration_seconds", "Time to read a round's announcements from the DHT")
FETCH_SECONDS = Histogram("swarm_p2p_fetch_duration_seconds", "Time to fetch one body from a peer")
