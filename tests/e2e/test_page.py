"""The live page in a real browser, on the real service, fed through a real Redis.

PAGE_SHOTS=/some/folder keeps screenshots.
"""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from shared.household import ServiceState, SwarmState, put_hosted_peers, put_service_state, put_swarm_state
from shared.messages import Exchanged, Judged, Registration, Reward, Round, Sampled, Settled, Trained, Winners
from shared.names import name_of
from shared.queue.redis import RedisQueue, RedisStore, connect
from shared.streams import EVENTS, LEDGER, ROUNDS
from tests.browser_kit import chromium, drawn
from tests.conftest import free_port

PEERS = [f"Qm{sha256(str(n).encode()).hexdigest().replace('0', 'x')[:44]}" for n in range(4)]
OTHERS = [f"Qm{sha256(f'other{n}'.encode()).hexdigest().replace('0', 'y')[:44]}" for n in range(9)]
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
SIZES = {"phone": (390, 844), "wide": (1440, 900), "huge": (1920, 1080)}
TASKS = [
    ("basic_arithmetic", "Calculate 3 * 7.", "21", "Three sevens are 21, so the result is <answer>21</answer>"),
    ("lcm", "Find the Least Common Multiple (LCM) of these numbers: 6, 10", "30", "<answer>60</answer>"),
    (
        "fraction_simplification",
        "Simplify the fraction 12/18 to its lowest terms. Give only the simplified fraction as your final answer.",
        "2/3",
        "Both can be divided by 6.\n12 / 6 = 2\n18 / 6 = 3\n<answer>2/3</answer>",
    ),
    (
        "number_filtering",
        "Keep all numbers smaller than 52 in this list: ['59', '37', '62']\nReturn the new list in the same format.",
        "['37']",
        "52 is larger than 37 only.\n<answer>['37']</answer>",
    ),
    (
        "decimal_chain_sum",
        "State the final answer to the following: 4.8 + 1.7 =",
        "6.5",
        "4.8 + 1.7 = <answer>6.4</answer>",
    ),
]


class Household:
    """What the other services would write, from this one place."""

    def __init__(self, url):
        self.url, self.random = url, random.Random(7)

    def __call__(self, act, *arguments):
        async def once():
            client = connect(self.url)
            try:
                await act(self, RedisQueue(client), RedisStore(client), *arguments)
            finally:
                await client.aclose()

        with ThreadPoolExecutor(1) as other:  # playwright's own loop runs in this thread
            other.submit(asyncio.run, once()).result()

    async def services(self, queue, store):
        for service in ("coordinator", "identity", "judge", "p2p"):
            lost = {"chain": "connection refused"} if service == "coordinator" else {}
            await put_service_state(store, state(service, "one", lost))
        for n in range(len(PEERS)):
            await put_service_state(store, state("trainer", f"gpu{n}", {}))
        await put_hosted_peers(store, PEERS)

    async def round(self, queue, store, number, seconds=60.0):
        now = time.time()
        await queue.publish(ROUNDS, Round(number=number, stage=0, opened_at=now - 18, deadline=now - 18 + seconds))

    async def trained(self, queue, store, number):
        for place, peer in enumerate(PEERS):
            skill = 0.16 + 0.62 * (1 - 0.975 ** (number + 4 * place)) + self.random.gauss(0, 0.045)
            seconds = {"generate": 0.21, "exchange": 0.9, "update": 0.33, "checkpoint": 0.04}
            event = Trained(
                at=time.time() - 4,
                peer_id=peer,
                round=number,
                stage=0,
                mean_reward=min(1.0, max(0.0, skill)),
                loss=0.02,
                gradient_norm=0.7,
                local_groups=4,
                external_groups=min(4, number // 3) if place else 3,
                completion_tokens=1_180 + self.random.randrange(300),
                seconds={phase: value * self.random.uniform(0.6, 1.5) for phase, value in seconds.items()},
                seen_peers=min(6, number),
            )
            await queue.publish(EVENTS, event)
            reward = Reward(peer_id=peer, round=number, stage=0, points=round(event.mean_reward * 1000))
            await queue.publish(LEDGER, landed(reward, number))

    async def shown(self, queue, store, number):
        for place, peer in enumerate(PEERS):
            dataset, question, answer, completion = TASKS[(number + place) % len(TASKS)]
            sampled = Sampled(
                at=time.time() - 3,
                peer_id=peer,
                round=number,
                dataset=dataset,
                question=question,
                answer=answer,
                completion=completion,
                reward=1.0 if f"<answer>{answer}<" in completion else 0.05,
            )
            await queue.publish(EVENTS, sampled)
            await queue.publish(EVENTS, Judged(at=time.time(), peer_id=peer, round=number, score=0.25 * (place + 1)))

    async def exchanged(self, queue, store, number):
        rejected = {"bad_signature": 1, "late": 2} if number % 9 == 0 else {}
        await queue.publish(
            EVENTS,
            Exchanged(
                at=time.time(), round=number, bytes_sent=181_000, bytes_received=266_000, accepted=5, rejected=rejected
            ),
        )
        votes = tuple(self.random.sample([*PEERS, *OTHERS], 3))
        vote = Winners(peer_id=PEERS[number % 4], round=number, winners=votes)
        await queue.publish(LEDGER, landed(vote, number))

    async def chain(self, queue, store, number):
        state = SwarmState(
            chain_id=685685,
            contract="0x5FbDB2315678afecb367f032d93F642f64180aa3",
            account="0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            block=20_411 + 3 * number,
            round=number,
            stage=0,
            registered_peers=4,
            rewards_settled=4 * number,
            winners_settled=number,
            finished=False,
        )
        await put_swarm_state(store, state)

    async def history(self, queue, store, rounds):
        for peer in PEERS:
            await queue.publish(LEDGER, landed(Registration(peer_id=peer), 0))
        for number in range(1, rounds):
            await self.trained(queue, store, number)
            await self.exchanged(queue, store, number)
        for number in range(rounds - 4, rounds):
            await self.shown(queue, store, number)
        refused = Reward(peer_id=PEERS[1], round=rounds + 50, stage=0, points=430)
        await queue.publish(
            LEDGER,
            Settled(
                submission=refused,
                outcome="refused",
                transaction=None,
                block=None,
                reason="InvalidRoundNumber",
            ),
        )
        await self.trained(queue, store, rounds)
        await self.chain(queue, store, rounds)
        await self.services(queue, store)
        await self.round(queue, store, rounds + 1)

    async def hostile(self, queue, store, number):
        await queue.publish(
            EVENTS,
            Sampled(
                at=time.time(),
                peer_id=PEERS[0],
                round=number,
                dataset="<b>bold</b>",
                question=f"What is this? {HOSTILE}",
                answer=HOSTILE,
                completion=f"{HOSTILE} <answer>{HOSTILE}</answer>",
                reward=0.0,
            ),
        )


def state(service, instance, degraded):
    status = "degraded" if degraded else "ok"
    return ServiceState(
        service=service,
        instance=instance,
        pid=1,
        port=1,
        at=time.time(),
        status=status,
        progress_age_s=0.1,
        degraded=degraded,
        facts={},
    )


def landed(submission, number):
    return Settled(
        submission=submission,
        outcome="landed",
        transaction="0x" + sha256(submission.key.encode()).hexdigest(),
        block=20_400 + 3 * number,
    )


@contextlib.contextmanager
def identity(redis_url, port):
    """The real service in a process of its own; ends with 0."""
    env = os.environ | {"REDIS_URL": redis_url, "IDENTITY_PORT": str(port), "SWARM_NAME": "meadow"}
    with subprocess.Popen([sys.executable, "-m", "services.identity"], env=env) as process:
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/api/live").raise_for_status()
                break
            time.sleep(0.1)
        try:
            yield
        finally:
            process.terminate()
            code = process.wait(15)
    assert code == 0


@pytest.fixture
def household(redis_url):
    return Household(redis_url)


@pytest.fixture
def site(redis_url):
    port = free_port()
    with identity(redis_url, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def open_page(browser, site):
    """Opens the page; at the end, nothing may have been logged and no other host asked."""
    contexts, faults = [], []

    def open_one(size="wide", scheme="light"):
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(site) else faults.append(request.url))
        page.goto(site)
        expect(page.locator("#link")).to_have_text("Live")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert faults == []


def keep(page, name):
    if folder := os.environ.get("PAGE_SHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(1_200)
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_the_page_shows_the_swarm(open_page, household, size, scheme):
    household(Household.history, 140)
    page = open_page(size, scheme)
    for peer in PEERS:
        expect(page.locator("#peer-rows")).to_contain_text(name_of(peer))
    expect(page.locator("#round-number")).to_have_text("141")
    expect(page.locator("#services li[data-status=degraded]")).to_contain_text("without chain: connection refused")
    expect(page.locator("#transactions li")).to_have_count(12)
    expect(page.locator("#rejected")).to_contain_text("bad signature")
    expect(page.locator("#samples mark").first).to_be_visible()
    assert drawn(page, "rewards") > 5
    assert drawn(page, "pace") > 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    keep(page, f"page-{size}-{scheme}")


def test_an_empty_swarm_is_told_what_to_expect(open_page):
    page = open_page()
    for name in ("rewards", "peers", "samples", "pace", "chain", "network"):
        expect(page.locator(f"#{name}-empty")).to_be_visible()
    expect(page.locator("#round-time")).to_have_text("Waiting for the first round…")
    keep(page, "empty-wide-light")
    keep(open_page("phone", "dark"), "empty-phone-dark")


def test_the_page_follows_without_a_reload(open_page, household):
    household(Household.history, 5)
    page = open_page()
    expect(page.locator("#round-number")).to_have_text("6")
    page.evaluate("window.still = true")
    household(Household.trained, 6)
    household(Household.round, 7)
    expect(page.locator("#round-number")).to_have_text("7")
    expect(page.locator("#announce")).to_have_text("Round 7 is open.")
    page.locator("#rewards").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#rewards .tip")).to_contain_text("Round 6")
    keep(page, "tip-wide-light")
    assert page.evaluate("window.still")


def test_hostile_text_is_shown_as_text(open_page, household):
    household(Household.history, 5)
    household(Household.hostile, 6)
    page = open_page()
    expect(page.locator("#samples .said").first).to_contain_text(HOSTILE)
    expect(page.locator("#samples mark").first).to_have_text(HOSTILE)
    assert page.locator("#samples img, #samples script, #samples b").count() == 0
    assert "owned" not in page.title()


def test_bars_switch_and_rollouts_pause(open_page, household):
    household(Household.history, 12)
    page = open_page()
    page.get_by_role("button", name="Groups").click()
    expect(page.locator("#pace-legend")).to_contain_text("from others")
    keep(page, "groups-wide-light")
    page.get_by_role("button", name="Pause").click()
    before = page.locator("#samples").inner_text()
    household(Household.hostile, 13)
    household(Household.round, 14)
    expect(page.locator("#round-number")).to_have_text("14")
    assert "onerror" not in page.locator("#samples").inner_text(), before
    page.get_by_role("button", name="Paused").click()
    expect(page.locator("#samples")).to_contain_text("onerror")


def test_the_colours_follow_the_system(open_page, household):
    household(Household.history, 12)
    page = open_page()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    assert drawn(page, "rewards") > 5


def test_a_lost_connection_is_said_and_healed(browser, redis_url, household):
    household(Household.history, 5)
    port, page = free_port(), browser.new_page()
    with identity(redis_url, port):
        page.goto(f"http://127.0.0.1:{port}")
        expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator("#lost")).to_contain_text("lost; trying again")
    keep(page, "lost-wide-light")
    with identity(redis_url, port):
        expect(page.locator("#link")).to_have_text("Live", timeout=15_000)
        expect(page.locator("#lost")).to_be_hidden()
        page.close()


def test_every_answer_carries_the_security_headers(site):
    for path in ("/", "/api/live", "/static/app.js", "/favicon.ico", "/nothing"):
        headers = httpx.get(site + path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
