import pytest

from services.p2p.bridge.door import MAX_PEERS, MAX_TOTAL, Door, key_of
from services.p2p.bridge.layouts import MAX_VALUE
from services.p2p.trust.gate import Gate
from services.p2p.trust.members import Members
from services.p2p.wire.announcement import HORIZON_S, place_id, sign
from services.p2p.wire.rejection import Reason
from tests.p2p_kit import SWARM, announcement_of, identity
from tests.stock_kit import tagged, value

NOW = 1_000_000.0
GOOD = value()
PEER, KEY = identity("stock").peer_id, place_id(key_of(7))


@pytest.fixture
def refused():
    return []


@pytest.fixture
def gate(refused):
    gate = Gate(SWARM, lambda: NOW, lambda reason, what: refused.append(reason))
    gate.door = Door()
    gate.door.open(7)
    return gate


def admitted(gate, key=KEY, subkey=PEER, value=GOOD, expiration=NOW + 600.0):
    return gate.admit(key, subkey, value, expiration)


def test_what_a_stock_node_writes_may_stand_in_the_rounds_at_hand(gate, refused):
    for round_number in (6, 7, 8, 9):
        assert admitted(gate, place_id(key_of(round_number)))
    assert admitted(gate, value=value(layout=tagged))
    assert refused == []


def test_in_no_other_round_and_without_the_bridge_in_none(gate, refused):
    assert not admitted(gate, place_id(key_of(5))) and not admitted(gate, place_id(key_of(10)))
    gate.door.open(11)
    assert not admitted(gate)
    gate.door = None
    assert not admitted(gate, place_id(key_of(11)))
    assert set(refused) == {Reason.MALFORMED}


def test_before_the_first_round_there_is_none(gate):
    gate.door.open(0)
    assert admitted(gate, place_id(key_of(0)))
    assert not admitted(gate, place_id("-1"))
    assert not Door().leads(KEY)


ODD = {
    "a subkey that is no peer": ({"subkey": "me"}, Reason.MALFORMED),
    "no subkey": ({"subkey": None}, Reason.MALFORMED),
    "a number": ({"value": 7}, Reason.MALFORMED),
    "rubbish": ({"value": b"rubbish"}, Reason.MALFORMED),
    "too long": ({"value": b"\0" * (MAX_VALUE + 1)}, Reason.TOO_LARGE),
    "over": ({"expiration": NOW}, Reason.EXPIRED),
    "no moment": ({"expiration": float("nan")}, Reason.EXPIRED),
    "a text for a moment": ({"expiration": "tomorrow"}, Reason.EXPIRED),
    "for ever": ({"expiration": NOW + HORIZON_S + 1}, Reason.FAR_EXPIRATION),
}


def test_where_only_members_may_write_strangers_have_no_grace(gate, refused):
    gate.members = Members("true", lambda: ())
    assert not admitted(gate)
    gate.members.listed = frozenset({PEER})
    assert admitted(gate)
    assert refused == [Reason.NOT_MEMBER]


def test_what_is_held_of_stock_nodes_is_kept_while_their_round_is_at_hand(gate):
    assert gate.knows(KEY) and not gate.knows(place_id(key_of(5)))
    gate.door.open(10)
    assert not gate.knows(KEY)


def test_a_key_has_so_many_subkeys_and_no_more(gate, refused):
    peers = [f"{PEER[:-4]}{n:04}".replace("0", "x") for n in range(10_000)]
    assert sum(admitted(gate, subkey=peer) for peer in dict.fromkeys(peers[:6_000])) == MAX_PEERS
    assert set(refused) == {Reason.CROWDED}


@pytest.mark.parametrize(("change", "reason"), ODD.values(), ids=ODD)
def test_an_odd_record_is_refused_with_its_reason(gate, refused, change, reason):
    assert not admitted(gate, **change)
    assert refused == [reason]


def test_an_announcement_has_no_place_under_a_stock_nodes_key(gate, refused):
    author = identity("alice")
    told = announcement_of(author, b"body", 7, expires=NOW + 600.0)
    assert not admitted(gate, subkey=author.peer_id, value=sign(told, author))
    assert gate.admit(place_id(told.keys[0]), author.peer_id, sign(told, author), NOW + 600.0)


def test_a_key_holds_no_more_than_travels_whole(gate, refused):
    long = value(actions=["x" * 19_000] * 6)
    peers = [f"{PEER[:-3]}{a}{b}x" for a in "abcdefgh" for b in "abcdefgh"]
    held = [peer for peer in peers if admitted(gate, subkey=peer, value=long)]
    assert len(held) == MAX_TOTAL // len(long)
    assert set(refused) == {Reason.CROWDED}
    assert admitted(gate, subkey=held[0], value=long), "what stands may be renewed"
