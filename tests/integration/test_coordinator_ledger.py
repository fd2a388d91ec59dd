"""The ledger of signed transactions that takes a chain's place, and what its audit sees."""

import sqlite3
import subprocess
import sys

import pytest

from services.coordinator.audit import audit
from services.coordinator.ledger import LedgerChain
from shared.errors import SwarmError
from shared.messages import Registration, Reward, Winners
from tests.coordinator_kit import ARTIFACTS, PEERS, ROOT, KeySigner

A, B = PEERS[:2]


@pytest.fixture
async def chain(tmp_path):
    chain = LedgerChain(tmp_path / "ledger.db", KeySigner(), ARTIFACTS, 685685)
    await chain.deploy()
    await chain.submit([Registration(peer_id=A), Registration(peer_id=B)])
    await chain.submit([Reward(peer_id=A, round=0, stage=0, points=-3), Winners(peer_id=A, round=0, winners=(B, A))])
    await chain.set_stages(2)
    await chain.advance()
    chain.close()
    return chain


def test_a_whole_ledger_passes_and_says_who_signed(chain, tmp_path):
    assert audit(tmp_path / "ledger.db") == (6, {chain.account})
    done = subprocess.run(
        [sys.executable, "-m", "services.coordinator.audit", str(tmp_path / "ledger.db")],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith(f"6 entries, signed by {chain.account}")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DELETE FROM entries WHERE block = 3", "entry 3 .* does not follow"),
        ("UPDATE entries SET message = replace(message, '-3', '9') WHERE block = 3", "entry 3 .* something else"),
        ("UPDATE entries SET hash = replace(hash, substr(hash, 3, 4), '0000') WHERE block = 4", "entry 4 .* follow"),
        ("UPDATE entries SET account = '0x00' WHERE block = 2", "entry 2 .* not signed for it by 0x00"),
        ("UPDATE entries SET raw = '0x12' WHERE block = 5", "entry 5 .* no transaction"),
        ("UPDATE facts SET value = 'x' WHERE name = 'mark'", "entry 1 .* does not follow"),
        ("DROP TABLE facts", "cannot be read as a ledger"),
    ],
)
def test_an_altered_ledger_is_told_by_its_first_wrong_entry(chain, tmp_path, change, found):
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute(change)
    db.close()
    with pytest.raises(SwarmError, match=found):
        audit(tmp_path / "ledger.db")
    command = [sys.executable, "-m", "services.coordinator.audit", str(tmp_path / "ledger.db")]
    assert subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 1


async def test_two_that_write_at_once_lose_nothing_and_double_nothing(chain, tmp_path):
    other = LedgerChain(tmp_path / "ledger.db", chain._signer, ARTIFACTS, 685685)
    other.use(chain.contract)
    for number in range(3):
        one = Reward(peer_id=A, round=0, stage=1, points=number)
        await (chain if number % 2 else other).submit([one])
    assert [reward.error for reward in await other.submit([one])] == ["RewardAlreadySubmitted"]
    assert audit(tmp_path / "ledger.db")[0] == 7
