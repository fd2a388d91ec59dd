"""What passes the gate before the chain."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chain.calls import (
    BROKEN,
    GARBAGE,
    MAX_CALLS,
    METHODS,
    NO_METHOD,
    NO_REQUEST,
    Request,
    Unreadable,
    answered,
    read,
)


def call(method="eth_chainId", id_=1, **more):
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": [], **more}


def looked_at(*calls) -> Request:
    return read(json.dumps(calls).encode())


@pytest.mark.parametrize("method", sorted(METHODS))
def test_what_reads_or_brings_a_signed_transaction_passes(method):
    assert [one["method"] for one in looked_at(call(method)).passed] == [method]


@pytest.mark.parametrize(
    "method",
    [
        "anvil_setBalance",
        "anvil_impersonateAccount",
        "anvil_dumpState",
        "anvil_loadState",
        "anvil_reset",
        "anvil_mine",
        "anvil_setCode",
        "evm_revert",
        "evm_snapshot",
        "evm_mine",
        "evm_setNextBlockTimestamp",
        "hardhat_setStorageAt",
        "debug_traceTransaction",
        "trace_block",
        "txpool_content",
        "ots_getApiLevel",
        "erigon_getHeaderByNumber",
        "wallet_sendTransaction",
        "eth_sendTransaction",
        "eth_sendUnsignedTransaction",
        "eth_sign",
        "eth_signTypedData_v4",
        "eth_accounts",
        "eth_newFilter",
        "eth_subscribe",
        "ETH_CHAINID",
        " eth_chainId",
        "eth_chainId\u0000",
        "",
    ],
)
def test_everything_else_is_refused_by_its_name(method):
    request = looked_at(call(method, 7))
    assert (request.passed, request.refused) == ((), 1)
    (told,) = answered(request, [])
    assert (told["id"], told["error"]["code"]) == (7, NO_METHOD)


def test_of_a_batch_only_the_bad_call_is_refused_and_every_answer_is_in_its_place():
    request = looked_at(call(id_="a"), call("evm_revert", "b"), call("eth_gasPrice", "c"))
    assert [(one["id"], one["method"]) for one in request.passed] == [(0, "eth_chainId"), (2, "eth_gasPrice")]
    told = answered(
        request, [{"jsonrpc": "2.0", "id": 2, "result": "0x0"}, {"jsonrpc": "2.0", "id": 0, "result": "0x1"}]
    )
    assert [one["id"] for one in told] == ["a", "b", "c"]
    assert [one.get("result") for one in told] == ["0x1", None, "0x0"]
    assert told[1]["error"]["code"] == NO_METHOD


def test_ids_that_are_the_same_twice_are_answered_each_in_its_place():
    request = looked_at(call(id_=1), call("eth_gasPrice", 1))
    told = answered(request, [{"id": 0, "result": "a"}, {"id": 1, "result": "b"}])
    assert [(one["id"], one["result"]) for one in told] == [(1, "a"), (1, "b")]


def test_a_call_alone_gets_an_answer_alone_and_one_that_never_came_says_so():
    request = read(json.dumps(call(id_=5)).encode())
    assert answered(request, [{"jsonrpc": "2.0", "id": 0, "result": "0x1"}]) == {
        "jsonrpc": "2.0",
        "id": 5,
        "result": "0x1",
    }
    for silence in ([], ["what"], [{"id": None, "error": {}}], [{"result": 1}]):
        assert answered(request, silence)["error"]["code"] == BROKEN


def test_what_stands_beside_a_call_goes_no_further():
    (passed,) = looked_at(call(extra="anvil_reset", jsonrpc="1.0")).passed
    assert passed == {"jsonrpc": "2.0", "id": 0, "method": "eth_chainId", "params": []}
    twice = b'{"id": 1, "method": "eth_chainId", "method": "anvil_reset", "params": []}'
    assert read(twice).passed == ()


@pytest.mark.parametrize(
    "one",
    [
        None,
        1,
        "eth_chainId",
        [],
        {},
        call(id_=None),
        call(id_=[1]),
        call(id_="x" * 101),
        call(params={"to": "0x"}),
        {"method": "eth_chainId", "params": []},
    ],
)
def test_what_is_no_call_is_refused_and_the_others_of_its_batch_are_not(one):
    request = looked_at(one, call(id_=2))
    assert request.refused == 1
    first, second = answered(request, [{"id": 1, "result": "0x1"}])
    assert (first["error"]["code"], second["result"]) == (NO_REQUEST, "0x1")


def test_a_method_that_is_no_text_is_named_so():
    for method in (None, 5, ["eth_chainId"], {"eth_chainId": 1}):
        (told,) = answered(looked_at(call(method)), [])
        assert "without a name" in told["error"]["message"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", GARBAGE),
        (b"hello", GARBAGE),
        (b"\xff\xfe\x00", GARBAGE),
        (b'{"id": NaN}', GARBAGE),
        (b"[" * 100_000, GARBAGE),
        (b"9" * 10_000, GARBAGE),
        (b"[]", NO_REQUEST),
        (json.dumps([call()] * (MAX_CALLS + 1)).encode(), NO_REQUEST),
    ],
)
def test_garbage_and_batches_without_an_end_are_answered_as_one(body, code):
    with pytest.raises(Unreadable) as refused:
        read(body)
    assert refused.value.code == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(string.printable, max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "method", "params", "x"]), inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_whatever_json_comes_only_known_methods_pass_and_everything_is_answered(told):
    try:
        request = read(json.dumps(told).encode())
    except Unreadable:
        return
    assert {one["method"] for one in request.passed} <= METHODS
    full = answered(request, [])
    assert isinstance(full, dict) or len(full) == len(request.ids)
    json.dumps(full)
