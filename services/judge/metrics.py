"""What the judge counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

QUESTIONS = Counter("swarm_judge_questions_total", "Questions asked")
REFUSED = Counter("swarm_judge_refused_total", "Requests not served", ["reason"])
for reason in ("full", "no_session", "invalid"):  # what has not happened yet is 0, not unknown
    REFUSED.labels(reason)
SCORE = Histogram("swarm_judge_score_ratio", "Score of an answer, 0 to 1", buckets=[n / 10 for n in range(11)])
SCORING_SECONDS = Histogram("swarm_judge_scoring_seconds", "Time a scorer took for one answer")
OPEN_SESSIONS = Gauge("swarm_judge_open_sessions", "Questions that may still be answered, at most")
