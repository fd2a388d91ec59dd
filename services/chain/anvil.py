"""The command line of anvil, and how to ask it for its newest block."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

CHAIN_ID = 685685
# Receipts and events of older blocks are forgotten (the contract's state is not): the whole file is written anew every
# second, and each transaction kept adds 4 kB to it.
_BLOCKS_WITH_RECEIPTS = 2048
# States of older blocks, which nobody asks for, are forgotten too: anvil would keep hundreds of them in memory, and
# spill the rest without end into ~/.foundry.
_BLOCKS_WITH_STATE = 16
_ASK = b'{"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}'


def anvil_command(
    binary: str | Path, *, host: str, port: int, chain_id: int = CHAIN_ID, state: Path, dump_every_s: int = 1
) -> list[str]:
    """Return the command line of a chain that mines each transaction at once and charges nothing for it."""
    chain = ["--host", host, "--port", str(port), "--chain-id", str(chain_id)]
    # Named, so that another version of anvil does not change the rules of a chain that has begun.
    rules = ["--hardfork", "prague", "--order", "fifo"]
    # Accounts need no funds, so none are made up at the start.
    free = ["--accounts", "0", "--gas-price", "0", "--block-base-fee-per-gas", "0", "--disable-min-priority-fee"]
    kept = ["--state", str(state), "--state-interval", str(dump_every_s)]
    kept += ["--transaction-block-keeper", str(_BLOCKS_WITH_RECEIPTS), "--prune-history", str(_BLOCKS_WITH_STATE)]
    return [str(binary), *chain, *rules, *free, *kept, "--quiet"]


def dies_with_parent(command: list[str]) -> list[str]:
    """The same command, ended by the system when its parent is killed (where the system can do that)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command


def newest_block(port: int, timeout_s: float = 5.0) -> int:
    """Ask the chain on this machine. Raises OSError if it does not answer, ValueError if not sensibly."""
    url = f"http://127.0.0.1:{port}"
    request = urllib.request.Request(url, _ASK, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
        return int(json.load(answer)["result"], 16)
