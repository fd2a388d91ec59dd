from services.p2p.trust.notes import SELDOM_S, Notes
from services.p2p.wire.rejection import Reason
from shared.household import MAX_NOTES, peer_notes
from shared.queue.memory import MemoryStore
from tests.examples import ALICE, BOB

NOBODY = frozenset()


def notes_of(store=None):
    now = [100.0]
    return Notes(store or MemoryStore(), lambda: now[0]), now


def test_a_note_counts_what_was_taken_and_what_was_dropped_and_knows_the_last_reason():
    notes, _ = notes_of()
    notes.accept(ALICE, 3)
    notes.accept(ALICE, 4)
    notes.reject(ALICE, 4, Reason.DUPLICATE)
    notes.reject(ALICE, 2, Reason.LATE)
    notes.accept(BOB, 4)
    bob, alice = notes.all(frozenset({BOB}))
    assert (alice.peer_id, alice.round, alice.accepted, alice.quarantined) == (ALICE, 4, 2, False)
    assert (alice.rejected, alice.reason) == ({"duplicate": 1, "late": 1}, "late")
    assert (bob.peer_id, bob.quarantined, bob.rejected, bob.reason) == (BOB, True, {}, "")
    assert ALICE in notes and "Qm" + "x" * 44 not in notes


def test_of_too_many_peers_the_one_heard_least_lately_is_forgotten():
    notes, _ = notes_of()
    peers = [f"Qm{n:03d}".replace("0", "z") + "x" * 40 for n in range(MAX_NOTES + 1)]
    for peer in peers[:-1]:
        notes.accept(peer, 1)
    notes.accept(peers[0], 2)
    notes.accept(peers[-1], 2)
    assert len(notes.all(NOBODY)) == MAX_NOTES
    assert peers[0] in notes and peers[1] not in notes


async def test_notes_are_written_when_a_round_ends_or_the_quarantine_changes_and_seldom():
    store = MemoryStore()
    notes, now = notes_of(store)
    await store.put("peers:notes", '["of an earlier run"]')
    await notes.tell(NOBODY)
    assert await peer_notes(store) == []
    notes.accept(ALICE, 1)
    now[0] += SELDOM_S
    await notes.tell(NOBODY)
    assert await peer_notes(store) == []
    await notes.tell(NOBODY, round_over=True)
    assert [one.peer_id for one in await peer_notes(store)] == [ALICE]
    await notes.tell(frozenset({ALICE}))
    assert not (await peer_notes(store))[0].quarantined  # too soon after the last
    now[0] += SELDOM_S
    await notes.tell(frozenset({ALICE}))
    assert (await peer_notes(store))[0].quarantined
