"""What identity counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

MESSAGES = Counter("swarm_identity_messages_total", "Stream entries shown on the live page", ["stream"])
VIEWERS = Gauge("swarm_identity_viewers_current", "Open live connections of browsers")
REFUSED = Counter("swarm_identity_refused_viewers_total", "Live connections refused at the bound")
SENT = Counter("swarm_identity_sent_bytes_total", "Bytes of live updates sent to browsers")
SIGNED = Counter("swarm_identity_signed_total", "Transactions signed for the coordinator")
UNSIGNED = Counter("swarm_identity_unsigned_total", "Requests for signatures that were refused", ["reason"])
STOCK = Counter("swarm_identity_stock_submissions_total", "Submissions of stock nodes", ["kind", "outcome"])
