"""Entry point: `python -m services.p2p`."""

from __future__ import annotations

import sys

from services.p2p.settings import P2PSettings
from shared.runtime import serve, start


def main() -> int:
    """Settings first; hivemind is imported only when they are good."""
    settings = start("p2p", P2PSettings)
    from services.p2p.service import run

    return serve("p2p", settings, run)


if __name__ == "__main__":
    sys.exit(main())
