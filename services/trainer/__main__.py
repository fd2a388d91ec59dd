"""The trainer: one peer's model, learning round after round.

ROUNDS ------> rounds --> loop.play ----------------> checkpoint
                           | game.sample  --> ROLLOUTS_LOCAL --> p2p --> other peers
                           |              --> SUBMISSIONS (reward)
ROLLOUTS_PEER --> exchange | collect: waits for peers, scores what they sent
                           | mix: I local + J external groups
                           | learner.update
                           |              --> SUBMISSIONS (vote), EVENTS
                           judge.examine  --> judge (HTTP), EVENTS
ASKS ------------> answers, whenever there is a moment --> ANSWERS
"""

from __future__ import annotations

import sys

from services.trainer.settings import TrainerSettings
from shared.runtime import serve, start


def main() -> None:
    """Entry point of the process."""
    settings = start("trainer", TrainerSettings)
    from services.trainer.service import run

    sys.exit(serve("trainer", settings, run))


if __name__ == "__main__":
    main()
