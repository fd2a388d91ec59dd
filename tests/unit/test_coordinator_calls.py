import json
from pathlib import Path

import pytest
from eth_utils.abi import abi_to_signature

from services.coordinator.calls import call_of, proved, question_of, to_be_added, trace_of
from services.coordinator.verdicts import place
from shared.messages import Registration, Winners
from tests.examples import ALICE, BOB, PROOF, REWARD

ABI = json.loads((Path(__file__).parents[2] / "contracts" / "artifacts" / "SwarmCoordinator.json").read_text())["abi"]
FUNCTIONS = {abi_to_signature(entry): entry for entry in ABI if entry["type"] == "function"}
EVENTS = {entry["name"]: entry for entry in ABI if entry["type"] == "event"}
SUBMISSIONS = [Registration(peer_id=ALICE), REWARD, Winners(peer_id=ALICE, round=7, winners=(BOB,))]
each = pytest.mark.parametrize("submission", SUBMISSIONS, ids=lambda submission: submission.kind)


@each
def test_every_submission_has_a_call_and_a_question_that_the_contract_knows(submission):
    for call in (call_of(submission), question_of(submission)):
        assert len(FUNCTIONS[call.signature]["inputs"]) == len(call.arguments)


@each
def test_every_submission_leaves_an_event_with_its_numbers_indexed(submission):
    trace = trace_of(submission)
    numbers = [part for part in EVENTS[trace.event]["inputs"] if part["indexed"] and part["type"] == "uint256"]
    assert len(numbers) == len(trace.numbers) and trace.peer == ALICE


@each
def test_a_submission_belongs_to_its_round_and_a_registration_to_all(submission):
    assert place(submission) == {"registration": (0, 0), "reward": (7, 0), "winners": (7, 0)}[submission.kind]


def test_a_registration_brings_its_proof_to_the_contract_and_from_the_account_it_is_for():
    registration = Registration(peer_id=ALICE, proof=PROOF)
    call = proved(registration, PROOF.contract, PROOF.account)
    assert len(FUNCTIONS[call.signature]["inputs"]) == len(call.arguments)
    assert [len(part) for part in call.arguments] == [len(ALICE), 299, 256]
    assert proved(registration, PROOF.account, PROOF.account) is None
    for other in (Registration(peer_id=ALICE), REWARD):
        assert proved(other, PROOF.contract, PROOF.account) is None


@pytest.mark.parametrize("there", range(6))
@pytest.mark.parametrize("count", range(6))
def test_bootnodes_are_as_wanted_when_the_old_ones_are_gone(there, count):
    wanted = [f"new {number}" for number in range(count)]
    listed = [f"old {number}" for number in range(there)] + to_be_added(there, wanted)
    for index in reversed(range(there)):  # as the contract's removeBootnode does it
        last = listed.pop()
        if index < len(listed):
            listed[index] = last
        assert set(wanted) <= set(listed), "none is missing at any moment"
    assert listed == wanted
