import pytest

from services.coordinator.verdicts import Later, OnChain, Refused, Standing, phases, unique, verdict
from shared.messages import Registration, Reward, Winners
from shared.queue import Delivery
from tests.examples import ALICE, PROOF

PEER = ALICE
REGISTRATION = Registration(peer_id=PEER)
REWARD = Reward(peer_id=PEER, round=7, stage=0, points=3)
WINNERS = Winners(peer_id=PEER, round=7, winners=(PEER,))
HERE = Standing(reached=(7, 0))


def deliveries(*submissions):
    return [Delivery(str(number), submission, 1) for number, submission in enumerate(submissions)]


def test_registrations_go_before_rewards_before_votes_and_each_kind_keeps_its_order():
    other = REWARD.model_copy(update={"round": 3})
    first, repeated = unique(deliveries(WINNERS, REWARD, REGISTRATION, other))
    assert [one.message for one in first] == [REGISTRATION, REWARD, other, WINNERS]
    assert repeated == []
    assert [[one.message for one in phase] for phase in phases(first)] == [[REGISTRATION], [REWARD, other, WINNERS]]
    assert phases([]) == []


def test_of_two_rewards_with_one_key_the_first_wins():
    first, repeated = unique(deliveries(REWARD, REWARD.model_copy(update={"points": 9}), REWARD))
    assert [one.message.points for one in first] == [3]
    assert [one.id for one in repeated] == ["1", "2"]


@pytest.mark.parametrize(
    ("submission", "error"),
    [
        (REGISTRATION, "PeerIdAlreadyRegistered"),
        (REWARD, "RewardAlreadySubmitted"),
        (WINNERS, "WinnerAlreadyVoted"),
    ],
)
def test_what_is_there_already_has_landed_if_the_peer_is_ours_and_is_refused_if_it_is_a_strangers(submission, error):
    assert verdict(error, submission, "us", HERE) == OnChain()
    assert verdict(error, submission, "stranger", HERE) == Refused(error)


def test_a_reward_waits_for_its_peers_registration_but_not_for_a_strangers_peer():
    assert isinstance(verdict("InvalidVoterPeerId", REWARD, "nobody", HERE), Later)
    assert isinstance(verdict("InvalidVoterPeerId", REWARD, "us", HERE), Later)
    assert verdict("InvalidVoterPeerId", REWARD, "stranger", HERE) == Refused("InvalidVoterPeerId")


@pytest.mark.parametrize("submission", [REWARD, WINNERS])
def test_a_round_that_has_not_begun_is_waited_for(submission):
    for standing in (HERE, Standing((3, 0)), Standing((7, 0), forgotten=(9, 0)), Standing((2, 0), forgotten=(5, 0))):
        assert isinstance(verdict("InvalidRoundNumber", submission, "us", standing), Later)


def test_a_round_of_a_chain_that_was_reset_is_refused_before_the_new_chain_comes_to_it():
    refused = verdict("InvalidRoundNumber", REWARD, "us", Standing((2, 0), forgotten=(9, 0)))
    assert isinstance(refused, Refused)
    assert "reset" in refused.reason


def test_a_registration_with_a_proof_that_fits_wins_over_one_without():
    proved = Registration(peer_id=PEER, proof=PROOF)
    stale = Registration(peer_id=PEER, proof=PROOF.model_copy(update={"contract": "0x" + "12" * 20}))
    where = (PROOF.contract.upper().replace("0X", "0x"), PROOF.account)
    for sent, wins in (
        ([REGISTRATION, stale, proved, proved], "2"),
        ([stale, REGISTRATION], "0"),
        ([proved, stale], "0"),
    ):
        first, repeated = unique(deliveries(*sent), *where)
        assert [one.id for one in first] == [wins]
        assert sorted([one.id for one in repeated] + [wins]) == [str(number) for number in range(len(sent))]


@pytest.mark.parametrize("error", ["AccountNotListed", "ProofRequired"])
def test_what_others_may_change_is_waited_for(error):
    for submission, owner in ((REGISTRATION, "nobody"), (REWARD, "us"), (WINNERS, "us")):
        later = verdict(error, submission, owner, HERE)
        assert isinstance(later, Later)
        assert not later.counted


def test_other_errors_are_final_and_a_failure_without_one_is_counted():
    assert verdict("InvalidVote", WINNERS, "us", HERE) == Refused("InvalidVote")
    later = verdict("", REWARD, "us", HERE)
    assert isinstance(later, Later)
    assert later.counted
