"""The owner's page, passkeys and wallets over HTTP."""

import json
import time

import pytest
from eth_account import Account
from sqlalchemy import insert, update

from services.identity.accounts.tables import PASSKEYS, SESSIONS, SIGNATURES
from services.identity.web import cookies
from tests.accounts_kit import NAME, PASSPHRASE, WRONG, door_at
from tests.ways_kit import Authenticator, asked, b64, shown, sign

NEW = "nine dry camels again"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with door_at(tmp_path_factory.mktemp("home")) as door:
        with door.client() as first:
            first.sign_up()
        yield door


@pytest.fixture
def owner(home):
    home.accounts.owners.forgive(NAME, "127.0.0.1")
    with home.client() as client:
        assert client.log_in().status_code == 303
        client.headers["X-CSRF-Token"] = client.token("/account")
        yield client


@pytest.fixture
def guest(home):
    with home.client() as client:
        client.headers["X-CSRF-Token"] = client.token("/login")
        yield client


def old(home):
    """All sessions began an hour ago."""
    with home.accounts.database.begin() as connection:
        connection.execute(update(SESSIONS).values(created=time.time() - 3600))


# The page


def test_an_export_asks_for_the_passphrase_again_and_gives_a_file(home, owner):
    refused = owner.submit("/account", "/account/export", passphrase=WRONG)
    assert refused.status_code == 401
    assert "is wrong" in refused.text
    given = owner.submit("/account", "/account/export", passphrase=PASSPHRASE)
    assert given.headers["content-disposition"].startswith('attachment; filename="rlswarm-0x')
    assert given.headers["cache-control"] == "no-store"
    assert Account.from_key(Account.decrypt(given.json(), PASSPHRASE)).address == home.accounts.vault.address


def test_an_import_replaces_the_key_only_when_it_is_sure_and_both_passphrases_are_right(tmp_path):
    other = Account.create()
    file = json.dumps(Account.encrypt(other.key, NEW, iterations=16))
    with door_at(tmp_path) as door, door.client() as client:
        client.sign_up()
        former = door.accounts.vault.address

        def send(text=file, **fields):
            form = {"csrf": client.token("/account"), "file_passphrase": NEW, "passphrase": PASSPHRASE, "sure": "yes"}
            return client.post("/account/import", data={**form, **fields}, files={"file": ("key.json", text)})

        for text, fields, said in (
            (file, {"sure": ""}, "Confirm"),
            (file, {"passphrase": WRONG}, "is wrong"),
            (file, {"file_passphrase": WRONG}, "does not open"),
            ("{}", {}, "no key file"),
        ):
            answer = send(text, **fields)
            assert (answer.status_code in (400, 401), said in answer.text) == (True, True)
            assert door.accounts.vault.address == former
        assert send().headers["location"] == "/account?done=import"
        assert door.accounts.vault.address == other.address


def test_a_changed_passphrase_logs_everybody_else_out_and_this_browser_gets_a_new_session(tmp_path):
    with door_at(tmp_path) as door, door.client() as here, door.client() as there:
        here.sign_up()
        there.log_in()
        token = here.cookies[cookies.SESSION]
        fields = {"old": PASSPHRASE, "new": NEW, "again": NEW}
        assert "differ" in here.submit("/account", "/account/passphrase", **{**fields, "again": WRONG}).text
        assert "is wrong" in here.submit("/account", "/account/passphrase", **{**fields, "old": WRONG}).text
        done = here.submit("/account", "/account/passphrase", **fields)
        assert done.headers["location"] == "/account?done=passphrase"
        assert here.cookies[cookies.SESSION] != token
        assert here.get("/account").status_code == 200
        assert there.get("/account").status_code == 303
        assert there.log_in(passphrase=NEW).status_code == 303


def test_a_session_can_be_ended_from_another_browser(home, owner):
    with home.client() as other:
        other.log_in()
        page = owner.get("/account").text
        assert "Log out everywhere else" in page
        owner.submit("/account", "/account/sessions/end")
        assert other.get("/account").status_code == 303
        assert owner.get("/account").status_code == 200


def test_a_session_ends_when_it_was_not_used_and_after_its_longest_time(tmp_path):
    with door_at(tmp_path, session_idle_h=1, session_days=1) as door, door.client() as client:
        client.sign_up()
        sessions = door.accounts.sessions
        with door.accounts.database.begin() as connection:
            connection.execute(update(SESSIONS).values(seen=time.time() - 3601))
        assert client.get("/account").status_code == 303
        client.log_in()
        with door.accounts.database.begin() as connection:
            connection.execute(update(SESSIONS).values(expires=time.time() - 1))
        assert client.get("/account").status_code == 303
        assert sessions.all() == []


def test_the_number_of_sessions_is_bounded(home, owner):
    for _ in range(30):
        home.accounts.sessions.begin("many")
    assert len(home.accounts.sessions.all()) == 20
    home.accounts.sessions.end_all()


def test_the_last_signatures_are_listed_and_their_texts_escaped(home, owner):
    row = {"at": 0.0, "chain_id": 7, "nonce": 3, "to": None, "function": "<b>submitReward", "data_hash": "0x0"}
    with home.accounts.database.begin() as connection:
        connection.execute(insert(SIGNATURES).values(**row, transaction="0xfeed", note=""))
    page = owner.get("/account").text
    assert "&lt;b&gt;submitReward" in page
    assert "0xfeed" in page


def test_a_locked_key_is_opened_by_the_passphrase_on_the_page(tmp_path):
    with door_at(tmp_path) as door, door.client() as client:
        client.sign_up()
    with door_at(tmp_path) as door, door.client(cookies=dict(client.cookies)) as client:
        assert "locked" in client.get("/account").text
        assert "does not open" in client.submit("/account", "/account/unlock", passphrase=WRONG).text
        assert client.submit("/account", "/account/unlock", passphrase=PASSPHRASE).status_code == 303
        assert door.accounts.vault.state == "ready"


# Wallets


@pytest.fixture
def wallet(home, owner):
    """A wallet that may log in."""
    made = Account.create()
    told = asked(owner, made, "/api/wallets/text")
    linked = owner.post("/api/wallets", json={"nonce": told["nonce"], "signature": sign(made, told["message"])})
    assert linked.status_code == 204
    yield made
    home.accounts.wallets.remove(made.address)


def test_a_wallet_signs_a_text_of_eip_4361_and_is_in(home, guest, wallet):
    told = asked(guest, wallet)
    lines = told["message"].split("\n")
    assert lines[0] == f"localhost:{home.port} wants you to sign in with your Ethereum account:"
    assert lines[1] == wallet.address
    assert f"URI: http://localhost:{home.port}" in lines
    assert {"Version: 1", "Chain ID: 1", f"Nonce: {told['nonce']}"} <= set(lines)
    proof = {"nonce": told["nonce"], "signature": sign(wallet, told["message"]), "next": "/account"}
    assert guest.post("/api/wallets/login", json=proof).json() == {"next": "/account"}
    assert guest.get("/account").status_code == 200


def test_a_signature_lets_in_once(guest, home, wallet):
    told = asked(guest, wallet)
    proof = {"nonce": told["nonce"], "signature": sign(wallet, told["message"])}
    door = guest.cookies[cookies.DOOR]
    assert guest.post("/api/wallets/login", json=proof).status_code == 200
    guest.cookies.clear()
    guest.cookies.set(cookies.DOOR, door)
    assert guest.post("/api/wallets/login", json=proof).status_code == 400


@pytest.mark.parametrize("change", ["text", "signer", "unlinked", "nonsense", "link text"])
def test_a_wallet_that_signs_something_else_or_is_not_linked_is_refused(home, guest, owner, wallet, change):
    stranger = Account.create()
    told = asked(guest, stranger if change == "unlinked" else wallet)
    if change == "link text":
        told = asked(owner, wallet, "/api/wallets/text")
    text = told["message"].replace("Version: 1", "Version: 2") if change == "text" else told["message"]
    signature = sign(stranger if change in ("signer", "unlinked") else wallet, text)
    proof = {"nonce": told["nonce"], "signature": "0x1234" if change == "nonsense" else signature}
    answer = guest.post("/api/wallets/login", json=proof)
    assert answer.status_code in (400, 401)
    assert cookies.SESSION not in guest.cookies


def test_a_text_for_another_browser_another_name_or_too_old_is_refused(home, guest, wallet, monkeypatch):
    told = asked(guest, wallet)
    proof = {"nonce": told["nonce"], "signature": sign(wallet, told["message"])}
    with home.client() as other:
        other.headers["X-CSRF-Token"] = other.token("/login")
        assert other.post("/api/wallets/login", json=proof).status_code == 400
    told = asked(guest, wallet)
    proof = {"nonce": told["nonce"], "signature": sign(wallet, told["message"])}
    elsewhere = {"Host": f"127.0.0.1:{home.port}"}
    assert guest.post("/api/wallets/login", json=proof, headers=elsewhere).status_code == 401
    told = asked(guest, wallet)
    proof = {"nonce": told["nonce"], "signature": sign(wallet, told["message"])}
    monkeypatch.setattr(home.accounts.challenges, "_clock", lambda: time.time() + 301)
    assert guest.post("/api/wallets/login", json=proof).status_code == 400


def test_no_address_is_no_wallet(guest):
    assert guest.post("/api/wallets/login/text", json={"address": "0x12"}).status_code == 400


def test_questions_to_wallets_are_bounded(home, guest, wallet, monkeypatch):
    monkeypatch.setattr("services.identity.accounts.challenges.MAX_OPEN", 3)
    first = asked(guest, wallet)
    for _ in range(3):
        asked(guest, wallet)
    proof = {"nonce": first["nonce"], "signature": sign(wallet, first["message"])}
    assert guest.post("/api/wallets/login", json=proof).status_code == 400


# Passkeys


@pytest.fixture
def passkey(home, owner):
    """A passkey that may log in."""
    made = Authenticator(home.url)
    options = owner.post("/api/passkeys/options").json()
    added = owner.post("/api/passkeys", json={"credential": made.create(options), "label": "<i>laptop"})
    assert added.status_code == 204, added.text
    yield made
    with home.accounts.database.begin() as connection:
        connection.execute(PASSKEYS.delete())


def test_a_passkey_logs_in_without_a_name(home, guest, passkey):
    options = guest.post("/api/passkeys/login/options").json()
    assert (options["rpId"], options["userVerification"], options.get("allowCredentials", [])) == (
        "localhost",
        "preferred",
        [],
    )
    answer = guest.post("/api/passkeys/login", json={"credential": passkey.get(options), "next": "//evil"})
    assert answer.json() == {"next": "/"}
    assert "&lt;i&gt;laptop" in guest.get("/account").text


def test_an_answer_of_a_passkey_lets_in_once(home, guest, passkey):
    credential = shown(guest, passkey)
    door = guest.cookies[cookies.DOOR]
    assert guest.post("/api/passkeys/login", json={"credential": credential}).status_code == 200
    guest.cookies.clear()
    guest.cookies.set(cookies.DOOR, door)
    assert guest.post("/api/passkeys/login", json={"credential": credential}).status_code == 400


def test_a_passkey_of_another_origin_or_name_or_an_unknown_or_copied_one_is_refused(home, guest, passkey):
    def refused(credential):
        answer = guest.post("/api/passkeys/login", json={"credential": credential})
        return answer.status_code == 401 and cookies.SESSION not in guest.cookies

    passkey.origin = "http://localhost:1"
    assert refused(shown(guest, passkey))
    passkey.origin = home.url
    passkey.rp = "evil.example"
    assert refused(shown(guest, passkey))
    passkey.rp = "localhost"
    assert refused(shown(guest, Authenticator(home.url)))
    wrong_key = Authenticator(home.url)
    wrong_key.id = passkey.id
    assert refused(shown(guest, wrong_key))
    guest.post("/api/passkeys/login", json={"credential": shown(guest, passkey)})
    guest.cookies.clear()
    guest.headers["X-CSRF-Token"] = guest.token("/login")
    passkey.count -= 1  # a copy of the key that did not see the last login
    assert refused(shown(guest, passkey))


def test_nonsense_instead_of_a_passkey_is_refused(guest, owner):
    for credential in ({}, {"response": 5}, {"id": "x", "response": {"clientDataJSON": "e30"}}, {"id": []}):
        assert guest.post("/api/passkeys/login", json={"credential": credential}).status_code == 400
        assert owner.post("/api/passkeys", json={"credential": credential}).status_code == 400


def test_a_login_by_passkey_or_wallet_needs_the_token_of_its_page(home, wallet):
    with home.client() as client:
        client.get("/login")
        for path in ("passkeys/login/options", "passkeys/login", "wallets/login/text", "wallets/login"):
            assert client.post(f"/api/{path}", json={}).status_code in (403, 422)
        assert client.post("/api/passkeys/login/options", headers={"X-CSRF-Token": "x"}).status_code == 403


def test_ways_to_log_in_are_added_and_removed_only_soon_after_a_login(home, owner, passkey, wallet):
    old(home)
    for path in ("/api/passkeys/options", "/api/wallets/text"):
        answer = owner.post(path, json={"address": wallet.address})
        assert (answer.status_code, "log in again" in answer.json()["error"]) == (403, True)
    page = owner.submit("/account", "/account/passkeys/remove", id=b64(passkey.id))
    assert (page.status_code, "/login?again=1" in page.text) == (403, True)
    assert owner.submit("/account", "/account/wallets/remove", wallet=wallet.address).status_code == 403
    del owner.headers["X-CSRF-Token"]
    owner.submit("/login?again=1", "/login", name=NAME, passphrase=PASSPHRASE)
    owner.headers["X-CSRF-Token"] = owner.token("/account")
    assert owner.submit("/account", "/account/passkeys/remove", id=b64(passkey.id)).status_code == 303
    assert owner.submit("/account", "/account/wallets/remove", wallet=wallet.address).status_code == 303
    assert (home.accounts.passkeys.all(), home.accounts.wallets.all()) == ([], [])


def test_nobody_adds_a_way_to_log_in_without_being_logged_in(guest):
    for path in ("/api/passkeys/options", "/api/passkeys", "/api/wallets/text", "/api/wallets"):
        assert guest.post(path, json={}).status_code == 401


def test_a_login_by_passkey_leaves_a_locked_key_locked(tmp_path):
    with door_at(tmp_path) as door, door.client() as client:
        client.sign_up()
        client.headers["X-CSRF-Token"] = client.token("/account")
        made = Authenticator(door.url)
        client.post("/api/passkeys", json={"credential": made.create(client.post("/api/passkeys/options").json())})
    with door_at(tmp_path) as door, door.client() as client:
        made.origin = door.url
        client.headers["X-CSRF-Token"] = client.token("/login")
        assert client.post("/api/passkeys/login", json={"credential": shown(client, made)}).status_code == 200
        assert door.accounts.vault.state == "locked"
        assert "Open the key" in client.get("/account").text
