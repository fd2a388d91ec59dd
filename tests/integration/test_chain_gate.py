"""The gate before a real anvil: what is dangerous is refused and counted, the rest works as if it were not there."""

import asyncio
import http.client
import json
import socket

import httpx
import pytest
from web3 import HTTPProvider, Web3

from services.chain import gate
from services.chain.anvil import newest_block
from services.chain.gate import BURST, MAX_BODY, PER_S, Rates
from services.coordinator.web3_chain import Web3Chain
from shared.listening import listen
from shared.messages import Registration, Reward
from tests.coordinator_kit import ARTIFACTS, KeySigner
from tests.integration.test_chain_service import Chain

DANGEROUS = [
    "anvil_setBalance",
    "anvil_impersonateAccount",
    "anvil_reset",
    "evm_revert",
    "evm_snapshot",
    "eth_sendTransaction",
]
PEER = "Qm" + "p" * 44


@pytest.fixture(scope="module")
def chain(tmp_path_factory, anvil_binary):
    chain = Chain(tmp_path_factory.mktemp("gate"), anvil_binary)
    chain.wait_for(lambda: newest_block(chain.port) >= 0)
    yield chain
    chain.process.terminate()
    chain.process.communicate(timeout=20)


def post(chain, body, headers=None):
    """Status and body of an answer."""
    line = http.client.HTTPConnection("127.0.0.1", chain.port, timeout=15)
    try:
        line.request("POST", "/", body, {"Content-Type": "application/json", **(headers or {})})
        answer = line.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        line.close()


def batch(*methods):
    return json.dumps([{"jsonrpc": "2.0", "id": k, "method": method, "params": []} for k, method in enumerate(methods)])


def counted(chain, outcome):
    lines = [line for line in chain.get("/metrics").splitlines() if f'outcome="{outcome}"' in line and "_total" in line]
    return float(lines[0].rsplit(" ", 1)[1]) if lines else 0.0


def test_what_would_change_the_chain_at_will_is_refused_and_counted(chain):
    before = counted(chain, "refused")
    status, told = post(chain, batch(*DANGEROUS))
    assert status == 200
    assert {one["error"]["code"] for one in told} == {-32601}
    assert counted(chain, "refused") == before + len(DANGEROUS)


def test_of_a_batch_with_one_bad_call_the_others_are_answered(chain):
    status, told = post(chain, batch("eth_chainId", "anvil_setBalance", "eth_blockNumber"))
    assert (status, told[0]["result"], [one["id"] for one in told]) == (200, hex(685685), [0, 1, 2])
    assert "anvil_setBalance is not served here" in told[1]["error"]["message"]
    assert int(told[2]["result"], 16) >= 0


def test_anvil_itself_listens_on_this_machine_only(chain):
    import psutil

    (anvil,) = [one for one in psutil.Process(chain.process.pid).children(recursive=True) if "anvil" in one.name()]
    (at,) = {one.laddr.ip for one in anvil.net_connections() if one.status == psutil.CONN_LISTEN}
    assert at == "127.0.0.1"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"hello", {}, 400),
        (b"[]", {}, 400),
        (b"x" * (MAX_BODY + 1), {}, 413),
        (b"", {"Content-Length": "999999999999"}, 413),
    ],
)
def test_garbage_and_what_is_too_large_is_answered_before_anvil_sees_it(chain, body, headers, status):
    assert post(chain, body, headers)[0] == status


def test_a_body_of_no_said_length_is_bounded_too(chain):
    def without_an_end():
        for _ in range(MAX_BODY // 65_536 + 2):
            yield b"x" * 65_536

    line = http.client.HTTPConnection("127.0.0.1", chain.port, timeout=15)
    line.request("POST", "/", without_an_end(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert line.getresponse().status == 413
    line.close()


def test_other_paths_and_verbs_are_told_how_it_is_done(chain):
    for verb, path in (("GET", "/"), ("POST", "/admin"), ("DELETE", "/"), ("OPTIONS", "/")):
        line = http.client.HTTPConnection("127.0.0.1", chain.port, timeout=5)
        line.request(verb, path, "{}")
        assert line.getresponse().status == 405
        line.close()


def test_who_talks_no_http_or_too_slowly_keeps_nobody_out(chain):
    with (
        socket.create_connection(("127.0.0.1", chain.port)) as odd,
        socket.create_connection(("127.0.0.1", chain.port)) as slow,
    ):
        odd.sendall(b"\x00\x01\x02\r\n\r\n")
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert post(chain, batch("eth_chainId"))[0] == 200


async def test_who_holds_connections_open_keeps_nobody_out(monkeypatch):
    monkeypatch.setattr(gate, "MAX_EACH", 3)
    monkeypatch.setattr(gate, "BODY_S", 0.3)
    with listen("127.0.0.1", 0, "CHAIN_PORT") as sock:
        async with gate.gate_to(1, sock):
            where = sock.getsockname()
            lines = [await asyncio.open_connection(*where) for _ in range(4)]
            assert await asyncio.wait_for(lines[3][0].read(), 5) == b"", "one more than an address may have"
            for reader, _ in lines[:3]:
                assert await asyncio.wait_for(reader.read(), 5) == b"", "it said nothing for too long"
            for _, writer in lines:
                writer.close()
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{where[1]}") as client:
                assert (await client.post("/", content=batch("evm_mine"))).status_code == 200
            assert sum(gate.Bounded.held.values()) <= 1
    assert not gate.Bounded.held


async def test_a_swarm_is_founded_joined_and_paid_through_it(chain):
    founder = Web3Chain(f"http://127.0.0.1:{chain.port}", KeySigner(), ARTIFACTS, receipt_timeout_s=10)
    await founder.deploy()
    peers = [Registration(peer_id=PEER), *(Reward(peer_id=PEER, round=0, stage=0, points=5),)]
    for one in peers:
        (landed,) = await founder.submit([one])
        assert landed.transaction
    await founder.advance()
    assert (await founder.head()).round == 1
    assert await founder.holds([Reward(peer_id=PEER, round=0, stage=0, points=5)]) == [True]


def test_web3_reads_through_it_and_cannot_do_what_it_must_not(chain):
    web3 = Web3(HTTPProvider(f"http://127.0.0.1:{chain.port}"))
    assert web3.is_connected()
    assert web3.eth.chain_id == 685685
    assert web3.eth.get_block("latest")["number"] >= 0
    assert "error" in web3.provider.make_request("anvil_setBalance", ["0x" + "11" * 20, "0x1"])
    assert web3.eth.get_balance("0x" + "11" * 20) == 0


def test_an_address_that_asks_without_an_end_is_told_to_wait_and_others_are_served():
    rates = Rates()
    assert rates.take("203.0.113.7", BURST, 0.0)
    assert not rates.take("203.0.113.7", 1, 0.0)
    assert rates.take("203.0.113.8", 1, 0.0)
    assert rates.take("203.0.113.7", PER_S, 1.0)
    assert rates.take("2001:db8::1", BURST, 0.0)
    assert not rates.take("2001:db8::2", 1, 0.0), "one network, one household"
    for number in range(gate.MAX_ADDRESSES):
        rates.take(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}", 1, 2.0)
    assert len(rates._buckets) == gate.MAX_ADDRESSES


async def test_too_many_calls_are_answered_429_until_time_has_passed():
    now = 0.0
    app = gate.Gate(port=1, clock=lambda: now)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chain:8545") as client:

        async def status() -> int:
            return (await client.post("/", content=batch(*["evm_mine"] * 100))).status_code

        assert [await status() for _ in range(BURST // 100 + 1)] == [200] * (BURST // 100) + [429]
        now = 1.0
        assert await status() == 200
    await app.close()


async def test_while_anvil_is_away_callers_are_told_so():
    app = gate.Gate(port=1)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chain:8545") as client:
        answer = await client.post("/", content=batch("eth_chainId"))
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            502,
            "the chain does not answer (ConnectError)",
        )
    await app.close()
