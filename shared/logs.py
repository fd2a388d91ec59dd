"""One log line format for every service: `2026-01-31 12:00:00 INFO    trainer  round 7 is open`."""

from __future__ import annotations

import logging
import sys

# Libraries whose INFO is noise to the person who runs a node.
QUIET = (
    "httpx",
    "httpcore",
    "urllib3",
    "hivemind",
    "web3",
    "filelock",
    "asyncio",
    "transformers",
    "uvicorn.access",
    "alembic",
)


def setup(service: str, level: str = "INFO") -> None:
    """Send this process's log to stderr. `level` is a name of the logging module."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter(f"%(asctime)s %(levelname)-7s {service:<11} %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
