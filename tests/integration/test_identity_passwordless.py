"""An owner without a passphrase: signed up by a passkey or a wallet, where the passphrase file protects the key."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from eth_account import Account
from sqlalchemy import func, select, update

from services.identity import admin
from services.identity.accounts import challenges
from services.identity.accounts.newcomer import Newcomer
from services.identity.accounts.owners import LoginError
from services.identity.accounts.tables import KEYSTORES, OWNER, PASSKEYS, SESSIONS, WALLETS
from services.identity.accounts.vault import VaultError
from services.identity.web import cookies
from tests.accounts_kit import NAME, PASSPHRASE, WRONG, accounts_at, door_at
from tests.ways_kit import Authenticator, asked, b64, shown, sign

OF_FILE = "what the stack made up for itself"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(OF_FILE + "\n")
    return path


@pytest.fixture
def door(tmp_path, file):
    """Nobody owns it yet, and its key is open."""
    with door_at(tmp_path, passphrase_file=file) as found:
        yield found


@pytest.fixture
def guest(door):
    with door.client() as client:
        yield at_door(client)


def at_door(client, path="/signup"):
    client.headers.pop("X-CSRF-Token", None)
    client.headers["X-CSRF-Token"] = client.token(path)
    return client


def made(client, passkey, name=NAME, **more):
    """A passkey for the sign-up, as the browser would send it."""
    options = client.post("/api/signup/passkey/options", json={"name": name, **more})
    assert options.status_code == 200, options.text
    return {"credential": passkey.create(options.json()), **more}


def signed(client, wallet, **more):
    """The same of a wallet."""
    told = client.post("/api/signup/wallet/text", json={"address": wallet.address, **more})
    assert told.status_code == 200, told.text
    return {"nonce": told.json()["nonce"], "signature": sign(wallet, told.json()["message"]), **more}


def by_passkey(client, name=NAME):
    """Signed up, with a token for what comes then."""
    passkey = Authenticator(str(client.base_url).rstrip("/"))
    answer = client.post("/api/signup/passkey", json=made(client, passkey, name))
    assert answer.status_code == 200, answer.text
    at_door(client, "/account")
    return passkey


def by_wallet(client, **more):
    wallet = Account.create()
    answer = client.post("/api/signup/wallet", json=signed(client, wallet, **more))
    assert answer.status_code == 200, answer.text
    at_door(client, "/account")
    return wallet


def old(door):
    """All sessions began an hour ago."""
    with door.accounts.database.begin() as connection:
        connection.execute(update(SESSIONS).values(created=time.time() - 3600))


def counted(door):
    """Rows of owner, passkeys, wallets."""
    with door.accounts.database.begin() as connection:
        return [connection.scalar(select(func.count()).select_from(table)) for table in (OWNER, PASSKEYS, WALLETS)]


# Signing up


def test_a_passkey_alone_makes_an_owner_who_logs_in_by_it(door, guest):
    address = door.accounts.vault.address
    passkey = Authenticator(door.url)
    proof = made(guest, passkey, "  Ada  Lovelace ")
    answer = guest.post("/api/signup/passkey", json={**proof, "next": "//evil"})
    assert answer.json() == {"next": "/"}
    assert door.accounts.owners.name() == "Ada Lovelace"
    assert (door.accounts.owners.has_passphrase(), counted(door)) == (False, [1, 1, 0])
    assert (door.accounts.vault.address, door.accounts.vault.unlockers()) == (address, ("file",))
    assert "Ada Lovelace" in guest.get("/account").text
    with door.client() as other:
        at_door(other, "/login")
        assert other.post("/api/passkeys/login", json={"credential": shown(other, passkey)}).status_code == 200
        assert other.get("/account").status_code == 200


def test_the_owner_is_known_to_later_passkeys_by_what_the_first_was_told(door, guest):
    options = guest.post("/api/signup/passkey/options", json={"name": NAME}).json()
    passkey = Authenticator(door.url)
    assert guest.post("/api/signup/passkey", json={"credential": passkey.create(options)}).status_code == 200
    at_door(guest, "/account")
    later = guest.post("/api/passkeys/options").json()
    assert (later["user"]["id"], later["user"]["name"]) == (options["user"]["id"], NAME)
    assert [one["id"] for one in later["excludeCredentials"]] == [b64(passkey.id)]


def test_a_wallet_alone_makes_an_owner_and_lends_its_address_as_a_name(door, guest):
    wallet = by_wallet(guest)
    assert door.accounts.owners.name() == f"{wallet.address[:6]}...{wallet.address[-4:]}"
    assert counted(door) == [1, 0, 1]
    with door.client() as other:
        at_door(other, "/login")
        told = asked(other, wallet)
        proof = {"nonce": told["nonce"], "signature": sign(wallet, told["message"]), "next": "/account"}
        assert other.post("/api/wallets/login", json=proof).json() == {"next": "/account"}


def test_the_owner_of_a_wallet_may_have_a_name(door, guest):
    by_wallet(guest, name="Ada")
    assert door.accounts.owners.name() == "Ada"


def test_a_sign_up_begins_a_session_like_a_login(door):
    with door.client(cookies={cookies.SESSION: "planted" * 6}) as client:
        by_passkey(at_door(client))
        (fresh,) = [c for c in client.cookies.jar if c.name == cookies.SESSION and "planted" not in c.value]
        assert fresh.has_nonstandard_attr("HttpOnly") and fresh.get_nonstandard_attr("SameSite") == "lax"
        assert door.accounts.sessions.find("planted" * 6) is None


@pytest.mark.parametrize("name", ["", "  ", "A\u200bda", "x" * 101])
def test_a_passkey_needs_a_name_and_no_way_takes_a_bad_one(door, guest, name):
    refused = guest.post("/api/signup/passkey/options", json={"name": name})
    assert (refused.status_code, "A name has" in refused.json()["error"]) == (400, True)
    if name.strip():
        wanted = {"address": Account.create().address, "name": name}
        assert guest.post("/api/signup/wallet/text", json=wanted).status_code == 400
    assert counted(door) == [0, 0, 0]


def test_without_a_passphrase_file_a_sign_up_needs_a_passphrase_and_the_page_says_why(tmp_path, door, guest):
    assert "passkey-signup" in guest.get("/signup").text
    assert "no passphrase file" not in guest.get("/signup").text
    with door_at(tmp_path / "other") as bare, bare.client() as client:
        page = client.get("/signup").text
        assert "There is no passphrase file" in page
        assert "passkey-signup" not in page and "passkey.js" not in page
        at_door(client)
        for path, body in (
            ("passkey/options", {"name": NAME}),
            ("passkey", {"credential": {}}),
            ("wallet/text", {"address": Account.create().address}),
            ("wallet", {"nonce": "x", "signature": "0x"}),
        ):
            refused = client.post(f"/api/signup/{path}", json=body)
            assert (refused.status_code, "no passphrase file" in refused.json()["error"]) == (409, True)
        assert counted(bare) == [0, 0, 0]
        assert client.sign_up().status_code == 303


def test_where_the_file_is_gone_nobody_signs_up_on_a_key_that_it_protects(tmp_path, file):
    with accounts_at(tmp_path, passphrase_file=file):
        pass
    with door_at(tmp_path) as door, door.client() as client:
        at_door(client)
        assert client.post("/api/signup/passkey/options", json={"name": NAME}).status_code == 409
        assert counted(door) == [0, 0, 0]


@pytest.mark.parametrize("way", ["passkey", "wallet"])
def test_where_others_reach_the_page_a_sign_up_without_a_passphrase_needs_the_code_too(tmp_path, file, way):
    with door_at(tmp_path, passphrase_file=file, hosts="swarm.lan") as door, door.client() as client:
        at_door(client)
        begin = f"/api/signup/{'passkey/options' if way == 'passkey' else 'wallet/text'}"
        wallet, passkey = Account.create(), Authenticator(door.url)
        wanted = {"name": NAME, "address": wallet.address}
        assert client.post(begin, json=wanted).status_code == 403
        assert client.post(begin, json={**wanted, "code": "0000"}).status_code == 403
        code = (tmp_path / "identity" / "claim.code").read_text()
        proof = made(client, passkey, code=code) if way == "passkey" else signed(client, wallet, code=code)
        assert client.post(f"/api/signup/{way}", json={**proof, "code": ""}).status_code == 403
        assert counted(door)[0] == 0
        for _ in range(5):
            client.post(begin, json={**wanted, "code": "0000"})
        assert client.post(f"/api/signup/{way}", json=proof).status_code == 429
        door.accounts.owners.forgive("sign-up", "127.0.0.1")
        assert client.post(f"/api/signup/{way}", json=proof).status_code == 200
        assert not (tmp_path / "identity" / "claim.code").exists()


def test_a_sign_up_without_a_passphrase_needs_the_token_of_its_page(door):
    with door.client() as client:
        client.get("/signup")
        for path in ("passkey/options", "passkey", "wallet/text", "wallet"):
            assert client.post(f"/api/signup/{path}", json={}).status_code in (403, 422)
        for headers in ({}, {"X-CSRF-Token": "x"}):
            assert client.post("/api/signup/passkey/options", json={"name": NAME}, headers=headers).status_code == 403
        at_door(client)
        crossed = {"Sec-Fetch-Site": "cross-site"}
        assert client.post("/api/signup/passkey/options", json={"name": NAME}, headers=crossed).status_code == 403


def test_an_answer_to_a_sign_up_counts_once_for_one_browser_and_for_nothing_else(door, guest, monkeypatch):
    passkey, wallet = Authenticator(door.url), Account.create()
    with door.client() as other:
        at_door(other)
        assert other.post("/api/signup/passkey", json=made(guest, passkey)).status_code == 400
        assert other.post("/api/signup/wallet", json=signed(guest, wallet)).status_code == 400
    told = asked(guest, wallet)  # a text for a login
    proof = {"nonce": told["nonce"], "signature": sign(wallet, told["message"])}
    assert guest.post("/api/signup/wallet", json=proof).status_code == 400
    login = guest.post("/api/passkeys/login/options").json()
    login_answer = {"credential": passkey.create({**login, "user": {}})}
    assert guest.post("/api/signup/passkey", json=login_answer).status_code == 400
    late = made(guest, passkey), signed(guest, wallet)
    with monkeypatch.context() as patch:
        patch.setattr(door.accounts.challenges, "_clock", lambda: time.time() + challenges.LIFE_S + 1)
        assert guest.post("/api/signup/passkey", json=late[0]).status_code == 400
        assert guest.post("/api/signup/wallet", json=late[1]).status_code == 400
    assert counted(door) == [0, 0, 0]
    proof = made(guest, passkey)
    browser = guest.cookies[cookies.DOOR]
    assert guest.post("/api/signup/passkey", json=proof).status_code == 200
    with door.accounts.database.begin() as connection:
        connection.execute(OWNER.delete())
    guest.cookies.clear()
    guest.cookies.set(cookies.DOOR, browser)
    guest.headers["X-CSRF-Token"] = cookies.door_token(browser)
    assert guest.post("/api/signup/passkey", json=proof).status_code == 400
    assert counted(door) == [0, 0, 0]


def test_a_sign_up_for_another_origin_or_domain_or_by_somebody_else_is_refused(door, guest):
    def refused(way, proof, **headers):
        answer = guest.post(f"/api/signup/{way}", json=proof, headers=headers)
        return answer.status_code in (400, 401) and cookies.SESSION not in guest.cookies

    assert refused("passkey", made(guest, Authenticator("http://localhost:1")))
    assert refused("passkey", made(guest, Authenticator(door.url, rp="evil.example")))
    assert refused("passkey", {"credential": {}})
    wallet, stranger = Account.create(), Account.create()
    elsewhere = {"Host": f"127.0.0.1:{door.port}"}
    assert refused("wallet", signed(guest, wallet), **elsewhere)
    told = guest.post("/api/signup/wallet/text", json={"address": wallet.address}).json()
    assert told["message"].startswith(f"localhost:{door.port} wants") and "Become the owner" in told["message"]
    assert refused("wallet", {"nonce": told["nonce"], "signature": sign(stranger, told["message"])})
    assert refused("wallet", {"nonce": told["nonce"], "signature": sign(wallet, told["message"])})  # used up
    assert guest.post("/api/signup/wallet/text", json={"address": "0x12"}).status_code == 400
    assert counted(door) == [0, 0, 0]


def test_of_those_who_sign_up_at_once_in_any_way_one_wins_and_nothing_is_half_made(door):
    browsers = [at_door(door.client()) for _ in range(9)]

    def ready(number, client):
        if number % 3 == 0:
            return "/api/signup/passkey", {"json": made(client, Authenticator(door.url), f"Ada {number}")}
        if number % 3 == 1:
            return "/api/signup/wallet", {"json": signed(client, Account.create(), name=f"Ada {number}")}
        fields = {"name": f"Ada {number}", "passphrase": PASSPHRASE, "again": PASSPHRASE}
        return "/signup", {"data": {"csrf": client.headers["X-CSRF-Token"], **fields}}

    asked_for = [(client, *ready(number, client)) for number, client in enumerate(browsers)]
    with ThreadPoolExecutor(9) as pool:
        told = list(pool.map(lambda one: one[0].post(one[1], **one[2]).status_code, asked_for))
    (winner,) = [number for number, status in enumerate(told) if status in (200, 303)]
    assert [status for number, status in enumerate(told) if number != winner] == [409] * 8
    assert door.accounts.owners.name() == f"Ada {winner}"
    by_passphrase = winner % 3 == 2
    assert counted(door) == [1, int(winner % 3 == 0), int(winner % 3 == 1)]
    assert door.accounts.owners.has_passphrase() is by_passphrase
    assert ("passphrase" in door.accounts.vault.unlockers()) is by_passphrase
    for client in browsers:
        client.close()


def test_a_way_in_that_cannot_be_kept_leaves_no_owner(tmp_path, file):
    with accounts_at(tmp_path, passphrase_file=file) as accounts:

        def broken(_connection):
            raise RuntimeError("the disk is full")

        with pytest.raises(RuntimeError):
            accounts.owners.sign_up_as(Newcomer(NAME, broken))
        assert accounts.owners.name() is None


def test_a_passphrase_of_a_sign_up_that_was_cut_off_does_not_open_the_key_of_who_comes_then(tmp_path, file):
    with accounts_at(tmp_path, passphrase_file=file) as accounts:
        accounts.vault.welcome(WRONG)
        accounts.owners.sign_up_as(Newcomer(NAME, lambda _connection: None))
        assert accounts.vault.unlockers() == ("file",)


def test_once_there_is_an_owner_nobody_signs_up_without_a_passphrase(door, guest):
    by_passkey(guest)
    with door.client() as other:
        at_door(other, "/login")
        for path, body in (
            ("passkey/options", {"name": "Eve"}),
            ("wallet/text", {"address": Account.create().address}),
        ):
            late = other.post(f"/api/signup/{path}", json=body)
            assert (late.status_code, "has an owner already" in late.json()["error"]) == (409, True)
    assert door.accounts.owners.name() == NAME


# An owner without a passphrase


def test_a_guess_at_an_owner_without_a_passphrase_is_answered_as_any_other(door, guest):
    def told(page):
        return page.status_code, re.sub(r'value="[^"]*"', "", page.text)

    by_passkey(guest)
    with door.client() as thief:
        assert told(thief.log_in(NAME, WRONG)) == told(thief.log_in("Bob", WRONG))
        assert thief.log_in(NAME, "").status_code == 401
        guesses = [thief.post("/api/session", json={"name": name, "passphrase": WRONG}) for name in (NAME, "Bob")]
        assert [(one.status_code, one.json()) for one in guesses] == [
            (401, {"error": "Name or passphrase is wrong."})
        ] * 2
        for _ in range(3):
            thief.log_in(NAME, WRONG)
        assert thief.log_in(NAME, WRONG).status_code == 429


def test_a_guess_at_an_owner_without_a_passphrase_costs_the_same_work(tmp_path, file, monkeypatch):
    with accounts_at(tmp_path, passphrase_file=file) as accounts:
        accounts.owners.sign_up_as(Newcomer(NAME, lambda _connection: None))
        compared = []
        real = accounts.owners._hashes.fits
        monkeypatch.setattr(accounts.owners._hashes, "fits", lambda *given: compared.append(given) or real(*given))
        with pytest.raises(LoginError, match="wrong"):
            accounts.owners.log_in(NAME, WRONG, "here")
        assert compared == [(None, WRONG)]


def test_a_first_passphrase_is_set_soon_after_a_login_and_opens_the_key_too(tmp_path, door, guest):
    passkey = by_passkey(guest)
    page = guest.get("/account").text
    assert "Set a passphrase" in page and "Change the passphrase" not in page and "Present passphrase" not in page
    old(door)
    stale = guest.submit("/account", "/account/passphrase", new=PASSPHRASE, again=PASSPHRASE)
    assert (stale.status_code, "/login?again=1" in stale.text) == (403, True)
    at_door(guest, "/login?again=1")
    assert guest.post("/api/passkeys/login", json={"credential": shown(guest, passkey)}).status_code == 200
    at_door(guest, "/account")
    for new, again, said in ((PASSPHRASE, WRONG, "differ"), ("short", "short", "at least 12")):
        assert said in guest.submit("/account", "/account/passphrase", new=new, again=again).text
    assert not door.accounts.owners.has_passphrase()
    token = guest.cookies[cookies.SESSION]
    done = guest.submit("/account", "/account/passphrase", new=PASSPHRASE, again=PASSPHRASE)
    assert done.headers["location"] == "/account?done=first"
    assert door.accounts.sessions.find(token) is None
    assert at_door(guest, "/account").get("/account").status_code == 200
    assert set(door.accounts.vault.unlockers()) == {"file", "passphrase"}
    again = guest.submit("/account", "/account/passphrase", new=WRONG, again=WRONG)
    assert "is wrong" in again.text  # the present one is asked for now
    with pytest.raises(LoginError, match="already"):
        door.accounts.owners.set_first(NAME, WRONG)


def test_a_first_passphrase_opens_the_key_after_a_restart_without_the_file(tmp_path, file):
    with door_at(tmp_path, passphrase_file=file) as door, door.client() as client:
        by_wallet(at_door(client), name=NAME)
        client.submit("/account", "/account/passphrase", new=PASSPHRASE, again=PASSPHRASE)
        address = door.accounts.vault.address
    with accounts_at(tmp_path) as accounts:
        assert accounts.vault.state == "locked"
        assert accounts.owners.log_in(NAME, PASSPHRASE, "here").notice == ""
        assert (accounts.vault.state, accounts.vault.address) == ("ready", address)


def test_of_two_first_passphrases_at_once_one_is_kept_for_login_and_key(door, guest):
    by_passkey(guest)

    def choose(number):
        try:
            door.accounts.owners.set_first(NAME, f"{PASSPHRASE} {number}")
        except LoginError as refused:
            return refused.status
        return number

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(choose, range(4)))
    (winner,) = [one for one in told if one != 409]
    door.accounts.owners.verify(NAME, f"{PASSPHRASE} {winner}", "here")
    door.accounts.vault.unlock(f"{PASSPHRASE} {winner}", "passphrase")


def test_an_export_without_an_owners_passphrase_has_one_of_its_own(door, guest):
    by_passkey(guest)
    assert "Passphrase for the file" in guest.get("/account").text

    def export(passphrase, again):
        return guest.submit("/account", "/account/export", passphrase=passphrase, again=again)

    for passphrase, again, said in (
        (PASSPHRASE, WRONG, "differ"),
        ("short", "short", "at least 12"),
        ("passwordpassword", "passwordpassword", "one of the first"),
        ("", "", "at least 12"),
    ):
        refused = export(passphrase, again)
        assert (refused.status_code, said in refused.text) == (400, True)
    given = export(PASSPHRASE, PASSPHRASE)
    assert Account.from_key(Account.decrypt(given.json(), PASSPHRASE)).address == door.accounts.vault.address
    old(door)
    stale = export(PASSPHRASE, PASSPHRASE)
    assert (stale.status_code, "/login?again=1" in stale.text) == (403, True)


def test_an_import_without_an_owners_passphrase_needs_a_login_and_the_file_opens_the_new_key(tmp_path, file):
    other = Account.create()
    text = json.dumps(Account.encrypt(other.key, PASSPHRASE, iterations=16))
    with door_at(tmp_path, passphrase_file=file) as door, door.client() as client:
        by_passkey(at_door(client))
        former = door.accounts.vault.address

        def send():
            form = {"csrf": client.token("/account"), "file_passphrase": PASSPHRASE, "sure": "yes"}
            return client.post("/account/import", data=form, files={"file": ("key.json", text)})

        with door.accounts.database.begin() as connection:
            began = connection.scalar(select(SESSIONS.c.created))
        old(door)
        assert send().status_code == 403
        assert door.accounts.vault.address == former
        with door.accounts.database.begin() as connection:
            connection.execute(update(SESSIONS).values(created=began))
        assert send().headers["location"] == "/account?done=import"
    with accounts_at(tmp_path, passphrase_file=file) as accounts:
        assert (accounts.vault.state, accounts.vault.address) == ("ready", other.address)


def test_a_key_that_nothing_would_open_after_a_restart_is_not_imported(tmp_path, file):
    text = json.dumps(Account.encrypt(Account.create().key, PASSPHRASE, iterations=16))
    with accounts_at(tmp_path, passphrase_file=file) as accounts:
        accounts.owners.sign_up_as(Newcomer(NAME, lambda _connection: None))
        former = accounts.vault.address
    with accounts_at(tmp_path) as accounts:
        with pytest.raises(VaultError, match="passphrase file"):
            accounts.vault.import_keystore(text, PASSPHRASE, None)
        assert (accounts.vault.address, accounts.vault.unlockers()) == (former, ("file",))
        with accounts.database.begin() as connection:
            assert connection.scalar(select(func.count()).select_from(KEYSTORES)) == 1


def test_the_last_way_to_log_in_stays(door, guest):
    passkey = by_passkey(guest)

    def remove_passkey():
        return guest.submit("/account", "/account/passkeys/remove", id=b64(passkey.id))

    refused = remove_passkey()
    assert (refused.status_code, "the only way to log in" in refused.text) == (409, True)
    assert len(door.accounts.passkeys.all()) == 1
    wallet = Account.create()
    told = asked(guest, wallet, "/api/wallets/text")
    guest.post("/api/wallets", json={"nonce": told["nonce"], "signature": sign(wallet, told["message"])})
    assert remove_passkey().status_code == 303
    refused = guest.submit("/account", "/account/wallets/remove", wallet=wallet.address)
    assert (refused.status_code, "the only way to log in" in refused.text) == (409, True)
    guest.submit("/account", "/account/passphrase", new=PASSPHRASE, again=PASSPHRASE)
    at_door(guest, "/account")
    assert guest.submit("/account", "/account/wallets/remove", wallet=wallet.address).status_code == 303
    assert counted(door) == [1, 0, 0]


def test_of_two_last_ways_that_are_removed_at_once_one_stays(door, guest):
    passkey = by_passkey(guest)
    wallet = Account.create()
    told = asked(guest, wallet, "/api/wallets/text")
    guest.post("/api/wallets", json={"nonce": told["nonce"], "signature": sign(wallet, told["message"])})
    removals = (door.accounts.passkeys.remove, b64(passkey.id)), (door.accounts.wallets.remove, wallet.address)

    def remove(one):
        try:
            one[0](one[1])
        except LoginError as refused:
            return refused.status
        return 0

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, removals)) == [0, 409]
    assert sum(counted(door)[1:]) == 1


def test_without_its_file_the_key_stays_locked_and_the_page_says_to_put_it_back(tmp_path, file):
    with door_at(tmp_path, passphrase_file=file) as door, door.client() as client:
        wallet = by_wallet(at_door(client))
    with door_at(tmp_path) as door, door.client() as client:
        at_door(client, "/login")
        told = asked(client, wallet)
        proof = {"nonce": told["nonce"], "signature": sign(wallet, told["message"])}
        assert client.post("/api/wallets/login", json=proof).status_code == 200
        assert door.accounts.vault.state == "locked"
        assert "Put the file back" in at_door(client, "/account").get("/account").text
        fields = {"passphrase": PASSPHRASE, "again": PASSPHRASE}
        assert "put it back" in client.submit("/account", "/account/export", **fields).text
        late = client.submit("/account", "/account/passphrase", new=PASSPHRASE, again=PASSPHRASE)
        assert (late.status_code, "put it back" in late.text) == (409, True)
        assert not door.accounts.owners.has_passphrase()
        assert client.submit("/account", "/account/unlock", passphrase=OF_FILE).status_code == 303
        assert door.accounts.vault.state == "ready"
    with door_at(tmp_path, passphrase_file=file) as door:
        assert door.accounts.vault.state == "ready"


def test_a_reset_of_the_login_frees_a_household_whose_owner_had_no_passphrase(tmp_path, file, monkeypatch, capsys):
    with door_at(tmp_path, passphrase_file=file) as door, door.client() as client:
        by_passkey(at_door(client))
        address = door.accounts.vault.address
    monkeypatch.setattr(admin.logs, "setup", lambda *_: None)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("IDENTITY_PASSPHRASE_FILE", str(file))
    assert admin.main(["--set", "+kdf=fast", "reset-login"]) == 0
    assert "the key stays" in capsys.readouterr().out
    with door_at(tmp_path, passphrase_file=file) as door, door.client() as client:
        assert counted(door) == [0, 0, 0]
        by_wallet(at_door(client), name="Grace")
        assert (door.accounts.owners.name(), door.accounts.vault.address) == ("Grace", address)
