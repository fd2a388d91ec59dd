"""Which GPU a trainer takes: decided and locked without a GPU."""

import asyncio
import subprocess
import sys
from contextlib import ExitStack

import pytest

from services.trainer.model.gpus import candidates, claim_device, first_free, gpu_names
from services.trainer.settings import TrainerSettings
from shared.errors import SettingsError
from shared.health import Health
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load

POLICY = load("trainer", TrainerSettings).policy
HOLD = """
import sys, pathlib
from services.trainer.model.gpus import first_free
index, lock = first_free(pathlib.Path(sys.argv[1]), list(enumerate("012")))
print(index, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Start another process that takes the first free GPU of three, and tell which that is."""
    started = []

    def start():
        command = [sys.executable, "-c", HOLD, str(tmp_path)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1], int(started[-1].stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def context_of():
    return Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))


def test_each_process_takes_another_gpu_and_a_killed_ones_is_free_at_once(tmp_path, other):
    (first, index), (_, second) = other(), other()
    assert (index, second) == (0, 1)
    with first_free(tmp_path, list(enumerate("012")))[1]:
        assert first_free(tmp_path, list(enumerate("012"))) is None
        first.kill()
        first.wait()
        index, lock = first_free(tmp_path, list(enumerate("012")))
        assert index == 0
        lock.close()


async def test_a_trainer_that_finds_all_taken_waits_says_so_and_takes_the_first_that_gets_free(
    tmp_path, other, monkeypatch
):
    monkeypatch.setattr("services.trainer.model.gpus.WAIT_S", 0.05)
    process, _ = other()
    other(), other()
    context = context_of()
    with ExitStack() as held:
        waiting = asyncio.create_task(claim_device(POLICY, tmp_path, context, 3, held))
        await asyncio.sleep(0.2)
        assert "another trainer's" in context.health.state()["degraded"]["gpu"]
        process.kill()
        assert (await asyncio.wait_for(waiting, 3)).device == "cuda:0"
        assert (context.health.state()["degraded"], context.health.facts["device"]) == ({}, "cuda:0")


async def test_a_trainer_told_to_stop_waits_no_more(tmp_path, other):
    other(), other(), other()
    context = context_of()
    context.stop.set()
    with ExitStack() as held:
        assert await claim_device(POLICY, tmp_path, context, 3, held) is None


@pytest.mark.parametrize(
    ("device", "cpu_only", "count", "found"),
    [
        ("auto", False, 0, []),
        ("auto", True, 3, []),
        ("cpu", False, 3, []),
        ("auto", False, 3, [0, 1, 2]),
        ("cuda", False, 2, [0, 1]),
        ("cuda:1", False, 2, [1]),
    ],
)
async def test_the_settings_say_which_gpus_will_do(tmp_path, device, cpu_only, count, found):
    settings = POLICY.model_copy(update={"device": device, "cpu_only": cpu_only})
    assert list(candidates(settings, count)) == found
    with ExitStack() as held:
        claimed = await claim_device(settings, tmp_path, context_of(), count, held)
    assert claimed.device == (f"cuda:{found[0]}" if found else device)


@pytest.mark.parametrize(("device", "count"), [("cuda", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_a_wrong_setting(device, count):
    with pytest.raises(SettingsError, match="DEVICE="):
        candidates(POLICY.model_copy(update={"device": device}), count)


@pytest.mark.parametrize(
    ("environ", "count", "names"),
    [
        ({}, 2, ["0", "1"]),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, 1, ["0"]),
        ({"NVIDIA_VISIBLE_DEVICES": "2,3"}, 2, ["2", "3"]),  # a container that was given two of four
        ({"NVIDIA_VISIBLE_DEVICES": "2,3", "CUDA_VISIBLE_DEVICES": "1"}, 1, ["3"]),  # and a process that takes one
        ({"CUDA_VISIBLE_DEVICES": "GPU-5ad1,GPU-77"}, 2, ["GPU-5ad1", "GPU-77"]),
        ({"NVIDIA_VISIBLE_DEVICES": "2,3"}, 4, ["0", "1", "2", "3"]),  # it does not say what torch sees
    ],
)
def test_a_gpu_has_the_same_name_for_all_that_see_it_under_another_index(environ, count, names):
    assert gpu_names(count, environ) == names
