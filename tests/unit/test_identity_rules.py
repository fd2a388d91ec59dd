"""What decides at the door, without a door: throttle, redirects, names of hosts, passphrases, texts for wallets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from services.identity.accounts.claim import Claim
from services.identity.accounts.keystore import VaultError, decrypt
from services.identity.accounts.passphrase import COMMON, SHORTEST, Hashes, normal, weakness
from services.identity.accounts.site import Site
from services.identity.accounts.throttle import ALL, FORGET_S, ONE, Tries, attempt
from services.identity.accounts.wallet import compose, signer
from services.identity.settings import IdentitySettings, is_loopback
from services.identity.web import cookies
from services.identity.web.site import address_of, host_of, is_secure, safe_next, site_of
from shared.errors import SettingsError
from shared.settings import load
from tests.accounts_kit import settings_of


def failures(rule, number, step=0.0):
    """The waits that tries meet which come as soon as they may."""
    tries, now, waits = Tries(), 1_000_000.0, []
    for _ in range(number):
        tries, wait = attempt(tries, rule, now)
        assert wait == 0
        waits.append(max(0.0, tries.locked_until - now))
        now = max(now, tries.locked_until) + step
    return waits


def test_four_failures_cost_nothing_and_from_the_fifth_on_the_wait_doubles_up_to_a_quarter_of_an_hour():
    assert failures(ONE, 11) == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900]


def test_guessing_under_many_names_ends_too_and_keeps_the_owner_out_for_a_minute_at_most():
    waits = failures(ALL, 110)
    assert waits[:99] == [0] * 99
    assert waits[99:102] == [30, 60, 60]


def test_a_try_while_locked_is_not_looked_at_and_makes_nothing_longer():
    locked = Tries(5, 130.0, 100.0)
    assert attempt(locked, ONE, 110.0) == (locked, 20.0)


def test_after_a_day_without_a_failure_the_count_begins_anew():
    assert attempt(Tries(12, 0.0, 0.0), ONE, FORGET_S + 1) == (Tries(1, 0.0, FORGET_S + 1), 0.0)


@given(st.integers(0, 10**6), st.floats(0, 10**9), st.floats(0, 10**9))
def test_no_wait_is_longer_than_the_longest(count, last, now):
    tries, _ = attempt(Tries(count, 0.0, last), ONE, now)
    assert tries.locked_until <= now + ONE.longest_s


@given(st.text(max_size=60))
def test_whatever_is_asked_for_the_way_after_the_login_stays_here(text):
    for path in (text, "/" + text, "//" + text, "/\\" + text):
        there = safe_next(path)
        assert there.startswith("/") and not there.startswith(("//", "/\\"))
        assert "\\" not in there and all(letter.isprintable() and letter != " " for letter in there)


def test_a_path_of_ours_is_kept():
    for path in ("/", "/account", "/explain?round=3&peer=Qm", "/a%20b"):
        assert safe_next(path) == (path if path != "/a%20b" else "/")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:3000", "localhost"),
        ("localhost.:3000", "localhost"),
        ("[::1]:3000", "::1"),
        ("192.168.1.5:80", "192.168.1.5"),
        ("my_box.lan", "my_box.lan"),
        ("", None),
        ("a b", None),
        ("evil.example/localhost", None),
        ("user@localhost", None),
        ("localhost:port", None),
        ("localhost\r\nX: y", None),
    ],
)
def test_the_name_in_a_host_header(header, name):
    assert host_of(header) == name


def request_of(*headers, scheme="http", client="10.0.0.9"):
    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "scheme": scheme, "path": "/", "query_string": b"", "headers": raw, "server": ("x", 1)}
    return Request({**scope, "client": (client, 5), "method": "GET"})


def test_what_a_proxy_says_counts_only_when_there_is_one(tmp_path):
    asked = request_of(
        ("host", "swarm.lan"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "6.6.6.6, 192.168.1.7")
    )
    behind, plain = settings_of(tmp_path, tls=True), settings_of(tmp_path)
    assert (is_secure(asked, behind), address_of(asked, behind)) == (True, "192.168.1.7")
    assert (is_secure(asked, plain), address_of(asked, plain)) == (False, "10.0.0.9")
    assert site_of(asked, behind) == Site("https", "swarm.lan", "swarm.lan")
    assert site_of(asked, plain).origin == "http://swarm.lan"


def test_a_cookie_that_is_too_long_is_none(tmp_path):
    asked = request_of(("host", "localhost"), ("cookie", f"{cookies.SESSION}={'x' * 500}"))
    assert cookies.read(asked, settings_of(tmp_path), cookies.SESSION) is None


def test_the_token_of_a_form_fits_its_own_cookie_only():
    assert cookies.door_fits("one", cookies.door_token("one"))
    for door, token in (("two", cookies.door_token("one")), ("one", ""), (None, cookies.door_token("")), ("one", "é")):
        assert not cookies.door_fits(door, token)


def test_names_for_other_machines_come_as_a_list_between_commas(tmp_path):
    assert settings_of(tmp_path, hosts="Swarm.lan, [fd00::1] ,").hosts == ("swarm.lan", "fd00::1")
    with pytest.raises(ValueError, match="hosts"):
        settings_of(tmp_path, hosts="http://swarm.lan")
    assert settings_of(tmp_path, hosts=None).allowed_hosts == {"localhost", "127.0.0.1", "::1"}


def test_the_page_is_reachable_for_others_by_its_names_or_outside_a_container_by_its_address(tmp_path, monkeypatch):
    marker = tmp_path / "marker"
    monkeypatch.setattr("services.identity.settings.CONTAINER", marker)
    assert not settings_of(tmp_path).reachable
    assert settings_of(tmp_path, identity_host="0.0.0.0").reachable
    assert settings_of(tmp_path, hosts="swarm.lan").reachable
    assert not settings_of(tmp_path, hosts="127.0.0.2,swarm.localhost").reachable
    marker.touch()
    assert not settings_of(tmp_path, identity_host="0.0.0.0").reachable
    assert settings_of(tmp_path, identity_host="0.0.0.0", hosts="swarm.lan").reachable


def test_what_loopback_is():
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.8.9.1", "::1", "a.localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.1", "localhost.evil.example", "example.org")))


def test_a_setting_that_is_wrong_names_its_variable(monkeypatch):
    for name, value in (("IDENTITY_VIEW", "closed"), ("IDENTITY_TLS", "perhaps"), ("IDENTITY_HOSTS", "a b")):
        monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError, match=name):
            load("identity", IdentitySettings)
        monkeypatch.delenv(name)


def test_the_cheap_hashes_of_tests_are_not_to_be_had_by_the_environment(monkeypatch):
    monkeypatch.setenv("IDENTITY_KDF", "fast")
    assert load("identity", IdentitySettings).kdf == "strong"


def test_what_makes_a_passphrase_good_enough_is_its_length():
    assert weakness("seven wet umbrellas", "Ada") is None
    assert weakness("zwölf Boxkämpfer", "Ada") is None
    assert weakness("xkqjzvwpyfgh", "Ada") is None
    for bad in (
        "elevenchars",
        "x" * 300,
        "aaaaaaaaaaaaaaa",
        "Password 12345",
        "ada lovelace x1",
        "1" * 12,
        "abababababab",
    ):
        assert weakness(bad, "Ada Lovelace"), bad
    assert all(len(common) >= SHORTEST or weakness(common, "") for common in COMMON)


def test_the_same_letters_from_another_keyboard_are_the_same_passphrase():
    assert normal("zwo\u0308lf") == normal("zw\u00f6lf")
    assert normal("\ufb01sh") == "fish"


def test_a_hash_is_argon2id_with_the_cost_of_the_rfc_and_never_the_same_twice():
    hashes = Hashes()
    first, second = hashes.make("x" * 12), hashes.make("x" * 12)
    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert first != second
    assert hashes.fits(first, "x" * 12) and not hashes.fits(first, "y" * 12)
    assert not hashes.fits(None, "nobody has this passphrase")
    assert not hashes.fits("no hash", "x")
    assert not hashes.outdated(first)
    assert hashes.outdated(Hashes(fast=True).make("x"))


def test_the_text_for_a_wallet_is_that_of_eip_4361():
    site = Site("https", "swarm.lan", "swarm.lan:8443")
    text = compose(site, "0xA0Cf798816D4b9b9866b5330EEa46a18382f251e", "Log in.", "0123456789abcdef", 1_700_000_000)
    assert text == (
        "swarm.lan:8443 wants you to sign in with your Ethereum account:\n"
        "0xA0Cf798816D4b9b9866b5330EEa46a18382f251e\n"
        "\n"
        "Log in.\n"
        "\n"
        "URI: https://swarm.lan:8443\n"
        "Version: 1\n"
        "Chain ID: 1\n"
        "Nonce: 0123456789abcdef\n"
        "Issued At: 2023-11-14T22:13:20Z\n"
        "Expiration Time: 2023-11-14T22:18:20Z"
    )


@given(st.text(max_size=200))
def test_nonsense_instead_of_a_signature_is_nobodys(text):
    assert signer("text", text) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_json_comes_as_a_key_file_is_refused_in_one_way(tree):
    import json

    for shaped in (tree, {"version": 3, "crypto": tree}):
        with pytest.raises(VaultError):
            decrypt(json.dumps(shaped), "x")


def test_the_code_of_the_first_sign_up_is_made_once_and_forgotten_after_use(tmp_path):
    claim = Claim(tmp_path / "claim.code", needed=True)
    claim.prepare(owner=None)
    code = claim.path.read_text()
    claim.prepare(owner=None)
    assert claim.path.read_text() == code
    assert claim.fits(f" {code.upper()} ") and not claim.fits("") and not claim.fits("x")
    claim.used()
    assert not claim.fits(code) and not claim.fits("")
    claim.prepare(owner="Ada")
    assert not claim.path.exists()
    assert Claim(claim.path, needed=False).fits("")
