from eth_abi.abi import decode
from hypothesis import given
from hypothesis import strategies as st

from services.coordinator.abi import Interface, artifact
from services.coordinator.batches import REWARDS, parcels, portions, rewards_among
from services.coordinator.calls import call_of
from services.coordinator.settings import ARTIFACTS
from shared.messages import Registration, Reward, Winners
from tests.examples import ALICE, BOB

REWARD = [Reward(peer_id=ALICE, round=number, stage=0, points=-number) for number in range(5)]
VOTE = Winners(peer_id=ALICE, round=0, winners=(BOB,))
MIXED = [VOTE, REWARD[0], Registration(peer_id=BOB), *REWARD[1:]]


def test_rewards_go_together_and_before_the_rest_which_go_alone():
    made = parcels(MIXED, range(len(MIXED)), 50)
    assert [parcel.places for parcel in made] == [(1, 3, 4, 5, 6), (0,), (2,)]
    claims = [(number, 0, -number, ALICE) for number in range(5)]
    assert (made[0].call.signature, made[0].call.arguments) == (REWARDS, (claims,))
    assert [parcel.call for parcel in made[1:]] == [call_of(MIXED[0]), call_of(MIXED[2])]
    assert rewards_among(MIXED) == [1, 3, 4, 5, 6]


def test_a_batch_is_written_as_the_contract_reads_it():
    (parcel,) = parcels(REWARD, range(5), 50)
    interface = Interface(artifact(ARTIFACTS, "SwarmCoordinator")[0])
    data = bytes.fromhex(interface.call(parcel.call.signature, parcel.call.arguments)[2:])
    (claims,) = decode(["(uint256,uint256,int256,string)[]"], data[4:])
    assert claims == tuple((number, 0, -number, ALICE) for number in range(5))
    assert interface.answer(REWARDS, "0x" + f"{32:064x}{1:064x}" + "81ab02f2".ljust(64, "0")) == (b"\x81\xab\x02\xf2",)


def test_a_reward_alone_has_a_call_of_its_own():
    assert [one.call for one in parcels(MIXED, [3], 50)] == [call_of(MIXED[3])]
    assert [one.call for one in parcels(REWARD, range(5), 1)] == [call_of(one) for one in REWARD]
    assert parcels([], [], 50) == []


@given(st.integers(0, 300), st.integers(1, 60))
def test_portions_keep_the_order_and_differ_by_one_at_most(count, most):
    cut = portions(range(count), most)
    assert [place for portion in cut for place in portion] == list(range(count))
    sizes = {len(portion) for portion in cut}
    assert all(0 < size <= most for size in sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1
