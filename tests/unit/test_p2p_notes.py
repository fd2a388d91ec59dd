from services.p2p.trust.notes import REPUTATION, SELDOM_S, Notes, remember
from services.p2p.trust.offence import Offence
from services.p2p.trust.reputation import Reputation
from services.p2p.wire.rejection import Reason
from shared.household import MAX_NOTES, peer_notes
from shared.queue.memory import MemoryStore
from tests.examples import ALICE, BOB

BAD = Offence.RUBBISH


def notes_of(store=None):
    """Notes of peers that are left alone after one failure, for 100 s; the clock."""
    now, reputation = [100.0], Reputation(budget=1, half_life_s=100)
    return Notes(store or MemoryStore(), reputation, lambda: now[0]), reputation, now


def test_a_note_counts_what_was_taken_and_what_was_dropped_and_knows_the_last_reason():
    notes, reputation, _ = notes_of()
    notes.accept(ALICE, 3)
    notes.accept(ALICE, 4)
    notes.reject(ALICE, 4, Reason.DUPLICATE)
    notes.reject(ALICE, 2, Reason.LATE)
    notes.accept(BOB, 4)
    reputation.fail(BOB, BAD, 100.0)
    bob, alice = notes.all(100.0)
    assert (alice.peer_id, alice.round, alice.accepted, alice.quarantined) == (ALICE, 4, 2, False)
    assert (alice.rejected, alice.reason) == ({"duplicate": 1, "late": 1}, "late")
    assert (bob.peer_id, bob.quarantined, bob.rejected, bob.reason) == (BOB, True, {}, "rubbish")
    assert (bob.until, alice.until) == (200, None)
    assert [one.quarantined for one in notes.all(250.0)] == [False, False]
    assert ALICE in notes and "Qm" + "x" * 44 not in notes


def test_of_too_many_peers_the_one_heard_least_lately_is_forgotten():
    notes, _, _ = notes_of()
    peers = [f"Qm{n:03d}".replace("0", "z") + "x" * 40 for n in range(MAX_NOTES + 1)]
    for peer in peers[:-1]:
        notes.accept(peer, 1)
    notes.accept(peers[0], 2)
    notes.accept(peers[-1], 2)
    assert len(notes.all(0.0)) == MAX_NOTES
    assert peers[0] in notes and peers[1] not in notes


def test_who_is_left_alone_since_an_earlier_run_is_shown_too():
    notes, reputation, _ = notes_of()
    reputation.fail(BOB, BAD, 100.0)
    assert [(one.peer_id, one.round, one.quarantined) for one in notes.all(100.0)] == [(BOB, 0, True)]


async def test_notes_are_written_when_a_round_ends_or_the_quarantine_changes_and_seldom():
    store = MemoryStore()
    notes, reputation, now = notes_of(store)
    await store.put("peers:notes", '["of an earlier run"]')
    await notes.tell(0.0)
    assert await peer_notes(store) == []
    notes.accept(ALICE, 1)
    now[0] += SELDOM_S
    await notes.tell(0.0)
    assert await peer_notes(store) == []
    await notes.tell(0.0, round_over=True)
    assert [one.peer_id for one in await peer_notes(store)] == [ALICE]
    reputation.fail(ALICE, BAD, 0.0)
    await notes.tell(0.0)
    assert not (await peer_notes(store))[0].quarantined  # too soon after the last
    assert await store.get(REPUTATION) is None
    now[0] += SELDOM_S
    await notes.tell(0.0)
    assert (await peer_notes(store))[0].quarantined


async def test_a_reputation_outlives_the_service():
    store = MemoryStore()
    notes, reputation, _ = notes_of(store)
    reputation.fail(BOB, BAD, 1_000.0)
    await notes.tell(1_000.0)
    again = Reputation(budget=1, half_life_s=100)
    await remember(again, store, 1_050.0)
    assert again.held(1_050.0) == {BOB}
    await remember(Reputation(1, 100), MemoryStore(), 0.0)  # nothing there: nothing known
