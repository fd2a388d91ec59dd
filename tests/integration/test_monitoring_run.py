"""A real Prometheus on a real swarm: whatever a panel, a rule or an alert asks has an answer."""

import time
from collections import defaultdict

import pytest

from tests.e2e.swarm_kit import Swarm
from tests.hub_server import hub_server
from tests.monitoring_kit import Prometheus, empty_queries, found, queries

PEERS = 2
WINDOW_S = 60  # stands for the interval of a panel; counters need two scrapes within it


def targets_of(swarm):
    """The addresses that DNS would give in a stack of containers."""
    found = defaultdict(list)
    for name, port in swarm.folder.read_plan().ports.items():
        if name.startswith("health:"):
            found[name.removeprefix("health:").partition("-")[0]].append(f"127.0.0.1:{port}")
    return found


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A swarm of two that has been scraped while it trained; it plays the market, and has a token of a hub."""
    found("prometheus")
    folder = tmp_path_factory.mktemp("watched")
    with hub_server() as hub, pytest.MonkeyPatch.context() as patch:
        told = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_secret", "PUBLISH_EVERY_ROUNDS": "1000000", "PRG_GAME": "true"}
        told["ROUND_MIN_S"] = "1.5"  # without haste: other tests want the processor, too
        for variable, value in told.items():
            patch.setenv(variable, value)
        yield from scraped_while_it_trained(folder)


def scraped_while_it_trained(folder):
    """Prometheus beside a swarm, when it has seen some rounds."""
    swarm = Swarm(folder, "watched", rounds=100_000, peers=PEERS)
    try:
        swarm.wait("the first trained round", lambda: swarm.round() >= 0, 90)
        prometheus = Prometheus(folder, targets_of(swarm))
        try:
            begun = swarm.round()
            swarm.wait("rounds to look at, an exam among them", lambda: swarm.round() >= begun + 7, 90)
            time.sleep(3)  # the last of them is scraped, and the rules look at it
            yield prometheus
        finally:
            prometheus.stop()
    finally:
        swarm.stop()


@pytest.mark.timeout(300)
def test_every_panel_rule_and_alert_finds_something_to_look_at(watched):
    asked = queries(window=f"{WINDOW_S}s")
    print(len(asked), "queries")
    assert len(asked) > 100
    until = time.monotonic() + 15  # a rule of a rule comes two looks after the scrape
    while (missing := empty_queries(watched.ask, asked)) and time.monotonic() < until:
        time.sleep(1)
    assert missing == []


@pytest.mark.timeout(300)
def test_every_part_of_the_swarm_is_scraped(watched):
    scraped = {sample["metric"]["job"]: float(sample["value"][1]) for sample in watched.ask("sum by (job) (up)")}
    ours = {"chain", "coordinator", "identity", "judge", "p2p", "publisher"}
    assert scraped == {**dict.fromkeys(ours, 1), "trainer": PEERS, "prometheus": 1}


@pytest.mark.timeout(300)
def test_a_healthy_swarm_raises_no_alert(watched):
    """Not even one that is about to fire. The room on this machine is not the swarm's affair."""
    machine = {"DiskLow", "DiskAlmostFull", "HostMemoryLow", "ContainerMemoryLow"}
    trend = {"QueueGrowing"}  # of half an hour, of which there is half a minute
    until = time.monotonic() + 20  # a single slow round is no illness
    while raised := {sample["metric"]["alertname"] for sample in watched.ask("ALERTS")} - machine - trend:
        assert time.monotonic() < until, raised
        time.sleep(1)


@pytest.mark.timeout(300)
def test_no_metric_tells_who_a_peer_is(watched):
    names = {sample["metric"]["__name__"] for sample in watched.ask('{__name__=~"swarm_.+"}')}
    assert len(names) > 50
    labels = {label for sample in watched.ask('{__name__=~"swarm_.+"}') for label in sample["metric"]}
    assert labels.isdisjoint({"peer", "peer_id", "author", "account"})


@pytest.mark.timeout(300)
def test_a_question_without_an_answer_is_noticed(watched):
    rounds, missing = "swarm_trainer_rounds_total", "swarm_trainer_naps_total"
    assert empty_queries(watched.ask, [("one", rounds), ("two", missing), ("three", f"{rounds} * NaN")]) == [
        f"two: {missing}",
        f"three: {rounds} * NaN",
    ]
