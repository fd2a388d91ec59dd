"""The publisher: what the household's peers have become, evaluated, described and uploaded to the Hugging Face hub.

checkpoints --> found --due?--> build: folder, evaluation, card --better?--> upload --> hub
"""

from __future__ import annotations

import os
import sys

from services.publisher.settings import PublisherSettings
from shared.runtime import serve, start


def main() -> None:
    """Entry point of the process."""
    settings = start("publisher", PublisherSettings)
    os.nice(19)  # training goes first; the programs that this one runs inherit it
    from services.publisher.service import run

    sys.exit(serve("publisher", settings, run))


if __name__ == "__main__":
    main()
