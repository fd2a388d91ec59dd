"""What of a request may reach the chain, pure: JSON-RPC calls that only read, or bring a signed transaction.

    body --read--> calls to pass on, renumbered   and, in their places, the refusals of all others
    the chain's answers --answered--> the answer, in the order and with the ids of the request

Calls are written anew from what was read: what the chain gets is what was looked at, whatever stood beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

MAX_CALLS = 100  # in a batch, as public nodes have it
MAX_WORD = 100  # characters of a method or an id
GARBAGE, NO_REQUEST, NO_METHOD, BROKEN = -32700, -32600, -32601, -32603  # as JSON-RPC 2.0 has them

METHODS = frozenset(
    {
        "eth_blockNumber",
        "eth_call",
        "eth_chainId",
        "eth_estimateGas",
        "eth_feeHistory",
        "eth_gasPrice",
        "eth_getBalance",
        "eth_getBlockByHash",
        "eth_getBlockByNumber",
        "eth_getBlockReceipts",
        "eth_getBlockTransactionCountByHash",
        "eth_getBlockTransactionCountByNumber",
        "eth_getCode",
        "eth_getLogs",
        "eth_getStorageAt",
        "eth_getTransactionByBlockHashAndIndex",
        "eth_getTransactionByBlockNumberAndIndex",
        "eth_getTransactionByHash",
        "eth_getTransactionCount",
        "eth_getTransactionReceipt",
        "eth_maxPriorityFeePerGas",
        "eth_sendRawTransaction",
        "eth_syncing",
        "net_version",
        "web3_clientVersion",
    }
)


class Unreadable(Exception):
    """A request of which nothing can be answered; `code` is JSON-RPC's."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True)
class Request:
    """A request that was looked at."""

    ids: tuple[Any, ...]  # of its calls, as the caller numbers them
    refusals: tuple[dict[str, Any] | None, ...]  # in their places; None: the call is passed on
    passed: tuple[dict[str, Any], ...]  # numbered by their places
    single: bool  # no batch

    @property
    def refused(self) -> int:
        """How many calls are not passed on."""
        return len(self.ids) - len(self.passed)


def read(body: bytes) -> Request:
    """Look at a request. Raises Unreadable."""
    try:
        told = from_json(body, allow_inf_nan=False)  # bounds how deep it is nested, too
    except ValueError as error:
        raise Unreadable(GARBAGE, "this is no JSON") from error
    calls = told if isinstance(told, list) else [told]
    if not 1 <= len(calls) <= MAX_CALLS:
        raise Unreadable(NO_REQUEST, f"a batch has 1 to {MAX_CALLS} calls")
    ids = tuple(_id_of(call) for call in calls)
    refusals = tuple(_refusal(call, id_) for call, id_ in zip(calls, ids, strict=True))
    passed = [
        {"jsonrpc": "2.0", "id": place, "method": call["method"], "params": call.get("params", [])}
        for place, (call, refusal) in enumerate(zip(calls, refusals, strict=True))
        if refusal is None
    ]
    return Request(ids, refusals, tuple(passed), not isinstance(told, list))


def answered(request: Request, answers: Sequence[Any]) -> list[dict[str, Any]] | dict[str, Any]:
    """The answer to all of a request, of the chain's answers to what was passed on."""
    told = {one["id"]: one for one in answers if isinstance(one, dict) and isinstance(one.get("id"), int)}
    full = []
    for place, (id_, refusal) in enumerate(zip(request.ids, request.refusals, strict=True)):
        one = refusal or told.get(place) or error(None, BROKEN, "the chain did not answer this call")
        full.append({**one, "id": id_})
    return full[0] if request.single else full


def error(id_: Any, code: int, words: str) -> dict[str, Any]:
    """An answer that says why there is none."""
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": words}}


def _id_of(call: Any) -> Any:
    found = call.get("id") if isinstance(call, dict) else None
    good = isinstance(found, str | int) and len(str(found)) <= MAX_WORD
    return found if good else None


def _refusal(call: Any, id_: Any) -> dict[str, Any] | None:
    if not isinstance(call, dict) or id_ is None or not isinstance(call.get("params", []), list):
        return error(id_, NO_REQUEST, "a call is an object with an id, a method, and a list of params")
    method = call.get("method")
    if not isinstance(method, str) or method not in METHODS:
        named = method[:MAX_WORD] if isinstance(method, str) else "without a name"
        return error(id_, NO_METHOD, f"the method {named} is not served here: only what reads, and signed transactions")
    return None
