"""The stack in containers: from a clone to a reward on the chain, and what it promises on the way."""

import base64
import json
import re
import time
import urllib.parse

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser_kit import chromium, drawn
from tests.containers.engine import docker
from tests.monitoring_kit import empty_queries, queries

pytestmark = pytest.mark.timeout(1_200)
FIRST_REWARD_S = 180  # the promise, with images built
TRAINED = ("coordinator", "p2p", "identity", "judge", "chain", "trainer-cpu")


def rewards(stack):
    return [settled.submission for _, settled in stack.history().rewards()]


def test_from_a_clone_to_the_first_reward_on_the_chain(founder, built):
    begun = time.monotonic()
    founder.up()
    healthy = time.monotonic() - begun
    founder.wait("a trained round", lambda: founder.history().trained, 120)
    trained = time.monotonic() - begun
    founder.wait("a reward on the chain", lambda: rewards(founder), 60)
    rewarded = time.monotonic() - begun
    print(f"build {built:.0f} s; up: healthy {healthy:.0f} s, round {trained:.0f} s, reward {rewarded:.0f} s")
    assert rewarded < FIRST_REWARD_S


def test_the_page_shows_it_in_a_browser(founder):
    founder.wait("a few rounds", lambda: len(founder.history().trained) >= 4, 120)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"http://127.0.0.1:{founder.page}")
        expect(page.locator("#link")).to_have_text("Live")
        expect(page.locator("#nodes > li")).to_have_count(1)
        expect(page.locator("#transactions li").first).to_be_visible()
        assert drawn(page, "curves") > 3


def test_only_what_is_meant_to_be_is_published(founder):
    first, last = founder.settings["P2P_PORTS"].split("-")
    expected = {"identity": {3000}, "p2p": set(range(int(first), int(last) + 1))}
    for service in founder.services():
        if service in ("keys", "grafana"):
            continue
        ports = founder.inspect(service)["NetworkSettings"]["Ports"]
        published = {int(port.split("/")[0]) for port, hosts in ports.items() if hosts}
        assert published == expected.get(service, set()), service


def test_redis_tells_nothing_without_the_password(founder):
    assert "NOAUTH" in founder.execute("redis", "redis-cli", "keys", "*")


def test_the_password_stands_in_no_log_no_environment_and_no_command_line(founder):
    password = founder.execute("redis", "cat", "/keys/redis").strip()
    assert len(password) == 64
    for form in (password, base64.b64encode(password.encode()).decode()):
        assert form not in founder.said(lines=100_000)
        for service in founder.services():
            for container in founder.compose("ps", "-q", service).stdout.split():
                assert form not in docker("inspect", container).stdout, service
                assert form not in docker("top", container, check=False).stdout, service


def test_nothing_can_be_written_outside_of_state_and_tmp(founder):
    for service in TRAINED:
        for place in ("/app", "/opt/venv", "/etc"):
            done = docker("exec", founder.container(service), "touch", f"{place}/x", check=False)
            assert done.returncode != 0, f"{service}: {place}"
        status = founder.execute(service, "cat", "/proc/self/status")
        assert re.search(r"^CapEff:\s+0+$", status, re.M), service
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M), service


def test_inside_has_no_way_out_of_the_machine(founder):
    closed = {f"{founder.project}_{network}" for network in ("inside", "nowhere")}
    for network in closed:
        assert docker("network", "inspect", "-f", "{{.Internal}}", network).stdout.strip() == "true"
    for service in ("redis", "chain", "judge", "prometheus"):
        assert set(founder.inspect(service)["NetworkSettings"]["Networks"]) <= closed, service


def test_what_the_services_say_is_fit_to_be_read(founder):
    for service in TRAINED:
        said = founder.said(service, lines=10_000)
        assert "Traceback" not in said, said
        assert " ERROR " not in said, said


def test_three_trainers_are_three_peers(founder):
    founder.up("--scale", "trainer-cpu=3")
    founder.wait("rewards of three peers", lambda: len({reward.peer_id for reward in rewards(founder)}) == 3, 180)
    hosted = [line for line in founder.said("p2p", 1000).splitlines() if "hosting" in line]
    assert len({re.search(r"\((\w+)\)", line)[1] for line in hosted}) >= 3
    founder.wait("groups of peers learnt from", lambda: any(t.external_groups for t in last_trained(founder)), 120)


def last_trained(stack):
    return list(stack.history().trained.values())[-6:]


def test_prometheus_finds_every_service_and_every_question_has_an_answer(founder):
    def ask(promql):
        query = urllib.parse.urlencode({"query": promql})
        told = founder.execute("prometheus", "wget", "-qO-", f"http://localhost:9090/api/v1/query?{query}")
        return json.loads(told)["data"]["result"]

    founder.wait("an exam, and scrapes after it", lambda: ask("swarm_trainer_rounds_total > 6"), 180)
    up = {sample["metric"]["job"]: sample["value"][1] for sample in ask("up")}
    assert {job for job, value in up.items() if value != "1"} <= {"grafana"}
    assert set(up) >= {"chain", "coordinator", "identity", "judge", "p2p", "trainer", "prometheus"}
    asked, until = queries(window="2m"), time.monotonic() + 120
    while empty := empty_queries(ask, asked):
        assert time.monotonic() < until, empty
        asked = [(where, promql) for where, promql in asked if f"{where}: {promql}" in empty]


def test_without_a_token_nothing_is_published_and_the_publisher_says_why(founder):
    assert "nothing is published: neither HF_TOKEN nor HUGGINGFACE_ACCESS_TOKEN is set" in founder.said(
        "publisher", 1000
    )


def test_nothing_was_started_twice(founder):
    for service in founder.services():
        assert founder.inspect(service)["RestartCount"] == 0, founder.said(service, 60)


def test_down_and_up_again_keeps_identity_weights_chain_and_totals(founder):
    founder.wait("a lull", lambda: settled(founder), 60)
    before, chain = founder.history(), founder.chain()
    founder.down()
    assert founder.compose("ps", "-q").stdout.split() == []
    founder.up("--scale", "trainer-cpu=3")
    founder.wait("three more rounds", lambda: len(founder.history().trained) >= len(before.trained) + 9, 180)
    after, then = founder.history(), founder.chain()
    assert after.peers() == before.peers()
    assert then.contract == chain.contract
    assert then.rewards_settled >= chain.rewards_settled
    assert then.account == chain.account
    assert set(before.landed) <= set(after.landed)
    assert founder.lineage_breaks() == []


def settled(stack):
    """Whether every reward of a trained round is on the chain right now."""
    history = stack.history()
    return len(history.rewards()) >= len(history.trained) > 0


def test_health_is_served_inside_and_nowhere_else(founder):
    with pytest.raises(httpx.TransportError):
        httpx.get("http://127.0.0.1:9100/health")
    assert json.loads(founder.execute("identity", "python", "-S", "-c", ASK))["status"] in ("ok", "degraded")


ASK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9100/health').read().decode())"
