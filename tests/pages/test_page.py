"""The live page in a real browser, on the real service, fed through a real Redis.

SCREENSHOTS=/some/folder keeps the README's pictures.
"""

import time

import httpx
from playwright.sync_api import expect

from shared.household import Activity, put_activity
from shared.messages import Attempt, Reward
from shared.names import name_of
from shared.streams import EVENTS, HISTORY
from tests.browser_kit import check, drawn, picture, sign_up
from tests.conftest import free_port
from tests.page_kit import Household, identity
from tests.page_messages import OTHERS, PASSPHRASE, PEERS, recorded, sampled, state

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
BACKWARDS = "safe \u202e}{ gnikcatta \u2066"
FIRST_VIEW = 300_000  # bytes
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
INSIDE = "(one, of) => one.getBoundingClientRect().right <= one.closest(of).getBoundingClientRect().right"
WEIGHED = "performance.getEntries().reduce((sum, entry) => sum + (entry.decodedBodySize ?? 0), 0)"


def test_the_page_shows_the_swarm_and_everybody_can_read_it(open_page, household, site):
    household(Household.history, 140)
    page = open_page()
    for place, peer in enumerate(PEERS):
        card = page.locator("#nodes .node").nth(place)
        expect(card).to_contain_text(name_of(peer))
        expect(card.locator("[aria-current]")).to_have_text(("sampling", "exchanging", "learning")[place])
    expect(page.locator("#nodes [data-status=degraded]")).to_contain_text("judge: no answer within 5 s")
    expect(page.locator("#nodes .node").nth(1)).to_contain_text("Qwen/Qwen3-0.6B")
    expect(page.locator("#round-number")).to_have_text("141")
    expect(page.locator("#services li[data-status=degraded]").first).to_contain_text("chain: connection refused")
    expect(page.locator("#heard-rows tr").first).to_contain_text("quarantined")
    expect(page.locator("#leaders-rows tr.own")).to_have_count(3)
    expect(page.locator("#exams-rows tr").first).to_contain_text("82 %")
    expect(page.locator("#market-choices li")).to_have_count(4)
    expect(page.locator("#market-choices .out")).to_contain_text("9")
    expect(page.locator("#market-games > li").first).to_contain_text("bet 60, paid 78")
    expect(page.locator("#market-plot circle").first).to_be_visible()
    expect(page.locator("#transactions li")).to_have_count(8)
    expect(page.locator("#rejected")).to_contain_text("bad signature")
    expect(page.locator("#samples mark").first).to_be_visible()
    expect(page.locator("#door")).to_contain_text("no owner yet")
    assert drawn(page, "curves") > 5
    assert drawn(page, "pace") > 3
    check(page)
    sign_up(page, site, PASSPHRASE)
    expect(page.locator("#link")).to_have_text("Live")
    assert drawn(page, "pace") > 3
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    picture(page, "dashboard")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    assert drawn(page, "curves") > 5
    check(page)
    picture(page, "dashboard-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 844})
    check(page)
    assert page.locator("#heard-rows .badge").evaluate(INSIDE, "table"), "the state of a peer heard leaves its card"
    picture(page, "dashboard-phone")
    page.set_viewport_size({"width": 1920, "height": 1080})
    check(page)
    page.goto(f"{site}/swarm")
    expect(page.locator("main")).to_contain_text("Ask the swarm's founder for an invite.")


def test_an_empty_swarm_is_told_what_to_expect(open_page):
    page = open_page("phone", "dark")
    for name in ("curves", "nodes", "samples", "pace", "chain", "network", "leaders", "heard", "exams"):
        expect(page.locator(f"#{name}-empty")).to_be_visible()
    expect(page.locator("#round-time")).to_have_text("Waiting for the first round…")
    check(page)


def test_the_first_view_is_small_and_quick(open_page, household):
    household(Household.history, 140)
    page = open_page()
    assert drawn(page, "curves") > 5
    streamed = len(httpx.get(f"{page.url}api/live").content)
    weight, painted = page.evaluate(WEIGHED) + streamed, page.evaluate(PAINTED)
    print(f"first view: {weight} bytes, first paint after {painted:.0f} ms")
    assert weight < FIRST_VIEW
    assert painted < 4_000, "about 0.2 s where nothing else runs"


def test_the_page_follows_without_a_reload(open_page, household):
    household(Household.history, 5)
    page = open_page()
    expect(page.locator("#round-number")).to_have_text("6")
    page.evaluate("window.still = true")
    household(Household.trained, 6)
    household(Household.round, 7)
    household(lambda self, queue, store: put_activity(store, PEERS[0], Activity(phase="saving", round=6, since=1.0)))
    expect(page.locator("#round-number")).to_have_text("7")
    expect(page.locator("#announce")).to_have_text("Round 7 is open.")
    expect(page.locator("#nodes .node").first.locator("[aria-current]")).to_have_text("saving")
    page.locator("#curves").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#curves .tip")).to_contain_text("Round 6")
    expect(page.locator("#curves .tip")).to_contain_text("whole swarm")
    household(Household.chain, 6, leads=True, paused=True)
    expect(page.locator("#round-time")).to_contain_text("Paused by the founder")
    assert page.evaluate("window.still")


async def everything_hostile(self, queue, store):
    """Texts of strangers, wherever a stranger's text can come from."""
    attempts = [
        Attempt(text=f"{HOSTILE} <answer>{HOSTILE}</answer>", reward=0.0),
        Attempt(text="x" * 20_000, reward=0.0),
    ]
    attempts.append(Attempt(text=BACKWARDS + "\u0301" * 500, reward=0.0))
    group = sampled(PEERS[0], OTHERS[0], 6, f"<b>{HOSTILE}", f"What is this? {HOSTILE}", HOSTILE, attempts)
    await queue.publish(EVENTS, group)
    claim = Reward(peer_id=OTHERS[1], round=6, stage=0, points=2**63 - 1)
    await queue.publish(HISTORY, recorded(claim, 6))
    trainer = state("trainer", "trainer-0", {HOSTILE: BACKWARDS}, peer=PEERS[0], model=HOSTILE, device=BACKWARDS)
    await self.report(store, trainer)
    await self.rumour(store, OTHERS[2], f"{HOSTILE}{BACKWARDS}")


def test_hostile_text_is_shown_as_text(open_page, household):
    household(Household.history, 5)
    household(everything_hostile)
    page = open_page("phone")
    expect(page.locator("#samples .said").first).to_contain_text(HOSTILE)
    expect(page.locator("#samples mark").first).to_have_text(HOSTILE)
    expect(page.locator("#nodes .reason").first).to_contain_text("<img src=x")
    expect(page.locator("#heard-rows")).to_contain_text("<img src=x")
    expect(page.locator("#leaders-rows tr").first).to_contain_text("T")
    assert page.locator("main img, main script, main b b, #samples b").count() == 0
    assert "\u202e" not in page.content()
    assert "owned" not in page.title()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    page.goto(page.url + "explain/6")
    assert page.locator("main img, main script").count() == 0
    assert "owned" not in page.title()


def test_curves_and_bars_switch_and_rollouts_pause(open_page, household):
    household(Household.history, 12)
    page = open_page()
    page.get_by_role("button", name="Length").press("Enter")
    expect(page.locator("#h-curves")).to_have_text("Tokens per completion by round")
    page.get_by_role("button", name="Loss").click()
    expect(page.locator("#h-curves")).to_have_text("Loss by round")
    assert drawn(page, "curves") > 3
    page.get_by_role("button", name="Groups").click()
    expect(page.locator("#pace-legend")).to_contain_text("from others")
    expect(page.locator("#leaders-rows tr")).to_have_count(10)
    page.locator("#leaders-more").click()
    expect(page.locator("#leaders-rows tr")).to_have_count(17)
    page.get_by_role("button", name="Pause").click()
    before = page.locator("#samples").inner_text()
    household(everything_hostile)
    household(Household.round, 14)
    expect(page.locator("#round-number")).to_have_text("14")
    assert "onerror" not in page.locator("#samples").inner_text(), before
    page.get_by_role("button", name="Paused").click()
    expect(page.locator("#samples")).to_contain_text("onerror")


def test_a_lost_connection_is_said_and_healed(browser, redis_url, household, tmp_path):
    household(Household.history, 5)
    port, page = free_port(), browser.new_page()
    with identity(redis_url, port, tmp_path) as site:
        page.goto(site)
        expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator("#lost")).to_contain_text("lost; trying again")
    with identity(redis_url, port, tmp_path):
        expect(page.locator("#link")).to_have_text("Live", timeout=15_000)
        expect(page.locator("#lost")).to_be_hidden()
        page.close()


def test_two_hundred_browsers_follow_at_once(site, household):
    household(Household.history, 5)
    with httpx.Client(limits=httpx.Limits(max_connections=300)) as client:
        streams = [client.send(client.build_request("GET", f"{site}/api/live/events"), stream=True) for _ in range(200)]
        assert {stream.status_code for stream in streams} == {200}
        household(Household.round, 77)
        until = time.monotonic() + 20
        for stream in streams:
            seen = ""
            for text in stream.iter_text():
                seen += text
                if '"number":77' in seen:
                    break
                assert time.monotonic() < until
            stream.close()


def test_every_answer_carries_the_security_headers(site):
    for path in ("/", "/api/live", "/static/app.js", "/favicon.ico", "/nothing", "/explain/1"):
        headers = httpx.get(site + path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
