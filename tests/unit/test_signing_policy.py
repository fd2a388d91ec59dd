"""What the household's key signs, and above all what not."""

from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pydantic import ValidationError

from services.identity.signing.policy import (
    EARLY,
    FORWARD,
    FUNCTIONS,
    GRANT_ROLE,
    INITIALIZE,
    Code,
    Refused,
    Rules,
    Transaction,
    check,
    contract_address,
    is_early,
    load_code,
)
from shared.errors import SwarmError
from shared.rate import Bucket

US = to_checksum_address("0x" + "11" * 20)
SWARM = to_checksum_address("0x" + "22" * 20)
CODE = Code(b"implementation", b"proxy", b"market")
REWARD = FUNCTIONS[1]


def rules(**changes):
    given = {"account": US, "chain_id": 7, "contracts": frozenset({SWARM}), "next_nonce": 5, "code": CODE}
    return Rules(**{**given, **changes})


def transaction(**changes):
    data = "0x" + keccak(text=REWARD)[:4].hex() + "00" * 32
    given = {"to": SWARM.lower(), "data": data, "nonce": 5, "gas": 100_000, "gas_price": 1, "chain_id": 7}
    return Transaction(**{**given, **changes})


def proxy(implementation, owner, first=INITIALIZE):
    call = first + encode(["address"], [owner])
    return "0x" + (CODE.proxy + encode(["address", "bytes"], [implementation, call])).hex()


def market_of(swarm, tail=""):
    return "0x" + CODE.market.hex() + "00" * 12 + swarm[2:] + tail


def manager(account, role="MARKET_MANAGER_ROLE", function=GRANT_ROLE):
    selector = keccak(text=function)[:4]
    return "0x" + (selector + encode(["bytes32", "address"], [keccak(text=role), account])).hex()


def test_a_market_of_our_swarm_may_be_made_and_we_may_be_its_manager():
    made = [transaction(to=None, data=market_of(SWARM.lower())), transaction(data=manager(US), nonce=6)]
    assert check(made, rules()) == ["deploy PredictionMarket", GRANT_ROLE]


@pytest.mark.parametrize(
    "changes",
    [
        {"to": None, "data": market_of("0x" + "33" * 20)},
        {"to": None, "data": market_of(SWARM.lower(), "00")},
        {"data": manager("0x" + "33" * 20)},
        {"data": manager(US, "OWNER_ROLE")},
        {"data": manager(US, function="revokeRole(bytes32,address)")},
        {"data": manager(US) + "00"},
    ],
)
def test_no_market_of_another_swarm_no_other_role_and_nobody_else_in_it(changes):
    with pytest.raises(Refused):
        check([transaction(**changes)], rules())


def test_the_calls_of_a_node_are_signed_and_named():
    calls = [
        transaction(data="0x" + keccak(text=name)[:4].hex(), nonce=5 + index) for index, name in enumerate(FUNCTIONS)
    ]
    assert check(calls, rules()) == list(FUNCTIONS)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"chain_id": 8}, "chain 8"),
        ({"to": "0x" + "33" * 20}, "not this swarm's contract"),
        ({"data": "0x"}, "not one that a node calls"),
        ({"data": "0x" + keccak(text="grantRole(bytes32,address)")[:4].hex()}, "cannot be read"),
        ({"data": "0x" + keccak(text="upgradeToAndCall(address,bytes)")[:4].hex()}, "not one that a node calls"),
        ({"to": None, "data": "0x6000"}, "not one of this software"),
        ({"nonce": 6 + FORWARD}, "far beyond"),
    ],
)
def test_everything_else_is_refused_with_the_reason(changes, why):
    with pytest.raises(Refused, match=why):
        check([transaction(**changes)], rules())


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "0x12"},
        {"data": "0x1"},
        {"data": "zz"},
        {"nonce": -1},
        {"gas": 31_000_000},
        {"gas_price": 10**14},
        {"chain_id": 0},
        {"value": 1},
        {"data": "0x" + "00" * 100_001},
    ],
)
def test_what_is_no_transaction_or_sends_coin_is_not_even_looked_at(changes):
    with pytest.raises(ValidationError):
        transaction(**changes)


def test_one_bad_transaction_spoils_the_batch():
    with pytest.raises(Refused):
        check([transaction(), transaction(nonce=6, to="0x" + "33" * 20)], rules())


def test_nonces_of_a_batch_follow_each_other_and_may_go_back_to_replace():
    assert check([transaction(nonce=2), transaction(nonce=3)], rules()) == [REWARD, REWARD]
    assert check([transaction(nonce=900)], rules(next_nonce=None)) == [REWARD]
    for nonces in ((5, 7), (6, 5), (5, 5)):
        with pytest.raises(Refused, match="follow"):
            check([transaction(nonce=nonce) for nonce in nonces], rules())


def test_our_contract_is_deployed_behind_a_proxy_that_we_own():
    implementation = contract_address(US, 5)
    made = transaction(to=None, data="0x" + CODE.implementation.hex())
    behind = transaction(to=None, data=proxy(implementation, US), nonce=6)
    call = transaction(to=contract_address(US, 6), nonce=7)
    assert check([made, behind, call], rules()) == ["deploy SwarmCoordinator", "deploy ERC1967Proxy", REWARD]


@pytest.mark.parametrize(
    "data",
    [
        proxy(SWARM, "0x" + "44" * 20),
        proxy("0x" + "44" * 20, US),
        proxy(SWARM, US, b"\x00" * 4),
        "0x" + CODE.proxy.hex(),
        "0x" + (CODE.proxy + encode(["address", "bytes"], [SWARM, b"short"])).hex(),
    ],
)
def test_a_proxy_to_elsewhere_or_for_somebody_else_is_refused(data):
    with pytest.raises(Refused, match="proxy"):
        check([transaction(to=None, data=data)], rules())


def test_a_contracts_address_follows_from_account_and_nonce():
    # A well-known pair: the first contract of anvil's first account.
    assert contract_address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", 0) == (
        "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    )
    assert is_early(US, contract_address(US, EARLY - 1))
    assert not is_early(US, contract_address(US, EARLY))


def test_the_compiled_contracts_are_read_or_missed_by_name(tmp_path):
    code = load_code(Path(__file__).parents[2] / "contracts" / "artifacts")
    assert min(len(code.implementation), len(code.proxy)) > 500
    with pytest.raises(SwarmError, match="CONTRACT_ARTIFACTS"):
        load_code(tmp_path)


def test_the_bucket_gives_a_burst_and_then_as_much_as_flows_in():
    bucket, enough = Bucket(10, 2, 10, 0).take(10, 0)
    assert enough
    assert bucket.take(1, 0.4)[1] is False
    bucket, enough = bucket.take(4, 2)
    assert (enough, bucket.level) == (True, 0)
    assert bucket.take(11, 1_000)[1] is False
    assert bucket.take(1, -5)[1] is False
