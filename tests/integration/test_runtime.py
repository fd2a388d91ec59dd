"""The life of a service, in a process of its own, on a real Redis."""

import os
import signal
import subprocess
import sys
import time

import pytest

SERVICE = """
import asyncio, sys
from shared.errors import SettingsError, SwarmError
from shared.runtime import serve, start
from shared.settings import ServiceSettings

async def run(settings, context):
    what = WHAT
    context.health.beat()
    if what == "fail":
        raise SwarmError("the cable is loose", "push it in")
    if what == "refuse":
        raise SettingsError("there is no such model", "name another")
    if what == "bug":
        raise KeyError("surprise")
    if what == "end":
        return
    if what == "deaf":
        await asyncio.sleep(60)
    while await context.sleep(0.05):
        context.health.beat()

settings = start("common", ServiceSettings)
sys.exit(serve("thing", settings, run))
"""


def launch(what, redis_url, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", SERVICE.replace("WHAT", repr(what)), *arguments],
        env={**os.environ, "REDIS_URL": redis_url, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("what", "code"), [("end", 0), ("fail", 1), ("bug", 1), ("refuse", 2)])
def test_the_exit_code_is_honest(redis_server, what, code):
    process = launch(what, redis_server.url)
    _, log = process.communicate(timeout=20)
    assert process.returncode == code, log


def test_an_expected_failure_is_one_line_and_a_bug_shows_its_trace(redis_server):
    _, log = launch("fail", redis_server.url).communicate(timeout=20)
    assert "the cable is loose. push it in." in log and "Traceback" not in log
    _, log = launch("bug", redis_server.url).communicate(timeout=20)
    assert "died of a bug: KeyError" in log and "Traceback" in log


def test_a_wrong_setting_ends_with_code_2_before_anything_starts(redis_server):
    process = launch("end", redis_server.url, HTTP_PORT="high")
    _, log = process.communicate(timeout=20)
    assert process.returncode == 2
    assert len(log.strip().splitlines()) == 1 and "HTTP_PORT" in log


@pytest.mark.parametrize("what", ["wait", "deaf"])
def test_a_stop_signal_ends_it_cleanly_within_the_grace_period(redis_server, what):
    process = launch(what, redis_server.url)
    while "is up" not in process.stderr.readline():
        time.sleep(0.01)
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    assert time.monotonic() - start < (3 if what == "wait" else 12)


async def test_it_reports_its_state_to_the_household(redis_server):
    from shared.household import service_states
    from shared.queue.redis import RedisStore, connect

    process = launch("wait", redis_server.url, INSTANCE="seven")
    client = connect(redis_server.url)
    try:
        deadline = time.monotonic() + 10
        states = []
        while not states and time.monotonic() < deadline:
            states = await service_states(RedisStore(client))
        assert [(s.service, s.instance, s.status, s.pid) for s in states] == [("thing", "seven", "ok", process.pid)]
    finally:
        process.terminate()
        process.communicate(timeout=20)
        await client.aclose()
