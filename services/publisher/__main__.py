"""The publisher: what the household's peers have become, evaluated, described and uploaded to the Hugging Face hub.

checkpoints --> found --due?--> build: folder, evaluation, card --better?--> upload --> hub
"""

from __future__ import annotations

import sys

from services.publisher.settings import PublisherSettings
from shared.runtime import serve, start


def main() -> None:
    """Entry point of the process."""
    settings = start("publisher", PublisherSettings)
    from services.publisher.service import run

    sys.exit(serve("publisher", settings, run))


if __name__ == "__main__":
    main()
