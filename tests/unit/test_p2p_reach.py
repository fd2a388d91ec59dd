"""What p2pd is told about routers and relays."""

from __future__ import annotations

import pytest

from services.p2p.network.reach import MAX_RELAYS, reach_flags
from services.p2p.settings import P2PSettings
from shared.errors import SettingsError
from shared.settings import load
from tests.p2p_kit import settings_of

OUT = "/ip4/0.0.0.0/tcp/38331"
ENTRY = "/ip4/44.0.0.1/tcp/38331/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


def flags_of(relay="auto", *, bootnode=False, listen=OUT, entries=(ENTRY,)) -> set[str]:
    return set(reach_flags(relay, bootnode=bootnode, listen=listen, entries=entries))


@pytest.mark.parametrize("listen", ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1"])
def test_who_listens_on_this_machine_only_opens_nothing(listen):
    assert flags_of(listen=listen) == {"-natPortMap=0", "-autonat=0", "-autoRelay=0", "-relay=1"}


def test_entry_points_relay_for_who_cannot_be_called():
    flags = flags_of()
    assert flags >= {"-autonat=1", "-autoRelay=1", "-relayDiscovery=0", f"-trustedRelays={ENTRY}"}
    assert not any(flag.startswith("-forceReachability") for flag in flags)
    assert "-forceReachabilityPrivate=1" in flags_of("private")


def test_there_is_no_relay_without_an_entry_point_and_there_are_not_too_many():
    assert "-autoRelay=0" in flags_of(entries=())
    (relays,) = (flag for flag in flags_of(entries=[ENTRY] * 20) if flag.startswith("-trustedRelays"))
    assert relays.count(ENTRY) == MAX_RELAYS


def test_a_bootnode_says_that_it_is_public_and_is_relayed_by_nobody():
    assert flags_of(bootnode=True) >= {"-forceReachabilityPublic=1", "-autoRelay=0", "-relay=1"}


def test_relays_can_be_switched_off():
    assert flags_of("off") >= {"-autoRelay=0", "-relay=0", "-relayService=0"}


def test_a_bootnode_listens_for_others_on_a_port_that_stays(tmp_path, monkeypatch):
    assert settings_of(tmp_path).listen_host == "127.0.0.1"
    assert settings_of(tmp_path, bootnode=True, port=1).listen_host == "0.0.0.0"
    assert settings_of(tmp_path, bootnode=True, port=1, host="192.168.0.1").listen_host == "192.168.0.1"
    monkeypatch.setenv("P2P_BOOTNODE", "true")
    assert load("p2p", P2PSettings).bootnode
    monkeypatch.setenv("P2P_PORT", "0")
    with pytest.raises(SettingsError, match="P2P_PORT"):
        load("p2p", P2PSettings)


@pytest.mark.parametrize(("text", "relay"), [("off", "off"), ("", "auto"), ("Private", "private")])
def test_relays_are_chosen_by_a_word(monkeypatch, text, relay):
    monkeypatch.setenv("P2P_RELAY", text)
    assert load("p2p", P2PSettings).relay == relay
