"""Puts submissions on the chain and sees what became of each. Loaded only by web3_chain.

    submissions --several rewards: tried out in batches--> those that would be taken --parcels, gas--> transactions
                                |                                                       |
                                +------------------- Reverted, by name -----------------+
    receipts: RewardSubmitted, and the event of every other kind: Landed; RewardSkipped: Reverted, by its reason

A contract that has no `submitRewards` gets a transaction for each. A node that takes no batch as large as this (its
blocks are small, or it bounds the gas of a call) gets smaller ones when the caller tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.coordinator.abi import address_word
from services.coordinator.batches import MOST, NONE, Parcel, batch_of, parcels, portions, rewards_among
from services.coordinator.calls import Trace, proved, trace_of
from services.coordinator.chain import ChainDown, ChainError, ContractMissing, Landed, Reverted
from services.coordinator.functions import Functions
from services.coordinator.sender import Sender, Transaction
from services.coordinator.signer import SignerError
from shared.messages import Submission

Receipt = dict[str, Any]
Found = dict[int, Landed | Reverted]
"""What became of submissions, by their places."""


class Landing:
    """One account's submissions to the contract in use. `seen` is told of each receipt that is right."""

    def __init__(self, functions: Functions, sender: Sender, seen: Callable[[Receipt], None], most: int = MOST) -> None:
        self._functions, self._sender, self._seen = functions, sender, seen
        self._most = self._now = most  # rewards in a transaction, at best and at present

    async def submit(self, submissions: Sequence[Submission]) -> list[Landed | Reverted]:
        """See `Chain.submit`."""
        most = await self._together(submissions)
        try:
            found, going = await self._tried(submissions, most)
            receipts = await self._sender.send([transaction for _, transaction in going])
        except (ChainDown, SignerError):
            raise
        except ChainError:
            self._now = max(1, self._now // 2)
            raise
        self._now = min(self._now + 1, self._most)
        for (parcel, transaction), receipt in zip(going, receipts, strict=True):
            found |= await self._settled(submissions, parcel, transaction, receipt)
        return [found[place] for place in range(len(submissions))]

    def check(self, receipt: Receipt, event: str) -> None:
        """A transaction to an address without code succeeds too, and leaves no event. Raises ContractMissing."""
        topic = self._functions.interface.topic(event)
        if not any(log["topics"][0] == topic for log in receipt["logs"]):
            raise self._missing(event)
        self._seen(receipt)

    # ---- inside ----

    async def _together(self, submissions: Sequence[Submission]) -> int:
        """How many rewards go into one transaction."""
        several = self._now > 1 and len(rewards_among(submissions)) > 1
        return self._now if several and await self._functions.offers(NONE) else 1

    async def _tried(
        self, submissions: Sequence[Submission], most: int
    ) -> tuple[Found, list[tuple[Parcel, Transaction]]]:
        """What would be refused, and the transactions for all the rest."""
        found = await self._objections(submissions, most) if most > 1 else {}
        made = parcels(submissions, [place for place in range(len(submissions)) if place not in found], most)
        data = [self._functions.encode(parcel.call) for parcel in made]
        gas = await self._functions.estimates(data)
        await self._prove(submissions, made, data, gas)
        going = []
        for parcel, one, cost in zip(made, data, gas, strict=True):
            if isinstance(cost, Reverted):
                found |= self._refused(parcel, cost)
            else:
                going.append((parcel, Transaction(self._functions.address, one, cost)))
        return found, going

    async def _prove(
        self, submissions: Sequence[Submission], made: Sequence[Parcel], data: list[str], gas: list[int | Reverted]
    ) -> None:
        """Registrations that want a proof, and have one, with it."""
        where = (self._functions.address, self._functions.account)
        wanted = [index for index, one in enumerate(gas) if one == Reverted("ProofRequired")]
        calls = {index: call for index in wanted if (call := proved(submissions[made[index].places[0]], *where))}
        encoded = [self._functions.encode(call) for call in calls.values()]
        for index, one, cost in zip(calls, encoded, await self._functions.estimates(encoded), strict=True):
            data[index], gas[index] = one, cost

    async def _objections(self, submissions: Sequence[Submission], most: int) -> Found:
        """The rewards that would be skipped."""
        groups = [Parcel(group, batch_of(submissions, group)) for group in portions(rewards_among(submissions), most)]
        found: Found = {}
        for group, reasons in zip(groups, await self._functions.try_out([one.call for one in groups]), strict=True):
            if isinstance(reasons, Reverted):
                found |= self._refused(group, reasons)
            else:
                named = zip(group.places, reasons, strict=True)
                found |= {place: self._skipped(reason) for place, reason in named if any(reason)}
        return found

    def _refused(self, parcel: Parcel, why: Reverted) -> Found:
        """Raises ChainError for a batch: none is refused as a whole, unless the contract has become another."""
        if len(parcel.places) > 1:
            self._functions.forget()
            raise ChainError(f"the contract takes no batch of rewards ({why.error})", "they are sent one by one")
        return dict.fromkeys(parcel.places, why)

    async def _settled(
        self, submissions: Sequence[Submission], parcel: Parcel, transaction: Transaction, receipt: Receipt
    ) -> Found:
        if int(receipt["status"], 16) != 1:
            # It was well when it was estimated. The receipt does not say why; a repetition does.
            (gas,) = await self._functions.estimates([transaction.data])
            return dict.fromkeys(parcel.places, gas if isinstance(gas, Reverted) else Reverted(""))
        landed = Landed(receipt["transactionHash"], int(receipt["blockNumber"], 16))
        traces = {place: trace_of(submissions[place]) for place in parcel.places}
        if len(traces) == 1:
            self.check(receipt, traces[parcel.places[0]].event)
            return dict.fromkeys(traces, landed)
        told = self._told(receipt)
        if not set(traces.values()) <= set(told):
            raise self._missing("word of each reward of a batch")
        self._seen(receipt)
        return {place: told[trace] or landed for place, trace in traces.items()}

    def _told(self, receipt: Receipt) -> dict[Trace, Reverted | None]:
        """What a batch's events say of its rewards; None: taken."""
        interface, ours = self._functions.interface, address_word(self._functions.account)
        events = {interface.topic(event): event for event in ("RewardSubmitted", "RewardSkipped")}
        told: dict[Trace, Reverted | None] = {}
        for log in receipt["logs"]:
            if (event := events.get(log["topics"][0])) is None or log["topics"][1] != ours:
                continue
            fields = interface.fields(event, log)
            trace = Trace("RewardSubmitted", tuple(int(topic, 16) for topic in log["topics"][2:]), fields["peerId"])
            told.setdefault(trace, self._skipped(fields["reason"]) if "reason" in fields else None)
        return told

    def _skipped(self, reason: bytes) -> Reverted:
        return Reverted(self._functions.interface.error_named("0x" + reason.hex()))

    def _missing(self, what: str) -> ContractMissing:
        return ContractMissing(f"a transaction to {self._functions.contract} left no {what}", "see SWARM_CONTRACT")
