"""The owner of a swarm that really runs: signs up, watches, asks, pauses; and its secrets stay where they belong."""

import os
import re
import sqlite3

import pytest
from playwright.sync_api import expect
from web3 import HTTPProvider, Web3

from services.identity.accounts.keystore import decrypt
from shared.invite import parse
from tests.browser_kit import chromium, drawn, picture, sign_up
from tests.e2e.found_kit import check_rewards, trained_together
from tests.e2e.swarm_kit import Swarm

pytestmark = pytest.mark.timeout(300)
PASSPHRASE = "seven quiet horses on the moor"


@pytest.fixture(scope="module")
def swarm(tmp_path_factory):
    """Two peers that train without an end, and without haste: other tests want the processor, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUND_MIN_S", "2.5")
        swarm = Swarm(tmp_path_factory.mktemp("runs"), "owned", rounds=100_000, peers=2)
        swarm.wait("a few rounds", lambda: swarm.round() >= 3, 90)
        yield swarm
        swarm.stop()


@pytest.fixture(scope="module")
def page(swarm):
    """The owner's browser on the live page."""
    site = f"http://localhost:{swarm.folder.read_plan().ports['identity']}"
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900}, base_url=site)
        sign_up(page, site, PASSPHRASE)
        yield page


def test_the_dashboard_moves_while_the_swarm_trains(swarm, page):
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator("#nodes > *")).to_have_count(2)
    before = shown_round(page)
    swarm.wait("rounds", lambda: swarm.round() >= before + 3, 30)
    page.wait_for_function("before => Number(document.querySelector('#round-number').textContent) > before", arg=before)
    assert drawn(page, "curves") > 3
    expect(page.locator("#leaders-rows tr.own")).to_have_count(2)


def shown_round(page):
    text = page.locator("#round-number").text_content()
    return int(text) if text.isdigit() else -1


def test_the_model_answers_its_owner(page):
    page.get_by_label("A question to the model").fill("What is 3 * 7?")
    page.locator("#ask-send").click()
    expect(page.locator("#ask-who")).to_contain_text("answers", timeout=30_000)
    expect(page.locator("#ask-send")).to_be_enabled(timeout=30_000)
    assert page.locator("#ask-text").text_content()


def test_the_founder_pauses_and_resumes_the_rounds(swarm, page):
    page.goto("/swarm")
    page.get_by_role("button", name="Pause the rounds").click()
    expect(page.get_by_role("status").first).to_be_visible()
    swarm.wait("the pause", lambda: "pause" in swarm.log("coordinator"), 15)
    page.wait_for_timeout(3_000)  # what was under way comes to its end
    still = swarm.round()
    page.wait_for_timeout(4_000)
    assert swarm.round() == still
    expect(page.locator("#invitation")).to_contain_text(re.compile(r"rlswarm1\.[\w-]+\.[\w-]+\.[0-9a-f]{8}"))
    page.goto("/swarm")
    page.get_by_role("button", name="Go on with rounds").click()
    swarm.wait("the rounds", lambda: swarm.round() >= still + 2, 30)
    page.goto("/")


def test_a_guest_takes_part_by_the_line_on_the_page(swarm, page):
    page.goto("/swarm")
    text = page.locator("#invitation").text_content()
    page.goto("/")
    guest = Swarm(swarm.folder.root.parent, "guest", peers=1, command=("join", text))
    try:
        guest.wait("rounds together", lambda: trained_together(swarm, guest), 90)
        guest.wait("groups of others", lambda: re.search(r"own and [1-9]\d* of", guest.log("trainer-0")), 30)
    finally:
        guest.stop()
    plan = guest.folder.read_plan()
    assert (plan.invite, plan.own_chain) == (text, False)
    check_rewards(Web3(HTTPProvider(plan.chain_url)), parse(text, None).invite.contract, guest)


def test_what_a_reward_is_made_of_is_told(page):
    page.goto("/explain/2")
    expect(page.locator("h1")).to_have_text("Round 2, explained")
    expect(page.locator(".formula").first).to_contain_text("mean of 64 rewards")
    page.goto("/")


def test_neither_key_nor_passphrase_stands_in_any_file_of_the_run(swarm, page):
    enough = 60 if os.environ.get("SCREENSHOTS") else 12  # a picture for the README shows how they learn
    swarm.wait("signed rewards", lambda: swarm.round() >= enough, 150)
    picture(page, "page")
    secret = swarm.folder.passphrase.read_text().strip()
    database = sqlite3.connect(swarm.folder.state / "identity" / "identity.db")
    texts = dict(database.execute("SELECT unlocker, json FROM keystores WHERE retired IS NULL").fetchall())
    database.close()
    key = bytes(decrypt(texts["file"], secret).key)
    assert bytes(decrypt(texts["passphrase"], PASSPHRASE).key) == key
    token = swarm.folder.signing_token.read_text().strip()
    forbidden = [key, key.hex().encode(), secret.encode(), token.encode(), PASSPHRASE.encode()]
    files = [path for path in swarm.folder.root.rglob("*") if path.is_file() and path.parent.name != "keys"]
    assert len([path for path in files if path.suffix in (".log", ".aof", ".db", ".json")]) > 8
    assert [str(path) for path in files for text in forbidden if text in path.read_bytes()] == []
