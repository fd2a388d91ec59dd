"""Every fault that the doctor knows, made with real parts: it names the right cause and the right remedy."""

import http.server
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli import doctor as here
from services.doctor import around, chain, examination, gpu, household, machine
from services.doctor.check import Check
from services.doctor.machine import Told
from services.doctor.web import ask
from services.local.anvil import find_anvil
from services.local.settings import local_settings
from shared.household import put_service_state
from tests.conftest import RedisServer, free_port
from tests.contract_kit import do
from tests.coordinator_kit import ROOT, Node
from tests.identity_kit import state_of
from tests.integration.conftest import deploy, implement
from tests.integration.test_cli_pace import on_store
from tests.invite_kit import invite_of, text_of

PATIENCE_S = 0.5
ACCOUNT = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
PEER = "Qm" + "a" * 44
FOUND = []
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@dataclass(frozen=True)
class Fault:
    """How it is made, and what has to be said of it."""

    make: object
    name: str  # of the check
    cause: str
    remedy: str
    ok: bool | None = False


def fault(name, cause, remedy, ok=False):
    """A function that makes a fault and gives what the doctor finds then."""

    def keep(make):
        FOUND.append(Fault(make, name, cause, remedy, ok))
        return make

    return keep


class Lab:
    """Real parts, ended with the test."""

    def __init__(self, folder: Path, redis: RedisServer, node: Node, ends: ExitStack) -> None:
        self.folder, self.redis, self.node, self.ends = folder, redis, node, ends
        self.nobody = free_port()

    def server(self, status=200, body="{}", wait_s=0.0) -> str:
        """An HTTP server that always answers so."""

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                time.sleep(wait_s)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.ends.callback(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    def p2pd(self, name="p2pd") -> int:
        """A real libp2p host; its port."""
        package = Path(importlib.util.find_spec("hivemind").origin).parent
        port = free_port()
        listen = ["-listen", f"/unix{self.folder}/{name}.sock", "-hostAddrs", f"/ip4/127.0.0.1/tcp/{port}"]
        daemon = subprocess.Popen([package / "hivemind_cli" / "p2pd", *listen], stdout=subprocess.DEVNULL)
        self.ends.callback(daemon.wait)
        self.ends.callback(daemon.kill)
        wait_for(port)
        return port

    def mount(self, options: str) -> Path:
        """A small disk of its own."""
        if os.getuid() or not shutil.which("mount"):
            pytest.skip("only root mounts a disk")
        folder = self.folder / "disk"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
        self.ends.callback(subprocess.run, ["umount", folder], check=True)
        return folder

    def priced(self) -> str:
        """A chain that wants to be paid."""
        port = free_port()
        command = [find_anvil(ROOT / ".cache"), "--port", str(port), "--accounts", "0", "--quiet"]
        anvil = subprocess.Popen(command)
        self.ends.callback(anvil.wait)
        self.ends.callback(anvil.kill)
        wait_for(port)
        return f"http://127.0.0.1:{port}"

    def torch(self, text: str) -> dict[str, str]:
        """The environment in which `import torch` finds this."""
        (self.folder / "torch").mkdir()
        (self.folder / "torch" / "__init__.py").write_text(text)
        return {**os.environ, "PYTHONPATH": str(self.folder)}


def wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A chain of this file's own, as its clock is set."""
    node = Node(tmp_path_factory.mktemp("doctor"))
    yield node
    node.kill()


@pytest.fixture(scope="module")
def deployed(start_anvil, tmp_path_factory):
    """A contract on a chain of its own: other tests let time pass on the one that they share."""
    chain = start_anvil(tmp_path_factory.mktemp("on_time") / "state.json")
    return deploy(chain, implement(chain))


@pytest.fixture
def lab(tmp_path, redis_server, node):
    with ExitStack() as ends:
        yield Lab(tmp_path, redis_server, node, ends)


# ---- the machine ----


@fault("python", "this is Python 3.13.1", "install Python 3.11 or 3.12")
def wrong_python(lab):
    return machine.python((3, 13, 1))


@fault("versions", "web3 5.0 (tested: ", "make setup")
def another_version_of_a_package(lab):
    metadata = lab.folder / "web3-5.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: web3\nVersion: 5.0\n")
    return machine.versions(path=[str(lab.folder)])


@fault("memory", "0.2 GiB free, 2.5 wanted for 3 peers", "raise the container's bound")
def a_container_with_too_little_memory(lab):
    (lab.folder / "self").mkdir()
    (lab.folder / "self" / "cgroup").write_text("0::/\n")
    for name, text in (("max", "300000000"), ("current", "100000000"), ("stat", "inactive_file 0\n")):
        (lab.folder / f"memory.{name}").write_text(text)
    return machine.memory(3, machine.available_bytes(proc=lab.folder, mount=lab.folder))


@fault("disk", "cannot be written (No space left on device)", "make room")
def a_full_disk(lab):
    folder = lab.mount("size=64k")
    with pytest.raises(OSError, match="No space"), (folder / "all").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return machine.disk(folder / "state")


@fault("disk", "GiB free at", "make room: 2 GiB at least")
def a_disk_that_is_too_small(lab):
    return machine.disk(lab.mount("size=8m"))


@fault("disk", "cannot be written (Read-only file system)", "owner and mode")
def a_disk_that_cannot_be_written(lab):
    return machine.disk(lab.mount("ro"))


@fault("ports", "P2P_PORT asks for port", "set P2P_PORT to a free port")
def a_port_that_others_know_is_taken(lab):
    taken = lab.ends.enter_context(socket.create_server(("127.0.0.1", 0)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("P2P_PORT", str(taken.getsockname()[1]))
        return here.ports(local_settings(), None, running=False)


@fault("clock", "behind the chain's newest block", "set the clock")
def a_clock_that_is_behind_the_chain(lab):
    lab.node.ask("evm_setNextBlockTimestamp", int(time.time()) + 3_600)
    lab.node.ask("evm_mine")
    _, told = chain.chain(chain.Node(lab.node.url, PATIENCE_S), 685685, started=True)
    return machine.clock(time.time(), told)


@fault("clock", "120 s ahead of the hub", "set the clock")
def a_clock_that_is_ahead_of_the_hub(lab):
    date = ask(lab.server(), PATIENCE_S).date
    return machine.clock(date + 120, [Told("the hub", date, exact=True)])


@fault("clock", "before this software was written", "set the clock")
def a_clock_that_was_never_set(lab):
    return machine.clock(86_400.0, [])


TORCH = """__version__ = '2.13.0{build}'
class version: cuda = {cuda}
class cuda:
 is_available = staticmethod(lambda: {ok})
"""
GPU = """ get_arch_list = staticmethod(lambda: ["sm_80", "sm_120"])
 device_count = staticmethod(lambda: 1)
 get_device_name = staticmethod(lambda index: "Tesla V100")
 get_device_capability = staticmethod(lambda index: (7, 0))
def ones(*_, device): raise RuntimeError("CUDA error: no kernel image is available for execution on the device")
"""


@fault("gpu", "is a build for the CPU, and there is an NVIDIA GPU", "TORCH_INDEX_URL=")
def a_torch_without_cuda_beside_a_gpu(lab):
    told = lab.torch(TORCH.format(build="+cpu", cuda=None, ok=False))
    return gpu.gpu(cpu_only=False, environ=told, there=True)


@fault("gpu", "is built for CUDA 13.0 and cannot use the GPU", "update the driver")
def a_driver_that_is_too_old(lab):
    told = lab.torch(TORCH.format(build="+cu130", cuda="'13.0'", ok=False))
    return gpu.gpu(cpu_only=False, environ=told, there=True)


@fault("gpu", "no kernel runs on Tesla V100 (sm_70): torch 2.13.0+cu130 is built for sm_80", "built for this GPU")
def a_gpu_that_torch_is_not_built_for(lab):
    told = lab.torch(TORCH.format(build="+cu130", cuda="'13.0'", ok=True) + GPU)
    return gpu.gpu(cpu_only=False, environ=told, there=True)


@fault("gpu", "torch does not load (OSError: libcudart.so.13", "install it anew")
def a_torch_that_does_not_load(lab):
    return gpu.gpu(cpu_only=False, environ=lab.torch("raise OSError('libcudart.so.13: cannot open')"), there=True)


# ---- the settings ----


@fault("settings", "SWARM_INVITE: this invite is damaged: a letter is wrong", "copy all of it")
def a_damaged_invite(lab):
    text = text_of(invite_of())
    return examined(SWARM_INVITE=text[:-1] + ("0" if text[-1] != "0" else "1"), code=2)


@fault("settings", "of a newer version", "install the founder's release")
def an_invite_of_a_newer_protocol(lab):
    return examined(SWARM_INVITE="rlswarm2.a.b.c", code=2)


@fault("settings", "chain_id (given: 'one')", "set CHAIN_ID")
def a_setting_that_is_no_number(lab):
    return examined(CHAIN_ID="one", code=2)


@fault("invite", "expired on 2030-01-02", "ask the founder for a new one")
def an_expired_invite(lab):
    return examination.invite(text_of(invite_of(expires=1_893_542_400)), 1_893_542_400.0, joined=False)


# ---- what it talks to ----


def asked(lab, url, password=None):
    return household.household(url, password, 2.0, started=True)[0]


@fault("redis", "no Redis answers at 127.0.0.1", "see that it runs")
def a_redis_that_is_stopped(lab):
    return asked(lab, f"redis://127.0.0.1:{lab.nobody}/0")


@fault("redis", "wants another password", "REDIS_PASSWORD_FILE")
def a_wrong_password_of_redis(lab):
    on_redis(lab, "CONFIG", "SET", "requirepass", "right")
    try:
        return asked(lab, lab.redis.url, "wrong")
    finally:
        on_redis(lab, "CONFIG", "SET", "requirepass", "", password="right")


@fault("redis", "wants another password", "REDIS_PASSWORD_FILE")
def a_password_of_redis_that_is_not_told(lab):
    on_redis(lab, "CONFIG", "SET", "requirepass", "right")
    try:
        return asked(lab, lab.redis.url)
    finally:
        on_redis(lab, "CONFIG", "SET", "requirepass", "", password="right")


@fault("redis", "is full", "REDIS_MAXMEMORY")
def a_full_redis(lab):
    on_redis(lab, "CONFIG", "SET", "maxmemory", "1000000")
    try:
        return asked(lab, lab.redis.url)
    finally:
        on_redis(lab, "CONFIG", "SET", "maxmemory", "0")


def on_redis(lab, *words, password=None):
    import redis

    redis.Redis.from_url(lab.redis.url, password=password).execute_command(*words)


@fault("service", "trainer has not got on for 900 s", "rlswarm logs trainer")
def a_service_that_stands_still(lab):
    stuck = state_of("trainer", status="stuck", progress_age_s=900.0)
    on_store(lab.redis.url, lambda store: put_service_state(store, stuck))
    return asked(lab, lab.redis.url)


@fault("service", "trainer goes on without judge: no judge answers", "see JUDGE_URL", None)
def a_service_that_is_degraded(lab):
    told = state_of("trainer", status="degraded", degraded={"judge": "no judge answers. see JUDGE_URL."})
    on_store(lab.redis.url, lambda store: put_service_state(store, told))
    return asked(lab, lab.redis.url)


@fault("chain", "no chain answers at 127.0.0.1", "CHAIN_URL")
def a_chain_that_is_down(lab):
    return chain.chain(chain.Node(f"http://127.0.0.1:{lab.nobody}", PATIENCE_S), 685685, started=True)[0]


@fault("chain", "is no chain's node", "CHAIN_URL")
def a_page_where_a_chain_should_be(lab):
    return chain.chain(chain.Node(lab.server(body="<html>"), PATIENCE_S), 685685, started=True)[0]


@fault("chain", "has the id 685685, and identity signs for 5", "CHAIN_ID=685685")
def another_chain(lab):
    return chain.chain(chain.Node(lab.node.url, PATIENCE_S), 5, started=True)[0]


@fault("contract", "there is no contract at", "begun anew")
def no_code_at_the_contracts_address(lab):
    return chain.contract(chain.Node(lab.node.url, PATIENCE_S), "0x" + "12" * 20)


@fault("contract", "is not a swarm's", "SWARM_CONTRACT")
def another_contract_at_the_address(lab):
    lab.node.ask("anvil_setCode", "0x" + "34" * 20, "0x00")
    return chain.contract(chain.Node(lab.node.url, PATIENCE_S), "0x" + "34" * 20)


@fault("balance", "has 0.000000 coins, and a hundred rewards cost 0.0", f"send some of the chain's coin to {ACCOUNT}")
def an_account_without_coins_on_a_chain_that_costs(lab):
    return chain.balance(chain.Node(lab.priced(), PATIENCE_S), ACCOUNT)


@fault("account", "the key of 0xf39F", "log in on the page")
def a_locked_key(lab):
    told = json.dumps({"address": ACCOUNT, "state": "locked"})
    return around.account(lab.server(body=told), "token", PATIENCE_S, started=True)[0]


@fault("account", "knows another token", "SIGNING_TOKEN_FILE")
def a_token_that_identity_does_not_know(lab):
    return around.account(lab.server(401), "token", PATIENCE_S, started=True)[0]


def addresses(*ports):
    return [f"/ip4/127.0.0.1/tcp/{port}/p2p/{PEER}" for port in ports]


@fault("bootnode", "does not answer: nothing listens there", "rlswarm bootnodes", None)
def a_dead_bootnode_among_good_ones(lab):
    checks = around.bootnodes(addresses(lab.p2pd(), lab.nobody), PATIENCE_S)
    assert checks[0].ok, checks
    return checks


@fault("bootnode", "does not answer: nothing listens there", "ask for others")
def all_bootnodes_dead(lab):
    return around.bootnodes(addresses(lab.nobody), PATIENCE_S)


@fault("bootnode", "what listens there is no peer", "ask for others")
def a_bootnode_that_is_something_else(lab):
    return around.bootnodes(addresses(int(lab.server().rsplit(":", 1)[1])), PATIENCE_S)


@fault("bootnode", "it is written as no /ip4/", "ask for others")
def a_bootnode_that_is_no_address(lab):
    return around.bootnodes(["/ip4/1.2.3.4/udp/1"], PATIENCE_S)


@fault("judge", "answers HTTP 500", "see its log")
def a_judge_that_fails(lab):
    return around.judge(lab.server(500), PATIENCE_S, started=True)


@fault("judge", "no answer within 0.3 s", "JUDGE_URL")
def a_judge_that_hangs(lab):
    return around.judge(lab.server(wait_s=1.0), 0.3, started=True)


def who(role, **more):
    return json.dumps({"name": "ada", "auth": {"accessToken": {"role": role, **more}}})


@fault("hub", "may only read", "PUBLISH=false")
def a_hub_token_that_may_not_write(lab):
    return around.hub(lab.server(body=who("read")), "hf_x", PATIENCE_S, publish=True)[0]


@fault("hub", "may only read", "PUBLISH=false", None)
def a_fine_grained_hub_token_that_may_not_write_where_nothing_has_to_be_published(lab):
    body = who("fineGrained", fineGrained={"scoped": [{"permissions": ["repo.content.read"]}]})
    return around.hub(lab.server(body=body), "hf_x", PATIENCE_S, publish=False)[0]


@fault("hub", "wrong, expired or revoked", "make another at the hub")
def an_expired_hub_token(lab):
    return around.hub(lab.server(401, '{"error":"Invalid credentials"}'), "hf_x", PATIENCE_S, publish=False)[0]


@fault("hub", "the hub does not answer", "HF_ENDPOINT", None)
def a_hub_that_is_away(lab):
    return around.hub(f"http://127.0.0.1:{lab.nobody}", "hf_x", PATIENCE_S, publish=True)[0]


def examined(*, code, started="no", **told):
    """What the doctor says as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "services.doctor", "--json", "--no-gpu", f"--started={started}"],
        cwd=ROOT,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(done.stdout)
    checks = [Check(**one) for one in answer["checks"]]
    assert done.returncode == answer["code"] == code, [check for check in checks if check.ok is False]
    return checks


@pytest.mark.parametrize("fault", FOUND, ids=lambda fault: fault.make.__name__)
def test_a_fault_is_diagnosed_with_its_cause_and_its_remedy(fault, lab):
    found = fault.make(lab)
    checks = found if isinstance(found, list) else [found]
    (ill,) = [check for check in checks if not check.ok]
    assert (ill.name, ill.ok) == (fault.name, fault.ok), ill
    assert fault.cause in ill.found
    assert fault.remedy in ill.remedy
    assert len(FOUND) >= 20


# ---- and where nothing is wrong ----


def test_a_household_that_is_well_is_called_fit(lab, deployed):
    on_store(lab.redis.url, lambda store: put_service_state(store, state_of("p2p")))
    peers = addresses(lab.p2pd())
    do(deployed, deployed.owner, "addBootnodes", [*peers, *addresses(lab.p2pd("other"))])
    (lab.folder / "token").write_text("token")
    told = {
        "REDIS_URL": lab.redis.url,
        "CHAIN_URL": deployed.url,
        "SWARM_CONTRACT": deployed.address,
        "SIGNER_URL": lab.server(body=json.dumps({"address": ACCOUNT, "state": "ready"})),
        "SIGNING_TOKEN_FILE": str(lab.folder / "token"),
        "JUDGE_URL": lab.server(body=json.dumps({"game_id": -1})),
        "HF_ENDPOINT": lab.server(body=who("write")),
        "HUGGINGFACE_ACCESS_TOKEN": "hf_x",
        "HF_TOKEN": "None",
        "INITIAL_PEERS": peers[0],
    }
    checks = examined(code=0, started="yes", **told)
    assert [check for check in checks if not check.ok] == []
    assert [check.name for check in checks].count("bootnode") == 2
    assert {"redis", "service", "chain", "contract", "account", "balance", "judge", "hub", "clock"} <= {
        check.name for check in checks
    }


def test_before_the_start_what_is_not_there_yet_is_no_fault(lab):
    told = {
        "REDIS_URL": f"redis://127.0.0.1:{lab.nobody}/0",
        "CHAIN_URL": f"http://127.0.0.1:{lab.nobody}",
        "JUDGE_URL": f"http://127.0.0.1:{lab.nobody}",
        "HF_TOKEN": "None",
    }
    checks = {check.name: check for check in examined(code=0, **told)}
    assert [checks[name].ok for name in ("redis", "chain", "judge")] == [None] * 3
    assert all("not started yet" in checks[name].found for name in ("redis", "chain", "judge"))
    assert checks["hub"].found.startswith("no token")


@pytest.mark.skipif(not FAKETIME.exists(), reason="there is no libfaketime")
def test_a_process_whose_clock_is_an_hour_late_finds_that_out_and_says_so_by_its_exit_code(deployed):
    late = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME": "-1h",
        "CHAIN_URL": deployed.url,
        "SWARM_CONTRACT": deployed.address,
    }
    checks = {check.name: check for check in examined(code=1, **late)}
    assert "s behind the chain's newest block" in checks["clock"].found
    assert checks["contract"].ok
