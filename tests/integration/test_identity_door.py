"""Sign-up, login and logout at the real app: cookies, forged requests, lock-out, redirects, headers, bounds."""

import http.client
import json
import re
import socket
import time

import pytest

from services.identity.middleware import MAX_BODY
from services.identity.web import cookies
from tests.accounts_kit import NAME, PASSPHRASE, WRONG, door_at


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with door_at(tmp_path_factory.mktemp("home")) as door:
        with door.client() as first:
            assert first.sign_up().status_code == 303
        yield door


@pytest.fixture
def door(home):
    """The household with its owner, nobody locked out."""
    home.accounts.owners.forgive(NAME, "127.0.0.1")
    return home


@pytest.fixture
def guest(door):
    with door.client() as client:
        yield client


@pytest.fixture
def owner(door):
    with door.client() as client:
        assert client.log_in().status_code == 303
        yield client


def test_the_first_to_sign_up_is_the_owner_and_nobody_after(door, guest):
    assert door.accounts.owners.name() == NAME
    assert guest.get("/signup").headers["location"] == "/login"
    token = guest.token("/login")
    form = {"csrf": token, "name": "Eve", "passphrase": PASSPHRASE, "again": PASSPHRASE}
    late = guest.post("/signup", data=form)
    assert (late.status_code, door.accounts.owners.name()) == (409, NAME)
    assert "has an owner already" in late.text


def test_before_there_is_an_owner_the_login_leads_to_the_sign_up(tmp_path):
    with door_at(tmp_path) as empty, empty.client() as client:
        assert client.get("/login?next=/account").headers["location"] == "/signup?next=%2Faccount"


@pytest.mark.parametrize(
    ("name", "passphrase", "again", "said"),
    [
        ("", PASSPHRASE, PASSPHRASE, "1 to 100 characters"),
        ("A\u200bda", PASSPHRASE, PASSPHRASE, "invisible"),
        ("Ada", "short", "short", "at least 12"),
        ("Ada", "a" * 300, "a" * 300, "at most 256"),
        ("Ada", "passwordpassword", "passwordpassword", "one of the first"),
        ("ada lovelace 1", "Ada Lovelace 1", "Ada Lovelace 1", "is the name and"),
        ("Ada", PASSPHRASE, WRONG, "differ"),
    ],
)
def test_a_sign_up_that_will_not_do_says_why_and_keeps_what_was_typed(tmp_path, name, passphrase, again, said):
    with door_at(tmp_path) as empty, empty.client() as client:
        page = client.submit("/signup", "/signup", name=name, passphrase=passphrase, again=again)
        assert page.status_code == 400
        assert re.search(r'role="alert"[^>]*>[^<]*' + said, page.text)
        assert passphrase not in page.text or len(passphrase) < 13 or passphrase == name
        assert empty.accounts.owners.name() is None


def test_the_cookie_of_a_session_is_out_of_reach_for_scripts_and_other_sites(owner):
    (cookie,) = [c for c in owner.cookies.jar if c.name == cookies.SESSION]
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "lax"
    assert (cookie.path, cookie.secure, len(cookie.value)) == ("/", False, 43)


def test_over_tls_the_cookie_is_secure_bound_to_the_host_and_hsts_is_sent(tmp_path):
    with door_at(tmp_path, tls=True) as door, door.client(headers={"X-Forwarded-Proto": "https"}) as client:
        page = client.get("/signup")
        assert "max-age=" in page.headers["strict-transport-security"]
        told = page.headers["set-cookie"]
        assert told.startswith("__Host-rlswarm_door=")
        assert "Secure" in told and "HttpOnly" in told and "Path=/" in told and "Domain" not in told


def test_without_the_setting_nobody_is_believed_to_come_over_tls(door):
    with door.client(headers={"X-Forwarded-Proto": "https"}) as client:
        page = client.get("/login")
        assert "strict-transport-security" not in page.headers
        assert "__Host-" not in page.headers["set-cookie"]


def test_what_is_kept_of_a_session_does_not_let_anybody_in(door, owner):
    kept = door.accounts.sessions.all()[0].id
    token = owner.cookies[cookies.SESSION]
    assert token not in str(door.accounts.sessions.all())
    with door.client(cookies={cookies.SESSION: kept}) as thief:
        assert thief.get("/account").status_code == 303


def test_a_login_never_takes_the_session_that_the_browser_brings(door):
    with door.client(cookies={cookies.SESSION: "planted" * 6}) as client:
        client.log_in()
        fresh = [c.value for c in client.cookies.jar if c.name == cookies.SESSION and "planted" not in c.value]
        assert fresh
        assert door.accounts.sessions.find("planted" * 6) is None
        assert door.accounts.sessions.find(fresh[0]) is not None


def test_a_second_login_ends_the_first_session_of_this_browser(door, owner):
    first = owner.cookies[cookies.SESSION]
    owner.submit("/login?again=1", "/login", name=NAME, passphrase=PASSPHRASE)
    assert owner.cookies[cookies.SESSION] != first
    assert door.accounts.sessions.find(first) is None


def test_a_logout_ends_the_session_on_the_server(door, owner):
    token = owner.cookies[cookies.SESSION]
    done = owner.submit("/account", "/logout")
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert "Max-Age=0" in done.headers["set-cookie"]
    assert door.accounts.sessions.find(token) is None


def test_a_logout_or_a_change_without_the_token_is_refused(owner):
    for path in ("/logout", "/account/passphrase", "/account/sessions/end", "/account/export", "/account/import"):
        for form in ({}, {"csrf": "x"}, {"csrf": ""}):
            assert owner.post(path, data=form).status_code == 403
    assert owner.delete("/api/session").status_code == 403
    assert owner.get("/account").status_code == 200


def test_a_token_of_another_session_is_none(door, owner):
    with door.client() as other:
        other.log_in()
        assert owner.post("/logout", data={"csrf": other.token("/account")}).status_code == 403


def test_a_request_that_another_site_makes_is_refused_even_with_the_token(owner):
    token = owner.token("/account")
    for site in ("cross-site", "same-site"):
        refused = owner.post("/logout", data={"csrf": token}, headers={"Sec-Fetch-Site": site})
        assert refused.status_code == 403
    assert owner.get("/account").status_code == 200


def test_a_login_form_needs_the_token_of_its_own_browser(door, guest):
    with door.client() as attacker:
        foreign = attacker.token("/login")
    guest.get("/login")
    page = guest.post("/login", data={"csrf": foreign, "name": NAME, "passphrase": PASSPHRASE})
    assert page.status_code == 403
    assert "send it again" in page.text
    assert cookies.SESSION not in guest.cookies


def test_an_unknown_name_gets_the_same_answer_as_a_wrong_passphrase(guest):
    def strip(page):
        return re.sub(r'value="[^"]*"', "", page.text), page.status_code, page.headers["content-length"]

    known, unknown = guest.log_in("Ada", WRONG), guest.log_in("Bob", WRONG)
    assert known.status_code == 401
    assert strip(known)[:2] == strip(unknown)[:2]
    one, other = (guest.post("/api/session", json={"name": name, "passphrase": WRONG}) for name in ("Ada", "Bob"))
    assert (one.status_code, one.json()) == (other.status_code, other.json()) == (401, {"error": one.json()["error"]})


def test_an_unknown_name_takes_the_same_time_as_a_wrong_passphrase(tmp_path):
    from services.identity.accounts.passphrase import Hashes

    hashes = Hashes()
    kept = hashes.make(PASSPHRASE)

    def fastest(against):
        times = []
        for _ in range(4):
            begin = time.perf_counter()
            assert not hashes.fits(against, WRONG)
            times.append(time.perf_counter() - begin)
        return min(times)

    assert 0.5 < fastest(kept) / fastest(None) < 2


def test_after_five_failures_even_the_right_passphrase_has_to_wait(door, guest):
    for _ in range(5):
        assert guest.log_in(passphrase=WRONG).status_code == 401
    locked = guest.log_in()
    assert locked.status_code == 429
    assert 20 <= int(locked.headers["retry-after"]) <= 30
    assert "Too many tries. Try again in" in locked.text
    assert guest.post("/api/session", json={"name": NAME, "passphrase": PASSPHRASE}).status_code == 429
    with door.client() as other:
        for _ in range(5):
            other.log_in("Nobody", WRONG)
        assert other.log_in("Nobody", WRONG).status_code == 429


def test_a_name_with_a_right_passphrase_is_found_whatever_its_case(door, guest):
    assert guest.log_in("  aDA ").status_code == 303


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "/%5Cevil.example",
        "/%2F/evil.example",
        "javascript:alert(1)",
        "account",
        "/\t/evil.example",
        "/" + "a" * 600,
    ],
)
def test_a_login_leads_to_no_other_place_than_this(door, guest, target):
    assert guest.log_in(next=target).headers["location"] == "/"


def test_a_login_leads_back_to_where_it_was_asked_for(guest):
    asked = guest.get("/account?x=1")
    assert asked.headers["location"] == "/login?next=%2Faccount"
    assert 'name="next" value="/account"' in guest.get("/login?next=/account").text
    assert guest.log_in(next="/account").headers["location"] == "/account"


def test_a_foreign_host_name_gets_nothing(door):
    for host in ("evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.nip.io", "a b", ""):
        with door.client() as client:
            answer = client.get("/api/live", headers={"Host": host})
            assert answer.status_code == 400
            assert "content-security-policy" in answer.headers
    for host in ("localhost", f"127.0.0.1:{door.port}", "[::1]:3000", "LOCALHOST"):
        with door.client() as client:
            assert client.get("/login", headers={"Host": host}).status_code == 200


def test_a_name_that_was_allowed_is_answered(tmp_path):
    with door_at(tmp_path, hosts="swarm.lan, 192.168.1.5") as door, door.client() as client:
        for host in ("swarm.lan", "192.168.1.5:3000"):
            assert client.get("/signup", headers={"Host": host}).status_code == 200


def test_where_others_reach_the_page_the_first_sign_up_needs_the_code(tmp_path, caplog):
    caplog.set_level("WARNING")
    with door_at(tmp_path, hosts="swarm.lan") as door, door.client() as client:
        path = tmp_path / "identity" / "claim.code"
        assert str(path) in caplog.text and "IDENTITY_VIEW=login" in caplog.text
        assert path.stat().st_mode & 0o777 == 0o600
        assert client.sign_up(code="0000-0000").status_code == 403
        assert door.accounts.owners.name() is None
        assert client.sign_up(code=path.read_text()).status_code == 303
        assert not path.exists()


def test_a_body_beyond_the_bound_is_refused_before_it_is_read(door):
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as raw:
        head = f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n"
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_without_a_length_is_bounded_too(door):
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as raw:
        head = b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        raw.sendall(head + chunk * (MAX_BODY // 0x2000) + b"1\r\nx\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_that_never_comes_is_not_waited_for(door, monkeypatch):
    monkeypatch.setattr("services.identity.middleware.BODY_S", 0.1)
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as raw:
        raw.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
        assert raw.recv(100).startswith(b"HTTP/1.1 408")


def test_no_path_leads_out_of_the_static_folder(door):
    for path in (
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2fsettings.py",
        "/static/%2fetc/passwd",
        "/static/....//settings.py",
        "/static/vendor/../../app.py",
    ):
        connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=5)
        connection.request("GET", path, headers={"Host": "localhost"})
        answer = connection.getresponse()
        assert answer.status == 404, path
        assert b"import" not in answer.read()


@pytest.mark.parametrize("path", ["/login?again=1", "/account", "/static/base.css", "/nothing", "/api/session"])
def test_every_answer_has_the_security_headers(owner, path):
    headers = owner.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers
    if path in ("/login?again=1", "/account"):
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/login?again=1", "/account", "/nothing"])
def test_the_pages_have_no_inline_script_or_style(owner, path):
    page = owner.get(path, headers={"Accept": "text/html"}).text
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page)
    assert all("src=" in tag.split(">")[0] for tag in page.split("<script")[1:])


def test_what_was_typed_is_shown_as_text(guest):
    page = guest.log_in('"><script>alert(1)</script>', WRONG)
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


def test_a_program_logs_in_with_json_and_gets_its_token(door, guest):
    started = guest.post("/api/session", json={"name": NAME, "passphrase": PASSPHRASE})
    assert started.status_code == 200
    token = started.json()["csrf"]
    assert guest.get("/api/session").json()["name"] == NAME
    assert guest.delete("/api/session", headers={"X-CSRF-Token": token}).status_code == 204
    assert guest.get("/api/session").status_code == 401


def test_a_program_signs_up_where_there_is_no_owner_and_sees_the_account(tmp_path):
    with door_at(tmp_path, hosts="swarm.lan") as door, door.client() as client:
        assert client.get("/api/owner").json() == {"owned": False}
        wanted = {"name": NAME, "passphrase": PASSPHRASE}
        assert client.post("/api/owner", json=wanted).status_code == 403
        code = (tmp_path / "identity" / "claim.code").read_text()
        assert client.post("/api/owner", json={**wanted, "code": code}).json()["name"] == NAME
        assert client.get("/api/owner").json() == {"owned": True}
        told = client.get("/api/account").json()
        assert told == {"address": door.accounts.vault.address, "key": "ready", "org_id": door.accounts.org_id}
        assert client.post("/api/owner", json={**wanted, "code": code}).status_code in (403, 409)
        with door.client() as other:
            assert other.get("/api/account").status_code == 401


def test_another_sites_form_cannot_log_a_browser_in(guest):
    body = json.dumps({"name": NAME, "passphrase": PASSPHRASE})
    plain = guest.post("/api/session", content=body, headers={"Content-Type": "text/plain"})
    assert plain.status_code == 422
    crossed = guest.post(
        "/api/session", content=body, headers={"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}
    )
    assert crossed.status_code == 403


def test_a_missing_page_is_a_page_for_people_and_json_for_programs(guest):
    assert "There is nothing here" in guest.get("/nothing", headers={"Accept": "text/html"}).text
    assert guest.get("/nothing").json() == {"detail": "Not Found"}


def test_with_the_view_for_the_owner_only_the_page_leads_to_the_login(tmp_path):
    with door_at(tmp_path, view="login") as door, door.client() as client:
        assert client.get("/").headers["location"] == "/login?next=%2F"
        assert client.get("/api/live").status_code == 401
        client.sign_up()
        assert client.get("/").status_code == 200


def test_who_came_and_who_was_refused_is_in_the_log_and_no_passphrase(tmp_path, caplog):
    caplog.set_level("INFO")
    with door_at(tmp_path) as door, door.client() as client, door.client() as other:
        client.sign_up()
        for _ in range(6):
            other.log_in(passphrase=WRONG)
    for said in ("has an owner now", "by sign-up, from 127.0.0.1", "a wrong name or passphrase", "too many tries"):
        assert said in caplog.text
    assert PASSPHRASE not in caplog.text and WRONG not in caplog.text


def test_a_bug_shows_nothing_of_itself(tmp_path, monkeypatch):
    with door_at(tmp_path) as door, door.client() as client:
        monkeypatch.setattr(door.accounts.owners, "name", lambda: 1 / 0)
        broken = client.get("/login")
    assert (broken.status_code, "ZeroDivision" in broken.text) == (500, False)
    assert "content-security-policy" in broken.headers
