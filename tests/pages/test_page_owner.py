"""What the owner does on the page, and how rewards are explained, in a real browser on the real service."""

import json
import re
import subprocess
import sys

import httpx
from playwright.sync_api import expect

from shared.asks import Piece
from shared.names import name_of
from shared.streams import ANSWERS, ASKS
from tests.browser_kit import check, sign_up
from tests.conftest import free_port
from tests.page_kit import Household, identity
from tests.page_messages import PASSPHRASE, PEERS

HOSTILE = "<script>document.title='owned'</script>"


def test_a_reward_is_explained_from_the_leaderboard_on(open_page, household):
    household(Household.history, 12)
    page = open_page("phone", "dark")
    page.locator("#leaders-rows tr.own a").first.click()
    expect(page.locator("h1")).to_have_text("Round 12, explained")
    expect(page.locator(".formula")).to_contain_text("mean of 32 rewards")
    check(page)
    page.get_by_role("link", name="All peers of this round").click()
    expect(page.locator(".formula")).to_have_count(3)
    check(page)
    page.get_by_label("Round", exact=True).fill("7")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Round 7, explained")
    told = explained(page.url, "7", name_of(PEERS[1]))
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"{name_of(PEERS[1])}  {PEERS[1]}\n")
    assert re.search(r"mean of 32 completions \d\.\d{4} x 1000 = -?\d+ points", told.stdout)
    assert re.search(r"chain   -?\d+ points, transaction 0x[0-9a-f]{64}, block \d+", told.stdout)
    assert sum(one["own"] for one in json.loads(explained(page.url, "7", "--json").stdout)["peers"]) == 3
    nothing = explained(page.url, "9000")
    assert (nothing.returncode, "Rounds near it: 12" in nothing.stdout) == (1, True)


def explained(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "services.cli",
        "explain-reward",
        *arguments,
        "--url",
        url.partition("/explain")[0],
    ]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_the_founder_pauses_paces_and_invites_with_and_without_javascript(open_page, browser, site, household):
    household(Household.history, 5)
    household(Household.chain, 5, leads=True, owns=True, min_s=5.0, max_s=60.0, quorum=0.75)
    page = open_page(path="/swarm", owner=True)
    check(page)
    expect(page.locator("#invitation")).to_contain_text("rlswarm1.")
    assert page.locator(".qr").evaluate("image => image.complete && image.naturalWidth > 50")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copied")).not_to_be_empty()
    page.get_by_label("Shortest round").fill("9")
    page.get_by_role("button", name="Save the pace").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved")
    expect(page.get_by_label("Shortest round")).to_have_value("9")
    plain = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    without = plain.new_page()
    without.goto(f"{site}/swarm")
    without.get_by_role("button", name="Pause the rounds").click()
    expect(without.get_by_role("button", name="Go on with rounds")).to_be_visible()
    plain.close()


async def answer(self, queue, store):
    """What a trainer does with the question that waits."""
    (delivery,) = await queue.receive(ASKS, "trainer-0")
    for place, text in enumerate(("It is ", f"21 {HOSTILE}", "")):
        piece = Piece(ask=delivery.message.id, place=place, peer_id=PEERS[0], round=5, text=text, done=place == 2)
        await queue.publish(ANSWERS, piece)
    await queue.ack(ASKS, delivery)


def test_the_owner_asks_the_model_by_keyboard_and_sees_the_answer_come(open_page, household):
    household(Household.history, 5)
    page = open_page(owner=True)
    expect(page.locator("#door")).to_be_hidden()
    page.get_by_label("A question to the model").fill("What is 3 * 7?")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#ask-who")).to_contain_text("Waiting for the model")
    expect(page.locator("#ask-send")).to_be_disabled()
    household(answer)
    expect(page.locator("#ask-text")).to_have_text(f"It is 21 {HOSTILE}")
    expect(page.locator("#ask-who")).to_have_text(f"{name_of(PEERS[0])} answers, after round 5")
    expect(page.locator("#ask-send")).to_be_enabled()
    assert page.locator("#ask-text *").count() == 0
    check(page)


def test_a_locked_key_is_said_with_what_waits_for_it(browser, redis_url, household, tmp_path):
    household(Household.chain, 5, waiting=12)
    port = free_port()
    with identity(redis_url, port, tmp_path, IDENTITY_PASSPHRASE_FILE="") as site:
        page = browser.new_page()
        sign_up(page, site, PASSPHRASE)
        expect(page.locator("#door")).to_be_hidden()
        page.context.close()
    with identity(redis_url, port, tmp_path, IDENTITY_PASSPHRASE_FILE="") as site:
        page = browser.new_page()
        page.goto(site)
        expect(page.locator("#door")).to_contain_text("12 of at most 100,000 submissions wait for it")
        expect(page.locator("#door a")).to_have_attribute("href", "/account")
        check(page)
        page.context.close()


def test_who_may_not_look_is_sent_to_the_login_also_while_looking(browser, redis_url, tmp_path, household):
    household(Household.history, 5)
    with identity(redis_url, free_port(), tmp_path, IDENTITY_VIEW="login") as site:
        page = browser.new_page()
        page.goto(site)
        assert "/login" in page.url or "/signup" in page.url
        assert httpx.get(f"{site}/api/live").status_code == 401
        sign_up(page, site, PASSPHRASE)
        expect(page.locator("#link")).to_have_text("Live")
        page.context.close()
