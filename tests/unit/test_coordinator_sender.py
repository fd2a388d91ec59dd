"""What a node can do to transactions, played by one that is told what to answer."""

import pytest

from services.coordinator import sender as module
from services.coordinator.chain import ChainDown, ChainError
from services.coordinator.rpc import Rpc
from services.coordinator.sender import Sender, Transaction, ends
from services.coordinator.signer import Signed, SignerError

CALL = Transaction("0x" + "11" * 20, "0x", 100)


class Node:
    def __init__(self) -> None:
        self.refusal: str | None = None
        self.mines = True
        self.block_gas = 30_000_000
        self.sent: list[str] = []
        self.asked: list[str] = []  # nonces sent, and those (with ?) whose receipt was wanted
        self.broken: object = None

    def make_batch_request(self, requests):
        if self.broken is not None:
            return self.broken
        answers = [{"id": number, **self._answer(*request)} for number, request in enumerate(requests)]
        return answers[::-1]  # a server may answer in any order

    def _answer(self, method, arguments):
        if method in ("eth_sendRawTransaction", "eth_getTransactionReceipt"):
            self.asked.append(arguments[0].split()[0] + "?" * method.endswith("Receipt"))
        if method == "eth_sendRawTransaction":
            self.sent.append(arguments[0])
            if self.refusal:
                return {"error": {"code": -32000, "message": self.refusal}}
            return {"result": arguments[0]}
        if method == "eth_getTransactionReceipt":
            return {"result": {"hash": arguments[0]} if self.mines else None}
        if method == "eth_getBlockByNumber":
            return {"result": {"gasLimit": hex(self.block_gas)}}
        return {"result": {"eth_gasPrice": "0x64", "eth_getTransactionCount": "0x7", "eth_chainId": "0x1"}[method]}


class Signing:
    """Shows in the raw transaction what was to be signed."""

    address = "0xME"
    locked = False

    async def sign(self, transactions):
        if self.locked:
            raise SignerError("the key is locked", "log in")
        told = [f"{fields['nonce']} at {fields['gasPrice']}" for fields in transactions]
        return [Signed(raw, raw) for raw in told]


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def sender(node) -> Sender:
    return Sender(Rpc(node, "http://key:secret@node:8545/secret", 50), Signing(), timeout_s=0.05)


async def test_nonces_are_counted_here_and_the_first_is_sent_last(node, sender):
    receipts = await sender.send([CALL, CALL, CALL])
    assert [receipt["hash"] for receipt in receipts] == ["7 at 100", "8 at 100", "9 at 100"]
    assert node.sent == ["8 at 100", "9 at 100", "7 at 100"]
    assert await sender.send([]) == []


async def test_a_portion_is_mined_before_the_next_where_the_node_mines_at_once(node, sender, monkeypatch):
    monkeypatch.setattr(module, "PORTION", 2)
    assert len(await sender.send([CALL] * 5)) == 5
    assert node.asked == ["8", "7", "8?", "10", "9", "10?", "11", "7?", "8?", "9?", "10?", "11?"]


async def test_a_portion_fits_into_a_block_as_a_node_that_mines_at_once_leaves_the_rest_lying(node, sender):
    node.block_gas = 300  # two of these, which offer 150 each
    assert len(await sender.send([CALL] * 3)) == 3
    assert node.asked == ["8", "7", "8?", "9", "7?", "8?", "9?"]


def test_a_transaction_that_fits_into_no_block_goes_alone():
    assert ends([5, 5, 20, 5, 5, 5], 10) == [2, 3, 5, 6]
    assert ends([1] * (module.PORTION + 1), 1_000) == [module.PORTION, module.PORTION + 1]
    assert ends([], 10) == []


async def test_portions_go_one_behind_the_other_where_blocks_take_their_time(node, sender, monkeypatch):
    monkeypatch.setattr(module, "PORTION", 2)
    monkeypatch.setattr(module, "AT_ONCE_S", 0.02)
    node.mines = False
    with pytest.raises(ChainError, match="5 transactions were not mined"):
        await sender.send([CALL] * 5)
    sent = [one for one in node.asked if not one.endswith("?")]
    assert sent == ["8", "7", "10", "9", "11"]
    last = node.asked.index("11")
    assert set(node.asked[2:last]) == {"8?", "10", "9"}  # only the first portion is waited for


async def test_what_is_not_mined_in_time_is_replaced_at_a_higher_price_until_it_is(node, sender):
    node.mines = False
    for _ in range(2):
        with pytest.raises(ChainError, match="not mined"):
            await sender.send([CALL])
    node.mines = True
    await sender.send([CALL])
    await sender.send([CALL])
    assert node.sent == ["7 at 100", "7 at 125", "7 at 156", "7 at 100"]


async def test_a_transaction_the_node_has_already_is_no_refusal(node, sender):
    node.refusal = "transaction already imported"
    assert len(await sender.send([CALL])) == 1


async def test_an_account_without_funds_is_told_what_to_do(node, sender):
    node.refusal = "insufficient funds for gas * price + value"
    with pytest.raises(ChainError, match="send some of the chain's coin to 0xME"):
        await sender.send([CALL])


async def test_the_first_transaction_goes_even_if_those_behind_it_are_refused(node, sender):
    node.refusal = "replacement transaction underpriced"
    with pytest.raises(ChainError, match="underpriced"):
        await sender.send([CALL, CALL])
    assert node.sent == ["8 at 100", "7 at 100"]


@pytest.mark.parametrize("answer", [{"error": "no batches"}, "busy", []])
async def test_a_node_that_talks_nonsense_is_down_and_its_addresss_secrets_are_not_told(node, sender, answer):
    node.broken = answer
    with pytest.raises(ChainDown) as caught:
        await sender.send([CALL])
    assert "node:8545" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_locked_key_sends_nothing_and_raises_no_price(node, sender, monkeypatch):
    monkeypatch.setattr(Signing, "locked", True)
    for _ in range(3):
        with pytest.raises(SignerError, match="locked"):
            await sender.send([CALL])
    assert node.sent == []
    monkeypatch.setattr(Signing, "locked", False)
    assert [one["hash"] for one in await sender.send([CALL])] == ["7 at 100"]
