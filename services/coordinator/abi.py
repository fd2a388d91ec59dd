"""The contract's interface: encodes calls, decodes answers, events and custom errors. Loaded only by web3_chain."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import (
    abi_to_signature,
    event_abi_to_log_topic,
    function_abi_to_4byte_selector,
    get_abi_input_types,
    get_abi_output_types,
)

from shared.errors import SwarmError

Abi = list[dict[str, Any]]


def artifact(folder: Path, name: str) -> tuple[Abi, str]:
    """ABI and bytecode (0x...) of a compiled contract. Raises SwarmError if it is not there."""
    try:
        built = json.loads((folder / f"{name}.json").read_text())
        return built["abi"], "0x" + built["bytecode"].removeprefix("0x")
    except (OSError, ValueError, KeyError) as error:
        raise SwarmError(
            f"the compiled contract {name} cannot be read from {folder} ({type(error).__name__})",
            "set CONTRACT_ARTIFACTS to the folder contracts/artifacts",
        ) from error


def constructor(abi: Abi, *values: str) -> str:
    """Arguments of a contract's constructor, hexadecimal, to stand behind its code."""
    (entry,) = (entry for entry in abi if entry["type"] == "constructor")
    types = [part["type"] for part in entry["inputs"]]
    return encode(
        types, [bytes.fromhex(v[2:]) if t == "bytes" else v for t, v in zip(types, values, strict=True)]
    ).hex()


class Interface:
    """One contract's ABI. Functions go by their full signature, because some names are overloaded."""

    def __init__(self, abi: Abi) -> None:
        functions = {abi_to_signature(entry): entry for entry in abi if entry["type"] == "function"}  # type: ignore[arg-type]
        self._selectors = {name: function_abi_to_4byte_selector(entry) for name, entry in functions.items()}  # type: ignore[arg-type]
        self._inputs = {name: get_abi_input_types(entry) for name, entry in functions.items()}  # type: ignore[arg-type]
        self._outputs = {name: get_abi_output_types(entry) for name, entry in functions.items()}  # type: ignore[arg-type]
        self._events = {entry["name"]: entry for entry in abi if entry["type"] == "event"}
        self._errors = {
            "0x" + function_abi_to_4byte_selector(entry).hex(): entry["name"]  # type: ignore[arg-type]
            for entry in abi
            if entry["type"] == "error"
        }

    def call(self, signature: str, arguments: Sequence[Any]) -> str:
        """Input data of a call, 0x..."""
        return "0x" + (self._selectors[signature] + encode(self._inputs[signature], arguments)).hex()

    def answer(self, signature: str, data: str) -> Any:
        """What a call returned; its only value, not a tuple of one."""
        values = decode(self._outputs[signature], bytes.fromhex(data[2:]))
        return values[0] if len(values) == 1 else values

    def topic(self, event: str) -> str:
        """The first topic of an event's logs."""
        return "0x" + event_abi_to_log_topic(self._events[event]).hex()  # type: ignore[arg-type]

    def fields(self, event: str, log: dict[str, Any]) -> dict[str, Any]:
        """The fields of an event's log that are not indexed, by name. Raises ValueError: a text may be no UTF-8."""
        parts = [part for part in self._events[event]["inputs"] if not part["indexed"]]
        try:
            values = decode([part["type"] for part in parts], bytes.fromhex(log["data"][2:]))
        except DecodingError as error:
            raise ValueError(f"{event} cannot be read: {error}") from error
        return dict(zip((part["name"] for part in parts), values, strict=True))

    def error(self, answer: Any) -> str | None:
        """The custom error an RPC error speaks of, by name, or its raw text; None if it is no revert at all."""
        if not isinstance(answer, dict):
            return None
        message, data = str(answer.get("message", "")), answer.get("data")
        if not isinstance(data, str) or not data.startswith("0x"):
            found = re.search(r"0x[0-9a-f]{8}\b", message)
            data = found[0] if found else ""
        if "revert" not in message.lower() and answer.get("code") != 3:
            return None
        return self.error_named(data) if data else message

    def error_named(self, data: str) -> str:
        """A custom error by name, from what a call reverted with (0x...); the data itself if it is none."""
        return str(self._errors.get(data[:10], data))


def word(number: int) -> str:
    """A number as an indexed topic."""
    return f"0x{number:064x}"


def address_word(address: str) -> str:
    """An address as an indexed topic."""
    return f"0x{int(address, 16):064x}"
