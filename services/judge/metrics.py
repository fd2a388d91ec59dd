"""What the judge counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

QUESTIONS = Counter("swarm_judge_questions_total", "Questions asked, by who made them", ["source"])
for source in ("bank", "upstream"):  # what has not happened yet is 0, not unknown
    QUESTIONS.labels(source)
REFUSED = Counter("swarm_judge_refused_total", "Requests not served", ["reason"])
for reason in ("full", "no_session", "answered", "upstream", "invalid"):
    REFUSED.labels(reason)
SCORE = Histogram("swarm_judge_score_ratio", "Score of an answer, 0 to 1", buckets=[n / 10 for n in range(11)])
SCORING_SECONDS = Histogram("swarm_judge_scoring_seconds", "Time a scorer took for one answer")
OPEN_SESSIONS = Gauge("swarm_judge_open_sessions", "Questions that may still be answered, at most")
PEERS = Gauge("swarm_judge_peers", "Peers whose exams are on record")
UPSTREAM_UP = Gauge("swarm_judge_upstream_up", "1 while the upstream judge is asked, 0 while it is left alone")
UPSTREAM_FAILED = Counter("swarm_judge_upstream_failed_total", "Requests that the upstream judge did not serve")
UPSTREAM_SECONDS = Histogram("swarm_judge_upstream_seconds", "Time the upstream judge took for one request")
