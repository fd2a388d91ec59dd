"""The invite's one line of text: what it holds, and how every damage is told."""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import SettingsError
from shared.invite import MAX_TEXT, Signed, expiry, parse, reachable_form, variables_of
from tests.invite_kit import EXPIRES, PEER, invite_of, text_of

GOLDEN = Path(__file__).parent / "golden" / "invite.txt"
TEXT = GOLDEN.read_text().strip()
SIGNATURE = parse(TEXT, None).signature


def told(payload: bytes, signature: bytes = SIGNATURE, prefix: str = "rlswarm1") -> str:
    """A line with a right checksum, whatever is in it."""
    body = ".".join([prefix, *(urlsafe_b64encode(part).rstrip(b"=").decode() for part in (payload, signature))])
    return f"{body}.{sha256(body.encode()).hexdigest()[:8]}"


def content(**changes) -> bytes:
    values = {**json.loads(invite_of().payload()), **changes}
    return json.dumps(
        {name: value for name, value in values.items() if value != "-"}, sort_keys=True, separators=(",", ":")
    ).encode()


def test_the_form_of_an_invite_does_not_change_unnoticed():
    assert text_of(invite_of()) == TEXT
    assert parse(TEXT, None).invite == invite_of()
    assert told(content()) == TEXT
    assert len(TEXT) < 600


def test_an_invite_stands_for_the_variables_of_a_household():
    assert variables_of(TEXT) == {
        "SWARM_NAME": "meadow",
        "SWARM_CONTRACT": "0x" + "c" * 40,
        "CHAIN_ID": "685685",
        "CHAIN_URL": "http://203.0.113.7:8545",
        "INITIAL_PEERS": PEER,
        "GAME": "answer",
        "DATA_MIX": "easy",
    }
    without = text_of(invite_of(chain_url=None, game=None, mix=None))
    assert set(variables_of(without)) == {"SWARM_NAME", "SWARM_CONTRACT", "CHAIN_ID", "INITIAL_PEERS"}


def test_an_invite_to_a_swarm_with_a_prediction_market_names_it_and_one_without_is_as_ever():
    market = "0x" + "d" * 40
    assert variables_of(text_of(invite_of(market=market)))["PRG_CONTRACT"] == market
    assert "market" not in invite_of().payload().decode()


def test_white_space_of_a_mail_does_not_count():
    wrapped = "\n  ".join(TEXT[start : start + 70] for start in range(0, len(TEXT), 70))
    assert parse(f" {wrapped}\r\n", None).invite == invite_of()


def test_a_letter_that_is_missing_wrong_or_too_many_is_noticed_wherever_it_is():
    for place in range(len(TEXT)):
        for damaged in (TEXT[:place] + TEXT[place + 1 :], TEXT[:place] + "~" + TEXT[place + 1 :]):
            with pytest.raises(SettingsError, match="damaged"):
                parse(damaged, None)
    for damaged in (
        TEXT + "0",
        TEXT[:-1] + ("0" if TEXT[-1] != "0" else "1"),
        TEXT.upper(),
        "",
        "hello",
        TEXT + "." + TEXT,
    ):
        with pytest.raises(SettingsError, match=r"damaged.*copy all of it"):
            parse(damaged, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"swarm": "No Name"}, "swarm is wrong"),
        ({"swarm": "-"}, "swarm is wrong"),
        ({"surprise": 1}, "surprise is wrong"),
        ({"chain_id": "685685"}, "chain_id is wrong"),
        ({"chain_id": 0}, "chain_id is wrong"),
        ({"chain_id": True}, "chain_id is wrong"),
        ({"chain_url": "file:///etc/passwd"}, "chain_url is wrong"),
        ({"chain_url": "http://x/${HF_TOKEN}"}, "chain_url is wrong"),
        ({"chain_url": "http://x\nGAME=evil"}, "chain_url is wrong"),
        ({"chain_url": None}, "not written as it should be"),
        ({"contract": "0x12"}, "contract is wrong"),
        ({"founder": 7}, "founder is wrong"),
        ({"peers": []}, "peers is wrong"),
        ({"peers": [PEER] * 5}, "peers is wrong"),
        ({"peers": [PEER + ",/ip4/6.6.6.6/tcp/1/p2p/Qm" + "b" * 44]}, "peers.0 is wrong"),
        ({"peers": PEER}, "peers is wrong"),
        ({"game": "/tmp/evil.py:Game"}, "game is wrong"),
        ({"game": "os:system"}, "game is wrong"),
        ({"mix": "../../secrets"}, "mix is wrong"),
        ({"expires": 1.5}, "expires is wrong"),
        ({"expires": 2**60}, "expires is wrong"),
    ],
)
def test_a_content_that_is_none_is_refused_though_its_checksum_is_right(change, words):
    with pytest.raises(SettingsError, match=words):
        parse(told(content(**change)), None)


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 3_000,
        b'{"a":' * 500,
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b" " + content(),
        content()[:-1] + b',"swarm":"meadow"}',
        content().replace(b"meadow", b"mead\\u006fw"),
    ],
)
def test_json_that_is_deep_odd_or_written_in_another_way_is_refused(payload):
    with pytest.raises(SettingsError, match="damaged"):
        parse(told(payload), None)


def test_a_signature_of_another_length_is_refused():
    for signature in (SIGNATURE[:-1], SIGNATURE + b"\0", b""):
        with pytest.raises(SettingsError, match="damaged"):
            parse(told(content(), signature), None)


def test_another_way_to_write_the_same_bytes_is_refused():
    prefix, payload, signature, _ = TEXT.split(".")
    assert len(payload) % 4 == 2  # its last letter has bits to spare
    body = f"{prefix}.{payload[:-1]}{chr(ord(payload[-1]) + 1)}.{signature}"
    with pytest.raises(SettingsError, match="a part of it cannot be read"):
        parse(f"{body}.{sha256(body.encode()).hexdigest()[:8]}", None)
    body = f"{prefix}.{payload[:-1]}.{signature}"
    for bad in (body, body.replace("eyJ", "e=J"), f"{prefix}.{payload}e.{signature}"):
        with pytest.raises(SettingsError, match="damaged"):
            parse(f"{bad}.{sha256(bad.encode()).hexdigest()[:8]}", None)


@pytest.mark.parametrize("text", ["x" * 10_000_000, "rlswarm1." + "a" * MAX_TEXT, "rlswarm1.\udce9.a.b", "é" * 99])
def test_what_is_too_long_or_no_such_text_is_refused_at_once(text):
    with pytest.raises(SettingsError, match="too long"):
        parse(text, None)


def test_an_invite_of_a_later_version_names_the_remedy():
    with pytest.raises(SettingsError, match=r"newer version.*install"):
        parse(told(content(), prefix="rlswarm2"), None)


def test_an_invite_ends_on_its_day_for_who_has_not_joined():
    assert parse(TEXT, EXPIRES - 1).invite.expires == EXPIRES
    with pytest.raises(SettingsError, match=r"expired on 2030-01-02.*founder"):
        parse(TEXT, EXPIRES)
    assert variables_of(TEXT)["SWARM_NAME"] == "meadow"


def test_an_invite_of_some_days_ends_with_a_day_and_is_the_same_all_day_long():
    assert expiry(30, 0.0) == expiry(30, 86_399.9) == 31 * 86_400
    assert expiry(1, 86_400.0) == 3 * 86_400


def test_a_damaged_invite_in_the_environment_is_told_with_the_variables_name():
    with pytest.raises(SettingsError, match=r"^SWARM_INVITE: this invite is damaged"):
        variables_of(TEXT[:-3])


def test_addresses_that_an_invite_cannot_hold_are_known():
    assert reachable_form(PEER)
    assert not reachable_form(PEER + "\n")
    assert not reachable_form("/dns4/a,b/tcp/1/p2p/Qm" + "a" * 44)


@given(st.text() | st.binary().map(told))
@settings(max_examples=200)
def test_whatever_comes_as_an_invite_is_refused_in_one_way(text):
    with pytest.raises(SettingsError):
        parse(text, 0.0)


def test_an_invite_survives_its_own_form_with_every_field_at_its_bound():
    largest = invite_of(
        swarm="a" * 63,
        chain_id=2**53 - 1,
        chain_url="http://" + "a" * 293,
        peers=tuple(f"/dns4/{'a' * 100}{n}/tcp/38331/p2p/Qm{'a' * 44}" for n in range(4)),
    )
    text = text_of(largest)
    assert len(text) < MAX_TEXT / 2
    assert parse(text, 0.0) == Signed(invite=largest, signature=parse(text, 0.0).signature)
