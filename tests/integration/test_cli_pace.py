"""The founder's word on rounds, from the command line, on a real Redis."""

import asyncio
import threading

import pytest

from services.cli.rounds import change_bootnodes, change_pace, show_bootnodes
from services.local.folder import RunFolder
from shared.errors import SettingsError, SwarmError
from shared.household import (
    Pace,
    grant_bootnodes,
    pace,
    put_bootnodes,
    put_service_state,
    put_swarm_state,
    wished_bootnodes,
)
from shared.queue.redis import RedisStore, connect
from tests.conftest import free_port
from tests.coordinator_kit import eventually
from tests.identity_kit import chain_of, state_of
from tests.invite_kit import PEER
from tests.unit.test_local_conf import plan_of


@pytest.fixture
def folder(tmp_path, redis_url, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_url)
    folder = RunFolder(tmp_path / "demo")
    folder.create()
    folder.write_plan(plan_of(own_redis=False))
    return folder


def on_store(url, act):
    async def once():
        client = connect(url)
        try:
            return await act(RedisStore(client))
        finally:
            await client.aclose()

    return asyncio.run(once())


def test_who_leads_pauses_resumes_and_sets_the_pace_and_keeps_the_rest(folder, redis_url):
    on_store(redis_url, lambda store: put_swarm_state(store, chain_of(leads=True)))
    assert "a round lasts as configured at least and 60 s at most" in change_pace(folder, max_s=60.0)
    assert change_pace(folder, paused=True).startswith("paused")
    said = change_pace(folder, min_s=5.0, quorum=0.75)
    assert said == "paused; a round lasts 5 s at least and 60 s at most; 75 % of the peers end it early"
    assert on_store(redis_url, pace) == Pace(paused=True, min_s=5.0, max_s=60.0, quorum=0.75)
    assert "round 4 is open" in change_pace(folder, paused=False)
    with pytest.raises(SettingsError, match="shortest time is above its longest"):
        change_pace(folder, min_s=61.0)
    with pytest.raises(SettingsError, match="quorum"):
        change_pace(folder, quorum=2.0)
    on_store(redis_url, lambda store: put_swarm_state(store, chain_of(leads=True, clock_s=60)))
    assert change_pace(folder).endswith("other households may end one after 60 s")
    change_pace(folder, min_s=None, max_s=None, quorum=None)
    assert on_store(redis_url, pace) == Pace()


def test_who_does_not_lead_is_told_who_decides(folder, redis_url):
    with pytest.raises(SwarmError, match="does not lead"):
        change_pace(folder, paused=True)
    on_store(redis_url, lambda store: put_swarm_state(store, chain_of()))
    with pytest.raises(SwarmError, match="ask the swarm's founder"):
        change_pace(folder, paused=True)
    assert on_store(redis_url, pace) == Pace()


def test_a_run_that_is_not_up_is_named(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(SwarmError, match="demo is not up"):
        change_pace(folder, paused=True)
    with pytest.raises(SwarmError, match="other has not been started"):
        change_pace(RunFolder(tmp_path / "other"), paused=True)


def test_an_owner_replaces_the_bootnodes_and_waits_until_they_are_on_the_chain(folder, redis_url):
    on_store(redis_url, lambda store: put_swarm_state(store, chain_of(owns=True)))
    ours = state_of("p2p", facts={"addresses": PEER})
    on_store(redis_url, lambda store: put_service_state(store, ours))
    done = threading.Thread(target=on_store, args=(redis_url, as_coordinator))
    done.start()
    other = PEER.replace("203.0.113.7", "203.0.113.8")
    assert change_bootnodes(folder, [other], ours=True) == [PEER, other]
    done.join()
    assert show_bootnodes(folder) == [PEER, other]


async def as_coordinator(store):
    """What the coordinator does with a wish."""
    await put_bootnodes(store, await eventually(lambda: wished_bootnodes(store)))
    await grant_bootnodes(store)


def test_bootnodes_that_are_none_or_nobodys_to_set_are_refused(folder, redis_url):
    with pytest.raises(SwarmError, match="does not own the swarm's contract"):
        change_bootnodes(folder, [PEER], ours=False)
    on_store(redis_url, lambda store: put_swarm_state(store, chain_of(owns=True)))
    with pytest.raises(SettingsError, match="hello is no address of a peer"):
        change_bootnodes(folder, [PEER, "hello"], ours=False)
    with pytest.raises(SwarmError, match="not on the chain yet"):
        change_bootnodes(folder, [PEER], ours=False, patience_s=0.0)
