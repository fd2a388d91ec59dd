"""The signing API over HTTP, with a real database and a real key."""

import asyncio
import logging

import httpx
import pytest
from eth_account import Account

from services.coordinator.invited import read
from services.coordinator.signer import RemoteSigner, SignerError
from services.identity.accounts.db import Database
from services.identity.accounts.vault import Vault
from services.identity.invite import Invitation, NoInvite
from services.identity.signing.api import build_signing
from services.identity.signing.book import Book
from services.identity.signing.policy import Code, contract_address
from services.identity.signing.signer import BURST, Signatures
from tests.invite_kit import invite_of
from tests.unit.test_signing_policy import CODE, REWARD, SWARM, keccak

TOKEN = "a-token"
CALL = "0x" + keccak(text=REWARD)[:4].hex() + "00" * 32


class Identity:
    """What identity runs for the coordinator."""

    def __init__(self, folder, passphrase="a long passphrase") -> None:
        self.database = Database(folder / "identity")
        self.vault = Vault(self.database, fast=True)
        self.vault.start(passphrase)
        self.book = Book(self.database)
        code = Code(CODE.implementation, CODE.proxy, CODE.market)
        signatures = Signatures(self.vault, self.book, code, chain_id=7, contract=SWARM, clock=lambda: 0.0)
        self.asked: list[int] = []
        self.app = build_signing(self.vault, signatures, TOKEN, self.invitation)

    async def invitation(self, days: int) -> Invitation:
        self.asked.append(days)
        if days > 100:
            raise NoInvite("the chain has not been seen yet", "wait")
        invite = invite_of(founder=self.vault.address)
        return Invitation(self.vault.sign_invite(invite), invite, ("Beware.",), True)

    def signer(self, token=TOKEN) -> RemoteSigner:
        signer = RemoteSigner("http://identity:3002", token)
        signer._http._transport = httpx.ASGITransport(self.app)
        return signer


@pytest.fixture
def identity(tmp_path):
    return Identity(tmp_path)


def call(nonce=0, **changes):
    fields = {"to": SWARM, "data": CALL, "nonce": nonce, "gas": 90_000, "gasPrice": 10**9, "chainId": 7, "value": 0}
    return {**fields, **changes}


async def test_the_coordinator_gets_signatures_of_the_household_and_never_sees_its_key(identity):
    signer = identity.signer()
    account = await signer.account()
    assert (account.address, account.state) == (identity.vault.address, "ready")
    first, second = await signer.sign([call(0), call(1)])
    assert Account.recover_transaction(first.raw) == Account.recover_transaction(second.raw) == account.address
    assert "0x" + keccak(bytes.fromhex(first.raw[2:])).hex() == first.hash


async def test_every_signature_is_on_record_before_it_is_given_away(identity):
    signer = identity.signer()
    signed = await signer.sign([call(4), call(5)])
    await signer.sign([call(5, gasPrice=2 * 10**9)])
    await signer.sign([call(9)])
    latest = identity.book.latest()
    assert [(one.nonce, one.note) for one in latest] == [
        (9, "3 nonces were used elsewhere"),
        (5, "in place of an earlier one"),
        (5, ""),
        (4, ""),
    ]
    assert {one.function for one in latest} == {REWARD}
    assert latest[-1].transaction == signed[0].hash
    assert identity.book.next_nonce(7) == 10


async def test_what_was_deployed_may_be_called_from_then_on_also_after_a_restart(identity, tmp_path):
    signer, ours = identity.signer(), identity.vault.address
    await signer.sign([call(200, to=None, data="0x" + CODE.implementation.hex())])
    identity.database.close()
    again = Identity(tmp_path)
    assert again.vault.address == ours
    await again.signer().sign([call(201, to=contract_address(ours, 200))])
    with pytest.raises(SignerError, match="not this swarm's contract"):
        await again.signer().sign([call(202, to=contract_address(ours, 201))])


def asking(identity, token=TOKEN):
    transport = httpx.ASGITransport(identity.app)
    return httpx.AsyncClient(
        transport=transport, base_url="http://identity", headers={"Authorization": f"Bearer {token}"}
    )


async def test_the_founders_invite_is_signed_by_the_households_key(identity):
    async with asking(identity) as client:
        told = (await client.post("/invite", json={"days": 7})).json()
        assert read(told["invite"], 0.0).founder == identity.vault.address
        assert (told["warnings"], identity.asked) == (["Beware."], [7])
        refused = await client.post("/invite", json={"days": 101})
        assert (refused.status_code, refused.json()["remedy"]) == (409, "wait")
        assert (await client.post("/invite", json={"days": 0})).status_code == 422
        assert (await client.post("/invite", json={"days": 7, "text": "sign this"})).status_code == 422
    async with asking(identity, "another") as client:
        assert (await client.post("/invite", json={})).status_code == 401
    assert identity.asked == [7, 101]


@pytest.mark.parametrize("token", ["", "another", TOKEN + "x"])
async def test_without_the_token_nothing_is_told_or_signed(identity, token):
    signer = identity.signer(token)
    for question in (signer.account(), signer.sign([call()])):
        with pytest.raises(SignerError, match="401"):
            await question
    assert identity.book.latest() == []


async def test_a_locked_key_says_who_has_to_log_in(identity, tmp_path):
    identity.database.close()
    locked = Identity(tmp_path, passphrase=None)
    account = await locked.signer().account()
    assert (account.address, account.state) == (identity.vault.address, "locked")
    with pytest.raises(SignerError, match=r"locked\. log in"):
        await locked.signer().sign([call()])
    locked.vault.unlock("a long passphrase")
    assert len(await locked.signer().sign([call()])) == 1


async def test_before_there_is_a_key_it_says_so(tmp_path):
    signer = Identity(tmp_path, passphrase=None).signer()
    assert (await signer.account()).state == "none"
    with pytest.raises(SignerError, match="no account yet"):
        await signer.sign([call()])


async def test_a_refused_batch_leaves_no_trace(identity):
    with pytest.raises(SignerError, match="chain 8"):
        await identity.signer().sign([call(0), call(1, chainId=8)])
    assert identity.book.latest() == []
    assert identity.book.next_nonce(7) is None


async def test_who_asks_for_too_many_signatures_has_to_wait(identity):
    signer = identity.signer()
    for start in range(0, BURST, 500):
        await signer.sign([call(start + index) for index in range(500)])
    with pytest.raises(SignerError, match="a second"):
        await signer.sign([call(BURST)])


async def test_what_cannot_be_put_on_record_is_not_given_away(identity):
    with identity.database.begin() as connection:
        (pages,) = connection.exec_driver_sql("PRAGMA page_count").one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")  # as good as a full disk
    with pytest.raises(SignerError, match="record of signatures"):
        for nonce in range(0, 2_000, 100):
            await identity.signer().sign([call(nonce + index) for index in range(100)])


async def test_many_askers_at_once_are_served_one_after_the_other(identity):
    signer = identity.signer()
    await asyncio.gather(*(signer.sign([call(3)]) for _ in range(20)))
    assert len(identity.book.latest()) == 20
    assert identity.book.next_nonce(7) == 4


async def test_the_key_stands_in_no_log_and_no_answer(identity, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    key = bytes(identity.vault._ready().key).hex()
    signer = identity.signer()
    answers = [str(await signer.sign([call()])), str(identity.vault), repr(identity.vault)]
    with pytest.raises(SignerError) as refused:
        await signer.sign([call(chainId=9)])
    seen = [caplog.text, str(refused.value), *answers]
    files = [path.read_bytes() for path in (tmp_path / "identity").iterdir() if path.is_file()]
    assert not any(key in text for text in seen)
    assert not any(bytes.fromhex(key) in content or key.encode() in content for content in files)


async def test_an_identity_that_is_away_is_a_signer_error():
    signer = RemoteSigner("http://127.0.0.1:1", TOKEN)
    with pytest.raises(SignerError, match="SIGNER_URL"):
        await signer.account()
    await signer.close()
