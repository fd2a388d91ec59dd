"""Becomes anvil: makes the saved state whole, then replaces itself (`python -m services.local.chain`).

A supervisor starts it anew after each death, so the state is looked at before every start, not only the first.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from services.local.anvil import anvil_command
from services.local.anvil_state import prepare_state
from shared import logs
from shared.errors import SwarmError

log = logging.getLogger(__name__)


def main() -> None:
    """Entry point: CHAIN_BINARY, CHAIN_PORT and CHAIN_STATE come from `programs.py`."""
    logs.setup("chain")
    binary, state = Path(os.environ["CHAIN_BINARY"]), Path(os.environ["CHAIN_STATE"])
    command = anvil_command(binary, host="127.0.0.1", port=int(os.environ["CHAIN_PORT"]), state=state)
    try:
        log.info("anvil starts on port %s, its state is %s", os.environ["CHAIN_PORT"], prepare_state(state))
        os.execv(binary, command)  # noqa: S606 - no shell: this process is to become that one
    except (SwarmError, OSError) as error:
        log.error("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
