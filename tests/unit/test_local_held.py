"""Ports that are chosen and that nobody listens on yet, between real processes."""

import json
import os
import subprocess
import sys

import pytest

from services.local.held import hold
from services.local.ports import Want, pick
from shared.errors import SwarmError
from tests.conftest import free_port

CHOOSER = """
import json, os, sys
from services.local.ports import pick, wants

wanted = wants(["judge", "p2p"], 3, own_redis=True, own_chain=True)
print("ready", flush=True)
sys.stdin.readline()
ports = pick(wanted, os.environ, {}).ports
print(json.dumps([ports[want.name] + k for want in wanted for k in range(want.count)]), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def start():
    """Starts a process that chooses a stack's ports when it is told to, and then waits."""
    started = []

    def one(**told):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = subprocess.Popen([sys.executable, "-c", CHOOSER], env={**os.environ, **told}, **pipes)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield one
    for process in started:
        process.kill()
        process.communicate()


def choose(*processes):
    """All choose at once; the ports of each."""
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in processes]


def test_stacks_that_start_at_once_choose_different_ports(start):
    chosen = [port for ports in choose(*[start() for _ in range(4)]) for port in ports]
    assert len(set(chosen)) == len(chosen) == 4 * 11


def test_a_chosen_port_is_taken_until_its_chooser_ends_however_it_ends(start):
    port = free_port()
    process = start(IDENTITY_PORT=str(port))
    choose(process)
    asked = ([Want("identity", 3000, "IDENTITY_PORT")], {"IDENTITY_PORT": str(port)}, {})
    with pytest.raises(SwarmError, match=f"IDENTITY_PORT asks for port {port}, which is taken"):
        pick(*asked)
    process.kill()
    process.wait()
    assert pick(*asked).ports == {"identity": port}


def test_a_process_may_choose_again_what_it_holds():
    port = free_port()
    assert hold(port)
    assert hold(port)
