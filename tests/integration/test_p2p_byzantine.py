"""Honest trainers among as many malicious peers, a few rounds long; tests/chaos measures what they learn."""

from __future__ import annotations

from tests.byzantine_kit import KINDS, play


async def test_honest_peers_hear_each_other_and_leave_the_others_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("services.p2p.trust.notes.SELDOM_S", 0.0)
    story = await play(tmp_path, honest=2, kinds=tuple(KINDS), rounds=4, seed=1, external=2)
    peers = {one.peer for one in story.honest}
    for peer, events in story.trained.items():
        assert len(events) == 4
        assert peers - {peer} <= {author for event in events for author in event.heard}
        held = {note.peer_id: note.reason for note in story.notes[peer].values() if note.quarantined}
        assert not held.keys() & peers
        told = {kind: held.get(story.malicious[kind]) for kind in ("rubbish", "copier", "forger")}
        assert told == {"rubbish": "rubbish", "copier": "copied", "forger": "forged"}
    assert story.heard(KINDS) == 0  # not one group of theirs was learnt from
