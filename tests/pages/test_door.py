"""Login and account in a real browser. SCREENSHOTS=/some/folder keeps pictures."""

import json
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from eth_account import Account
from eth_account.messages import encode_defunct
from playwright.sync_api import expect
from sqlalchemy import insert

from services.identity.accounts.tables import SIGNATURES
from tests.accounts_kit import NAME, PASSPHRASE, WRONG, door_at
from tests.browser_kit import chromium

SIZES = {"phone": (390, 844), "wide": (1280, 900)}
NEW = "nine dry camels again"
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
PROVIDER = """window.ethereum = { request: ({ method, params }) =>
    method === "eth_requestAccounts" ? window.walletAccounts() : window.walletSigns(params[0]) };"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def door(tmp_path):
    """A household whose key the passphrase file opens, as it is wherever nobody chose otherwise."""
    file = tmp_path / "passphrase"
    file.write_text("what the stack made up for itself")
    with door_at(tmp_path, passphrase_file=file) as found:
        yield found


@pytest.fixture
def owned(door):
    """A household that has its owner."""
    door.accounts.owners.sign_up(NAME, PASSPHRASE)
    return door


@pytest.fixture
def visit(browser, door):
    """Opens a page in a browser of its own; at the end nothing may have been logged and no other host asked."""
    contexts, faults = [], []

    def open_one(path="/login", size="wide", scheme="light", script=True, refusals=()):
        width, height = SIZES[size]
        viewport = {"width": width, "height": height}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, java_script_enabled=script)
        contexts.append(context)
        page = context.new_page()
        expected = tuple(f"the server responded with a status of {status} " for status in refusals)

        def told(message):
            if message.type in ("error", "warning") and not any(text in message.text for text in expected):
                faults.append(message.text)

        page.on("console", told)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(door.url) else faults.append(asked.url))
        page.goto(door.url + path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert faults == []


def sign_up(page, name=NAME, passphrase=PASSPHRASE):
    page.get_by_label("Name or e-mail address").fill(name)
    page.get_by_label("Passphrase", exact=True).fill(passphrase)
    page.get_by_label("The same again").fill(passphrase)
    page.get_by_role("button", name="Sign up", exact=True).click()


def log_in(page, passphrase=PASSPHRASE, name=NAME):
    page.get_by_label("Name or e-mail address").fill(name)
    page.get_by_label("Passphrase").fill(passphrase)
    page.get_by_role("button", name="Log in", exact=True).click()


def log_out(page, door):
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page).to_have_url(f"{door.url}/")


def account(visit, **options):
    """The account page of somebody who just logged in."""
    page = visit("/account", **options)
    log_in(page)
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    return page


def keep(page, name):
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def serious(page):
    """What somebody with a screen reader or poor sight would stumble over."""
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_the_first_visitor_signs_up_logs_out_and_in_again(door, visit):
    page = visit("/login?next=/account", refusals=(400,))
    expect(page.get_by_role("heading", name="Make this swarm yours")).to_be_visible()
    keep(page, "signup")
    sign_up(page, passphrase="passwordpassword")
    trouble = page.get_by_role("alert")
    expect(trouble).to_contain_text("one of the first")
    field = page.get_by_label("Passphrase", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    assert trouble.get_attribute("id") in field.get_attribute("aria-describedby")
    sign_up(page)
    expect(page).to_have_url(f"{door.url}/account")
    expect(page.locator("body")).to_contain_text(door.accounts.vault.address)
    log_out(page, door)
    page.goto(f"{door.url}/account")
    expect(page).to_have_url(f"{door.url}/login?next=%2Faccount")
    log_in(page)
    expect(page).to_have_url(f"{door.url}/account")


def test_a_wrong_passphrase_is_said_and_too_many_lock_the_door(owned, visit):
    page = visit(refusals=(401, 429))
    for _ in range(5):
        with page.expect_navigation():
            log_in(page, WRONG)
        expect(page.get_by_role("alert")).to_have_text("Name or passphrase is wrong.")
        expect(page.get_by_label("Name or e-mail address")).to_have_value(NAME)
        expect(page.get_by_label("Passphrase")).to_have_value("")
    with page.expect_navigation():
        log_in(page)
    expect(page.get_by_role("alert")).to_contain_text("Too many tries. Try again in")
    keep(page, "login-locked")


def test_everything_works_without_javascript(owned, visit, tmp_path):
    page = account(visit, script=False)
    page.get_by_text("Change the passphrase").click()
    page.get_by_label("Present passphrase").fill(PASSPHRASE)
    form = page.get_by_role("form", name="Change the passphrase")
    form.get_by_label("New passphrase").fill(NEW)
    form.get_by_label("The same again").fill(NEW)
    form.get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("The passphrase is changed")
    expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    log_out(page, owned)
    page.goto(f"{owned.url}/login")
    expect(page.locator("#other-ways")).to_be_hidden()
    log_in(page, NEW)
    expect(page.get_by_role("link", name=NAME)).to_be_visible()


def with_passkeys(page):
    """A device that makes passkeys and shows them when asked."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": device})


def with_wallet(page, wallet):
    """A wallet in the browser; another may take its place in what is returned."""
    present = {"wallet": wallet}

    def signs(text):
        message = encode_defunct(hexstr=text)
        return "0x" + bytes(present["wallet"].sign_message(message).signature).hex()

    page.expose_function("walletAccounts", lambda: [present["wallet"].address])
    page.expose_function("walletSigns", signs)
    page.add_init_script(PROVIDER)
    page.reload()
    return present


def unfold(page):
    for summary in page.locator("summary").all():
        summary.click()


def test_a_passkey_alone_signs_up_logs_in_and_a_passphrase_is_set_later(door, visit):
    page = visit("/login?next=/account", size="phone", scheme="dark", refusals=(400, 409))
    with_passkeys(page)
    by_passkey = page.get_by_role("button", name="Sign up with a passkey")
    by_passkey.click()
    expect(page.locator("#other-trouble")).to_have_text("A name has 1 to 100 characters.")
    assert (fits(page), serious(page)) == (True, [])
    keep(page, "signup-passkey")
    page.get_by_label("Name or e-mail address").fill(NAME)
    by_passkey.click()
    expect(page).to_have_url(f"{door.url}/account")
    unfold(page)
    assert (fits(page), serious(page)) == (True, [])
    keep(page, "account-passwordless")
    page.get_by_role("button", name="Remove the passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("the only way to log in")
    log_out(page, door)
    page.goto(f"{door.url}/login?next=/account")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page).to_have_url(f"{door.url}/account")
    page.get_by_text("Set a passphrase").click()
    form = page.get_by_role("form", name="Set a passphrase")
    form.get_by_label("New passphrase").fill(NEW)
    form.get_by_label("The same again").fill(NEW)
    form.get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("The passphrase is set")
    log_out(page, door)
    page.goto(f"{door.url}/login?next=/account")
    log_in(page, NEW)
    expect(page).to_have_url(f"{door.url}/account")


def test_a_wallet_alone_signs_up_and_logs_in_and_takes_the_key_along(door, visit):
    page = visit("/signup?next=/account")
    wallet = Account.create()
    with_wallet(page, wallet)
    expect(page.get_by_role("button", name="Sign up with an Ethereum wallet")).to_be_visible()
    assert (fits(page), serious(page)) == (True, [])
    keep(page, "signup-wallet")
    page.get_by_role("button", name="Sign up with an Ethereum wallet").click()
    expect(page).to_have_url(f"{door.url}/account")
    expect(page.get_by_role("link", name=f"{wallet.address[:6]}...{wallet.address[-4:]}")).to_be_visible()
    log_out(page, door)
    page.goto(f"{door.url}/login?next=/account")
    page.get_by_role("button", name="Log in with an Ethereum wallet").click()
    expect(page).to_have_url(f"{door.url}/account")
    unfold(page)
    assert (fits(page), serious(page)) == (True, [])
    export = page.get_by_role("form", name="Export the key")
    export.get_by_label("Passphrase for the file").fill(NEW)
    export.get_by_label("The same again").fill(NEW)
    with page.expect_download() as download:
        export.get_by_role("button").click()
    given = json.loads(Path(download.value.path()).read_text())
    assert Account.from_key(Account.decrypt(given, NEW)).address == door.accounts.vault.address


def test_a_passkey_is_added_logs_in_and_is_removed(owned, visit):
    page = account(visit)
    with_passkeys(page)
    page.get_by_label("Name of the new passkey").fill(HOSTILE)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("status")).to_contain_text("Done")
    expect(page.get_by_text(HOSTILE, exact=True)).to_be_visible()
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#more-trouble")).to_contain_text("has a passkey for this page already")
    log_out(page, owned)
    page.goto(f"{owned.url}/login?next=/account")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page).to_have_url(f"{owned.url}/account")
    page.get_by_role("button", name="Remove the passkey").click()
    expect(page.get_by_role("status")).to_contain_text("Done")
    assert owned.accounts.passkeys.all() == []
    assert page.title() != "owned"


def test_a_wallet_is_added_and_logs_in_and_a_strangers_does_not(owned, visit):
    wallets = [Account.create(), Account.create()]
    page = account(visit, refusals=(401,))
    present = with_wallet(page, wallets[0])
    page.get_by_role("button", name="Add a wallet").click()
    expect(page.get_by_role("status")).to_contain_text("Done")
    expect(page.get_by_text(wallets[0].address)).to_be_visible()
    log_out(page, owned)
    page.goto(f"{owned.url}/login?next=/account")
    present["wallet"] = wallets[1]
    page.get_by_role("button", name="Log in with an Ethereum wallet").click()
    expect(page.locator("#other-trouble")).to_have_text("This wallet was not accepted.")
    present["wallet"] = wallets[0]
    page.get_by_role("button", name="Log in with an Ethereum wallet").click()
    expect(page).to_have_url(f"{owned.url}/account")


def test_the_key_is_exported_and_another_one_imported(owned, visit, tmp_path):
    page = account(visit, refusals=(400,))
    former = owned.accounts.vault.address
    page.get_by_text("Export: take the key").click()
    export = page.get_by_role("form", name="Export the key")
    export.get_by_label("Your passphrase").fill(PASSPHRASE)
    with page.expect_download() as download:
        export.get_by_role("button").click()
    assert download.value.suggested_filename == f"rlswarm-{former}.json"
    given = json.loads(Path(download.value.path()).read_text())
    assert Account.from_key(Account.decrypt(given, PASSPHRASE)).address == former

    other = Account.create()
    file = tmp_path / "other.json"
    file.write_text(json.dumps(Account.encrypt(other.key, "the file's own", iterations=16)))
    for passphrase, said in (("wrong", "does not open"), ("the file's own", "is this household's now")):
        if page.get_by_role("form", name="Import a key").is_hidden():
            page.get_by_text("Import: use another key").click()
        form = page.get_by_role("form", name="Import a key")
        form.get_by_label("Key file").set_input_files(file)
        form.get_by_label("Passphrase of the file").fill(passphrase)
        form.get_by_label("Your passphrase").fill(PASSPHRASE)
        form.get_by_label("Replace the present key").check()
        form.get_by_role("button", name="Import", exact=True).click()
        expect(page.locator("main")).to_contain_text(said)
    expect(page.locator("main")).to_contain_text(other.address)


def test_another_browser_is_logged_out_from_here(owned, visit):
    there, here = account(visit), account(visit)
    here.get_by_role("button", name="Log out there").click()
    expect(here.get_by_role("status")).to_have_text("Logged out there.")
    there.reload()
    expect(there).to_have_url(f"{owned.url}/login?next=%2Faccount")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "wide"])
def test_the_pages_are_good_to_read_on_every_screen(door, visit, size, scheme):
    page = visit("/signup", size=size, scheme=scheme, refusals=(401, 404))
    assert (fits(page), serious(page)) == (True, [])
    owner = door.accounts.owners
    owner.sign_up(NAME, PASSPHRASE)
    row = {"at": 1.7e9, "chain_id": 685685, "to": None, "data_hash": "0x0", "transaction": "0x" + "ab" * 32}
    with door.accounts.database.begin() as connection:
        for nonce in range(4):
            told = {"nonce": nonce, "function": "submitReward(uint256,uint256,int256,string)", "note": ""}
            connection.execute(insert(SIGNATURES).values(**row, **told))
    page.goto(f"{door.url}/login?next=/account")
    keep(page, f"login-{size}-{scheme}")
    log_in(page, WRONG)
    expect(page.get_by_role("alert")).to_be_visible()
    assert (fits(page), serious(page)) == (True, [])
    log_in(page)
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    keep(page, f"account-{size}-{scheme}")
    unfold(page)
    assert (fits(page), serious(page)) == (True, [])
    keep(page, f"account-open-{size}-{scheme}")
    page.goto(f"{door.url}/nothing-here")
    assert (fits(page), serious(page)) == (True, [])


def test_the_keyboard_alone_is_enough_to_log_in(owned, visit):
    page = visit("/login?next=/account")
    page.get_by_label("Name or e-mail address").focus()
    page.keyboard.type(NAME)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSPHRASE)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{owned.url}/account")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_password_managers_know_what_the_fields_are(owned, visit):
    page = visit()
    fields = page.eval_on_selector_all("input:not([type=hidden])", "all => all.map(one => one.autocomplete)")
    assert fields == ["username webauthn", "current-password"]
