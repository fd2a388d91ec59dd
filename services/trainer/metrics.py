"""Everything the trainer measures about itself."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ROUNDS_TRAINED = Counter("swarm_trainer_rounds_total", "Rounds trained")
ROUND_NUMBER = Gauge("swarm_trainer_round_number", "Last round trained")
REWARD = Gauge("swarm_trainer_reward_ratio", "Mean reward of the last round's own completions, 0 to 1")
LAST = {  # of the last round, by the names in numbers.py
    "reward/correctness": Gauge(
        "swarm_trainer_correctness_ratio", "Mean of what the last round's own completions earned for being right"
    ),
    "completion/length": Gauge("swarm_trainer_completion_length_tokens", "Mean length of the last round's completions"),
    "completion/finished": Gauge(
        "swarm_trainer_finished_completions_ratio", "Share of the last round's completions that the model ended itself"
    ),
    "speed/tokens_per_s": Gauge(
        "swarm_trainer_sampling_tokens_per_second", "Tokens a second while sampling, last round"
    ),
}
LOSS = Gauge("swarm_trainer_loss_nats", "Loss of the last update")
GRADIENT_NORM = Gauge("swarm_trainer_gradient_norm_ratio", "Norm of the last update's gradient before clipping")
CHANGED = Gauge("swarm_trainer_changed_weights_ratio", "Share of the weights that the last update changed, 0 to 1")
CLIPPED = Gauge("swarm_trainer_clipped_tokens_ratio", "Share of the last update's tokens that were clipped")
DIVERGENCE = Gauge("swarm_trainer_reference_divergence_nats", "Divergence of a token from the reference model, mean")
OUT_OF_MEMORY = Counter("swarm_trainer_out_of_memory_total", "Times that less was sampled or learnt from at once")
MICRO_BATCH = Gauge("swarm_trainer_micro_batch_completions", "Completions of a backward pass that fit; 0: as set")
NOOPS = Counter("swarm_trainer_noop_rounds_total", "Rounds that left the weights as they were", ["reason"])
for reason in ("empty", "flat", "nonfinite"):  # what has not happened yet is 0, not unknown
    NOOPS.labels(reason)
EXTERNAL_GROUPS = Counter("swarm_trainer_external_groups_total", "Peers' question groups scored here", ["kind"])
REFUSED_GROUPS = Counter("swarm_trainer_refused_groups_total", "Peers' question groups left out", ["reason"])
TRAINED_GROUPS = Counter("swarm_trainer_trained_groups_total", "Question groups learnt from", ["source"])
TOKENS = Counter("swarm_trainer_completion_tokens_total", "Tokens sampled")
QUESTIONS = Gauge("swarm_trainer_round_questions", "Questions asked in the last round, as many as there was time for")
LATE = Counter("swarm_trainer_late_rounds_total", "Rounds that were over before this trainer was through with them")
PHASE = Histogram(
    "swarm_trainer_phase_seconds",
    "Duration of a round's phases",
    ["phase"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
CHECKPOINT_FAILURES = Counter("swarm_trainer_checkpoint_failures_total", "Checkpoints that could not be written")
CHECKPOINTS_DAMAGED = Counter("swarm_trainer_checkpoint_damaged_total", "Checkpoints that could not be used at a start")
JUDGE_SCORE = Gauge("swarm_trainer_judge_score_ratio", "The judge's last score, 0 to 1")
HELD_BACK = Counter("swarm_trainer_submissions_held_back_total", "Submissions that found the outbox full")
LOST = Counter("swarm_trainer_submissions_lost_total", "Submissions that never found room in the outbox")
BETS = Counter("swarm_trainer_bets_total", "Bets made in the prediction market")
ASKED = Counter("swarm_trainer_questions_total", "Questions that somebody typed", ["outcome"])
for outcome in ("answered", "failed", "too_old"):
    ASKED.labels(outcome)
for reason in ("unknown_set", "held_out", "altered", "unproven", "wrong_stage", "unknown_answer", "slow"):
    REFUSED_GROUPS.labels(reason)
