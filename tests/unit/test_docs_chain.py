"""docs/chain.md speaks of the contracts as they are."""

from __future__ import annotations

import json
import re

from tests.contract_kit import ARTIFACTS, abi_of

TEXT = (ARTIFACTS.parents[1] / "docs" / "chain.md").read_text()
CONTRACTS = ("SwarmCoordinator", "PredictionMarket")


def test_every_function_event_and_error_is_named() -> None:
    named = set(re.findall(r"`(\w+)[`(]", TEXT))
    there = {entry["name"] for contract in CONTRACTS for entry in abi_of(contract) if "name" in entry}
    assert there - named == set()


def test_every_cost_is_that_of_the_snapshot() -> None:
    known = json.loads((ARTIFACTS.parent / "gas.json").read_text())
    assert dict(re.findall(r"^\| (.+) \| ([\d,]+k) \|$", TEXT, re.MULTILINE)) == {
        name: f"{round(gas / 1000):,}k" for name, gas in known.items()
    }


def test_every_size_is_that_of_the_code() -> None:
    for contract in CONTRACTS:
        (size,) = re.findall(rf"^\| `{contract}` .* \| ([\d,]+) \|$", TEXT, re.MULTILINE)
        built = json.loads((ARTIFACTS / f"{contract}.json").read_text())["bytecode"]
        # The code that deploys it comes on top.
        assert 0 < len(built) / 2 - 1 - int(size.replace(",", "")) < 500
