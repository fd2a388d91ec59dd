"""Everything the publisher measures about itself."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

CHECKPOINTS = Counter("swarm_publisher_checkpoints_total", "Checkpoints looked at", ["outcome"])
UPLOADS = Counter("swarm_publisher_uploads_total", "Uploads to the hub", ["outcome"])
SCORE = Gauge("swarm_publisher_score_ratio", "Mean reward of the checkpoint looked at last, on held-out questions")
PUBLISHED_AT = Gauge("swarm_publisher_published_timestamp_seconds", "When the hub took a checkpoint last; 0: never")
for outcome in ("better", "not_better", "failed"):
    CHECKPOINTS.labels(outcome)
for outcome in ("done", "refused", "away", "failed"):
    UPLOADS.labels(outcome)
