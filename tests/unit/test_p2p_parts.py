"""The small parts: pacing, pulse, tally, peer book, settings."""

from __future__ import annotations

import json

import pytest

from services.p2p.network.peerbook import MAX_ADDRESSES, PeerBook
from services.p2p.pulse import Pulse
from services.p2p.settings import P2PSettings, is_address
from services.p2p.traffic.pacing import SHORTEST_S, next_wait
from services.p2p.trust.tally import MAX_KNOWN, Tally
from services.p2p.wire.rejection import Reason
from shared.errors import SettingsError
from shared.health import Health
from shared.settings import load

PEER = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


def test_looks_are_quick_after_news_and_never_hot():
    assert next_wait(5.0, 1.0, news=True, complete=False) == SHORTEST_S
    waits, wait = [], SHORTEST_S
    for _ in range(10):
        wait = next_wait(wait, 1.0, news=False, complete=False)
        waits.append(wait)
    assert waits == sorted(waits)
    assert waits[-1] == 1.0
    assert next_wait(1.0, 1.0, news=False, complete=True) == 1.5
    assert next_wait(100.0, 1.0, news=False, complete=True) == 4.0
    assert next_wait(0.0, 0.1, news=False, complete=False) == SHORTEST_S


def test_the_more_there_is_to_read_the_longer_the_shortest_wait():
    assert next_wait(0.3, 1.0, news=True, complete=False, entries=8) == 0.5
    assert next_wait(0.3, 1.0, news=True, complete=False, entries=1_000) == 1.0
    assert next_wait(0.3, 1.0, news=False, complete=False, entries=1_000) == 1.0


def test_the_service_beats_when_all_its_loops_have_advanced():
    health = Health("p2p", "one", 60)
    health._beat_at = 0.0
    pulse = Pulse(health, "a", "b")
    for _ in range(3):
        pulse.advance("a")
    assert health._beat_at == 0.0
    pulse.advance("b")
    assert health._beat_at > 0.0


def test_the_same_thing_is_counted_once_a_round():
    tally = Tally()
    for what in ("a", "a", "b"):
        tally.reject(Reason.MALFORMED, what)
    tally.reject(Reason.LATE, "a")
    tally.accept()
    tally.accept_unsigned()
    tally.send(5)
    tally.receive(7)
    report = tally.close(3, 9.0)
    assert report.rejected == {"malformed": 2, "late": 1}
    assert (report.round, report.accepted, report.unsigned, report.bytes_sent, report.bytes_received) == (3, 1, 1, 5, 7)
    tally.reject(Reason.MALFORMED, "a")
    assert tally.close(4, 10.0).rejected == {"malformed": 1}


def test_a_flood_of_rubbish_is_counted_and_fills_no_memory():
    tally = Tally()
    for index in range(MAX_KNOWN + 10):
        tally.reject(Reason.MALFORMED, str(index))
    assert len(tally._known) == MAX_KNOWN
    assert not tally.reject(Reason.MALFORMED, "0")
    assert tally.close(1, 0.0).rejected == {"malformed": MAX_KNOWN + 10}


def address(port: int) -> str:
    return f"/ip4/127.0.0.1/tcp/{port}/p2p/{PEER}"


def test_the_peer_book_survives_a_restart_and_keeps_the_newest(tmp_path):
    book = PeerBook(tmp_path / "p2p" / "peers.json")
    assert book.addresses == []
    book.add([address(port) for port in range(1, MAX_ADDRESSES + 3)])
    book.add([address(5), "/unix/tmp/x", "rubbish"])
    again = PeerBook(tmp_path / "p2p" / "peers.json")
    assert again.addresses == [address(port) for port in range(3, MAX_ADDRESSES + 3)]


@pytest.mark.parametrize("content", ["", "{", "null", "[1, null]", '["rubbish"]', "7"])
def test_a_torn_peer_book_is_begun_anew(tmp_path, content):
    (tmp_path / "peers.json").write_text(content)
    assert PeerBook(tmp_path / "peers.json").addresses == []


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (address(1), True),
        (f"/dns4/p2p/tcp/38331/p2p/{PEER}", True),
        ("/ip4/127.0.0.1/tcp/1", False),
        (f"/unix/tmp/x/p2p/{PEER}", False),
        (address(1) + "/x", False),
        ("", False),
    ],
)
def test_an_address_names_a_place_and_a_peer(text, good):
    assert is_address(text) is good


def load_with(monkeypatch, **environment) -> P2PSettings:
    for name in ("P2P_PEERS", "P2P_HOST", "P2P_PORT", "INITIAL_PEERS", "IDENTITY_PATH", "STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load("p2p", P2PSettings)


def test_settings_have_defaults(monkeypatch):
    settings = load_with(monkeypatch)
    assert (settings.peers, settings.host, settings.port, settings.initial_peers) == (1, "127.0.0.1", 38331, ())
    assert settings.identity_of(0) == settings.state_dir / "identities" / "peer-0.pem"
    assert settings.port_of(2) == 38333


@pytest.mark.parametrize(
    "text",
    [f"{address(1)},{address(2)}", f" {address(1)} , {address(2)},", json.dumps([address(1), address(2)])],
)
def test_initial_peers_are_commas_or_json(monkeypatch, text):
    assert load_with(monkeypatch, INITIAL_PEERS=text).initial_peers == (address(1), address(2))


def test_no_initial_peers_are_written_in_many_ways(monkeypatch):
    for text in ("", "None", "[]"):
        assert load_with(monkeypatch, INITIAL_PEERS=text).initial_peers == ()
    assert P2PSettings.model_validate({**load_with(monkeypatch).model_dump(), "initial_peers": []}).initial_peers == ()


def test_the_first_identity_is_where_the_user_says(monkeypatch, tmp_path):
    settings = load_with(monkeypatch, IDENTITY_PATH=str(tmp_path / "swarm.pem"), P2P_PEERS="2", P2P_PORT="0")
    assert settings.identity_of(0) == tmp_path / "swarm.pem"
    assert settings.identity_of(1) == settings.state_dir / "identities" / "peer-1.pem"
    assert settings.port_of(1) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INITIAL_PEERS", "here"),
        ("INITIAL_PEERS", "[1"),
        ("P2P_HOST", "somewhere"),
        ("P2P_PEERS", "0"),
        ("P2P_PORT", "x"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch, name, value):
    with pytest.raises(SettingsError, match=name):
        load_with(monkeypatch, **{name: value})
