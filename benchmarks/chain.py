"""How fast one account's rewards reach a chain, in batches and one by one, beside two ways that others send them.

    python -m benchmarks.chain            # 500 rewards each way, mined at once and in blocks of a second
    python -m benchmarks.chain --smoke    # a few; writes only where it is told to

    receipt   a transaction, its receipt, the next one
    latest    the nonce as the latest block has it, sent without waiting: two of one block take the same nonce
    ours      `Web3Chain.submit`, a transaction for each: gas estimated, nonces counted here, raw transactions many at a
              time, receipts and events checked; so the coordinator sends to a contract that has no `submitRewards`
    batched   the same, up to 50 rewards in a transaction, as the coordinator sends them wherever the contract takes it

A real anvil and the real contract; each way has an account, a peer and a chain of its own. All sign with a key at hand:
what identity adds is the same for each. `landed` is what the contract says at the end; the rate counts rewards, not
transactions. Writes `benchmarks/results/chain.json` and `chain.svg`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from eth_account import Account
from hexbytes import HexBytes
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from web3 import Web3
from web3.exceptions import Web3RPCError

from services.chain.anvil import anvil_command, dies_with_parent
from services.coordinator.abi import artifact
from services.coordinator.batches import MOST
from services.coordinator.chain import Landed
from services.coordinator.settings import ARTIFACTS
from services.coordinator.signer import Signed
from services.coordinator.web3_chain import Web3Chain
from services.local.anvil import find_anvil
from services.trainer.tracking.canvas import canvas, save
from shared.messages import Registration, Reward

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "chain.json"
PEER = "Qm" + "a" * 44
BLOCKS_S = (0, 1)  # 0: each transaction is mined at once
SLOW = 10  # where each reward waits for a block of its own, one tenth of them is enough
SETTLE_S = 3.0  # that what was sent may still be mined
REWARD = "submitReward(uint256,uint256,int256,string)"
console = Console()


class Key:
    """An account's key at hand."""

    def __init__(self) -> None:
        self.account = Account.create()
        self.address = str(self.account.address)

    async def sign(self, transactions: Sequence[dict[str, Any]]) -> list[Signed]:
        """See `Signer.sign`."""
        done = [self.account.sign_transaction(fields) for fields in transactions]
        return [Signed("0x" + bytes(one.raw_transaction).hex(), "0x" + bytes(one.hash).hex()) for one in done]


@contextmanager
def node(binary: Path, block_s: int) -> Iterator[str]:
    """The address of an anvil that is there while the block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = anvil_command(binary, host="127.0.0.1", port=port, state=Path(folder, "state.json"))
        command += ["--block-time", str(block_s)] if block_s else []
        process = subprocess.Popen(dies_with_parent(command))
        web3 = Web3(Web3.HTTPProvider(url := f"http://127.0.0.1:{port}"))
        while not web3.is_connected():
            time.sleep(0.05)
        try:
            yield url
        finally:
            process.kill()
            process.wait()


Way = Callable[[Web3Chain, Key, str, Sequence[Reward]], Awaitable[None]]


async def ours(chain: Web3Chain, key: Key, url: str, rewards: Sequence[Reward]) -> None:
    """As the coordinator sends them, together or one by one, as the chain's client was told."""
    results = await chain.submit(rewards)
    assert all(isinstance(one, Landed) for one in results)


async def by_receipt(chain: Web3Chain, key: Key, url: str, rewards: Sequence[Reward]) -> None:
    """One after the other."""
    await asyncio.to_thread(_by_receipt, chain, key, url, rewards)


def _by_receipt(chain: Web3Chain, key: Key, url: str, rewards: Sequence[Reward]) -> None:
    web3, send = _sender(chain, key, url)
    for reward in rewards:
        web3.eth.wait_for_transaction_receipt(send(reward), poll_latency=0.01)


async def by_latest(chain: Web3Chain, key: Key, url: str, rewards: Sequence[Reward]) -> None:
    """Without waiting for anything."""
    await asyncio.to_thread(_by_latest, chain, key, url, rewards)


def _by_latest(chain: Web3Chain, key: Key, url: str, rewards: Sequence[Reward]) -> None:
    _, send = _sender(chain, key, url)
    for reward in rewards:
        with suppress(Web3RPCError):  # "nonce too low", "underpriced": it goes on, as others do
            send(reward)


def _sender(chain: Web3Chain, key: Key, url: str) -> tuple[Web3, Callable[[Reward], HexBytes]]:
    web3 = Web3(Web3.HTTPProvider(url))
    contract = web3.eth.contract(
        address=Web3.to_checksum_address(str(chain.contract)), abi=artifact(ARTIFACTS, "SwarmCoordinator")[0]
    )
    function: Any = contract.get_function_by_signature(REWARD)

    def send(reward: Reward) -> HexBytes:
        call = function(reward.round, reward.stage, reward.points, reward.peer_id)
        nonce = web3.eth.get_transaction_count(Web3.to_checksum_address(key.address), "latest")
        fields = call.build_transaction({"from": key.address, "nonce": nonce, "gasPrice": web3.eth.gas_price})
        return web3.eth.send_raw_transaction(key.account.sign_transaction(fields).raw_transaction)

    return web3, send


WAYS: dict[str, Way] = {"receipt": by_receipt, "latest": by_latest, "ours": ours, "batched": ours}


async def measure(way: str, block_s: int, count: int, binary: Path) -> dict[str, Any]:
    """One row: so many rewards, one way, on a new chain."""
    rewards = [Reward(peer_id=PEER, round=0, stage=stage, points=stage) for stage in range(count)]
    with node(binary, block_s) as url:
        key = Key()
        chain = Web3Chain(url, key, ARTIFACTS, most=MOST if way == "batched" else 1)
        await chain.deploy()
        await chain.submit([Registration(peer_id=PEER)])
        await chain.advance()
        await chain.set_stages(count)  # so many rewards may be claimed for the round that is over
        began = time.perf_counter()
        await WAYS[way](chain, key, url, rewards)
        seconds = time.perf_counter() - began
        await asyncio.sleep(SETTLE_S)
        landed = sum(await chain.holds(rewards))
    row = {"way": way, "block_seconds": block_s, "sent": count, "landed": landed, "seconds": round(seconds, 2)}
    return {**row, "tx_per_second": round(landed / seconds, 1)}


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The rows, for people."""
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Rewards a second, by way and chain; what was lost beside them."""
    figure = canvas(7, 3)
    axes = figure.subplots()
    for index, block_s in enumerate(sorted({row["block_seconds"] for row in rows})):
        mine = [row for row in rows if row["block_seconds"] == block_s]
        places = [number + 0.4 * index for number in range(len(mine))]
        label = f"blocks every {block_s} s" if block_s else "mined at once"
        axes.barh(places, [row["tx_per_second"] for row in mine], 0.38, label=label)
        for place, row in zip(places, mine, strict=True):
            lost = row["sent"] - row["landed"]
            axes.text(
                row["tx_per_second"], place, f" {row['tx_per_second']:g}" + f", {lost} lost" * bool(lost), va="center"
            )
    ways = list(dict.fromkeys(row["way"] for row in rows))
    axes.set_yticks([number + 0.2 for number in range(len(ways))], ways)
    axes.set_xlabel("rewards landed a second")
    axes.margins(x=0.2)
    axes.legend()
    save(figure, path)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="20 rewards on a chain that mines at once")
    parser.add_argument("--rewards", type=int, default=500)
    parser.add_argument("--results", type=Path, help="where the rows go")
    asked = parser.parse_args()
    count, blocks_s = (20, (0,)) if asked.smoke else (asked.rewards, BLOCKS_S)
    binary, rows = find_anvil(ROOT / ".cache"), list[dict[str, Any]]()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("rewards", total=len(WAYS) * len(blocks_s))
        for block_s in blocks_s:
            for way in WAYS:
                progress.update(task, description=f"{way}, {f'blocks of {block_s} s' if block_s else 'mined at once'}")
                fewer = SLOW if way == "receipt" and block_s else 1  # a block for each
                rows.append(asyncio.run(measure(way, block_s, count // fewer, binary)))
                progress.advance(task)
    show(rows)
    if path := asked.results or (None if asked.smoke else RESULTS):
        path.write_text(json.dumps(rows, indent=1) + "\n")
        plot(rows, path.with_suffix(".svg"))


if __name__ == "__main__":
    main()
