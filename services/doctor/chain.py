"""The chain: does it answer, is it the right one, is the contract there, can the account pay."""

from __future__ import annotations

from typing import Any

from services.doctor.check import Check
from services.doctor.machine import Told
from services.doctor.web import Silent, ask, is_near, shown

LEDGER = "ledger"
CURRENT_ROUND, GET_BOOTNODES = "0x8a19c8bc", "0x6370ae4f"  # selectors
WORD = 32
GAS_AHEAD = 100 * 100_000  # what a hundred rewards cost
MAX_BOOTNODES = 64


class Refused(Exception):
    """The node answers, and not with a result."""


class Node:
    """A chain's node over JSON-RPC."""

    def __init__(self, url: str, patience_s: float) -> None:
        self.url, self._patience_s = url, patience_s
        self.date: float | None = None  # by its HTTP server, unix seconds

    def ask(self, method: str, *params: Any) -> Any:
        """The result. Raises Silent, Refused."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        reply = ask(self.url, self._patience_s, body)
        self.date, told = reply.date, reply.json()
        if not isinstance(told, dict) or not ("result" in told or "error" in told):
            raise Refused(f"what answers there (HTTP {reply.status}) is no chain's node")
        if told.get("error"):
            words = told["error"].get("message", "") if isinstance(told["error"], dict) else told["error"]
            raise Refused(f"the node refuses {method}: {str(words)[:200]}")
        return told["result"]

    def number(self, method: str, *params: Any) -> int:
        """A result that is a number. Raises Silent, Refused."""
        found = self.ask(method, *params)
        try:
            return int(found, 16)
        except (TypeError, ValueError) as error:
            raise Refused(f"the node's answer to {method} is no number") from error

    def call(self, contract: str, selector: str) -> bytes:
        """What a contract's function returns. Raises Silent, Refused."""
        found = self.ask("eth_call", {"to": contract, "data": selector}, "latest")
        try:
            return bytes.fromhex(str(found)[2:])
        except ValueError as error:
            raise Refused("the node's answer to eth_call cannot be read") from error


def chain(node: Node, chain_id: int, *, started: bool) -> tuple[Check, list[Told]]:
    """The node, and what time it is there."""
    where = f"at {shown(node.url)}"
    try:
        found, latest = node.number("eth_chainId"), node.ask("eth_getBlockByNumber", "latest", False)
        block, at = int(latest["number"], 16), float(int(latest["timestamp"], 16))
    except Silent as silent:
        return away(
            "chain", f"no chain answers {where}: {silent}", "see that it runs, and CHAIN_URL", node.url, started
        ), []
    except Refused as refused:
        return bad("chain", f"{refused} {where}", "see CHAIN_URL"), []
    except (KeyError, TypeError, ValueError):
        return bad("chain", f"the newest block {where} cannot be read", "see CHAIN_URL"), []
    told = [Told("the chain's newest block", at, exact=False)]
    if node.date is not None and not is_near(node.url):
        told.append(Told(shown(node.url), node.date, exact=True))
    if found != chain_id:
        cause = f"the chain {where} has the id {found}, and identity signs for {chain_id}"
        return bad("chain", cause, f"set CHAIN_ID={found}, or see CHAIN_URL"), told
    return Check("chain", True, f"chain {found} {where}, block {block}", part="around"), told


def contract(node: Node, address: str | None) -> Check:
    """Code at the address, that speaks like a swarm's."""
    if address is None:
        return Check("contract", None, "none is named yet", "it is deployed at the first start", "around")
    remedy = "see SWARM_CONTRACT and CHAIN_URL: the chain may have been begun anew; ask the founder for an invite"
    try:
        if str(node.ask("eth_getCode", address, "latest")) in ("0x", "None"):
            return bad("contract", f"there is no contract at {address} on this chain", remedy)
        answer = node.call(address, CURRENT_ROUND)
    except (Silent, Refused) as error:
        return bad("contract", f"the contract at {address} does not answer as a swarm's ({error})", remedy)
    if len(answer) != WORD:
        return bad("contract", f"the contract at {address} is not a swarm's", remedy)
    return Check("contract", True, f"{address}, round {int.from_bytes(answer)}", part="around")


def balance(node: Node, account: str) -> Check:
    """Whether the account can pay for what it sends."""
    try:
        price, has = node.number("eth_gasPrice"), node.number("eth_getBalance", account, "latest")
    except (Silent, Refused) as error:
        return bad("balance", f"what {account} has cannot be asked for ({error})", "see CHAIN_URL")
    if price == 0:
        return Check("balance", True, "transactions cost nothing on this chain", part="around")
    said = f"{account} has {has / 1e18:.6f} coins, and a hundred rewards cost {GAS_AHEAD * price / 1e18:.6f}"
    if has >= GAS_AHEAD * price:
        return Check("balance", True, said, part="around")
    return Check("balance", None if has else False, said, f"send some of the chain's coin to {account}", "around")


def bootnodes_of(node: Node, address: str) -> list[str]:
    """Those on the contract; none where it cannot be read."""
    try:
        return texts(node.call(address, GET_BOOTNODES))[:MAX_BOOTNODES]
    except (Silent, Refused, ValueError):
        return []


def texts(data: bytes) -> list[str]:
    """A `string[]` as a contract returns it (the ABI's dynamic arrays). Raises ValueError."""

    def number(at: int) -> int:
        if at + WORD > len(data):
            raise ValueError("it is cut off")
        return int.from_bytes(data[at : at + WORD])

    start = number(0)
    first, count = start + WORD, number(start)
    if count > len(data) // WORD:
        raise ValueError("it is cut off")
    places = [first + number(first + WORD * index) for index in range(count)]
    return [data[place + WORD : place + WORD + number(place)].decode() for place in places]


def bad(name: str, cause: str, remedy: str) -> Check:
    """Something that this household talks to is not well."""
    return Check(name, False, cause, remedy, "around")


def away(name: str, cause: str, remedy: str, url: str, started: bool) -> Check:
    """Something does not answer; before the start that is as it should be with this household's own."""
    if started or not is_near(url):
        return bad(name, cause, remedy)
    return Check(name, None, f"not started yet ({cause})", "look again when the swarm is up", "around")
