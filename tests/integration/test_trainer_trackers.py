"""What the trackers write, read back by those it is meant for."""

import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.trainer.loop import Trainer
from services.trainer.settings import TrainerSettings
from services.trainer.tracking.history import read_histories
from services.trainer.tracking.tensorboard import EventFiles
from services.trainer.tracking.tracker import Point, Tracks
from services.trainer.tracking.wandb_run import WandbRun
from shared.health import Health
from shared.messages import Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from tests.examples import ALICE, BOB

REWARDS = [0.125, 0.25, 0.75]
POINTS = [
    Point(round=300 + n, stage=0, at=1_700_000_000.5 + n, values={"reward/total": r, "loss": -r})
    for n, r in enumerate(REWARDS)
]


def test_tensorboard_reads_every_round_of_every_file(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for part in (POINTS[:2], POINTS[2:]):  # the second as after a restart
        files = EventFiles(tmp_path)
        for one in part:
            files.write(one)
        files.close()
    read = EventAccumulator(str(tmp_path)).Reload()
    assert read.Tags()["scalars"] == ["reward/total", "loss"]
    found = [(event.step, event.value, event.wall_time) for event in read.Scalars("reward/total")]
    assert found == [(one.round, one.values["reward/total"], one.at) for one in POINTS]


def records(path: Path):
    """The records of a run's file: blocks of 32 KiB, each part with a head of crc, length and kind (LevelDB's log)."""
    content, place = path.read_bytes(), 7  # behind the file's own head
    while place + 7 <= len(content):
        if 32_768 - place % 32_768 < 7:
            place += 32_768 - place % 32_768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        assert kind == 1  # whole: small runs have no others
        yield content[place + 7 : place + 7 + length]
        place += 7 + length


@pytest.mark.timeout(120)
def test_a_run_of_weights_and_biases_lies_on_the_disk_with_every_round(tmp_path):
    run = WandbRun(tmp_path, mode="offline", project="home", name="alice", config={"seed": 42})
    health = Health("trainer", "one", 60)
    tracks = Tracks({"wandb": run}, health)
    for one in POINTS:
        tracks.record(one)
    tracks.close()
    assert health.state()["degraded"] == {}
    (path,) = [found for found in tmp_path.rglob("*.wandb") if not found.parent.is_symlink()]
    until, expected = time.monotonic() + 30, [(one.round, one.values["reward/total"]) for one in POINTS]
    while (found := told(path)) != expected and time.monotonic() < until:  # its own process writes the last of it
        time.sleep(0.2)
    assert found == expected


def told(path: Path):
    """Round and reward of every record of history."""
    from wandb.proto.wandb_internal_pb2 import Record

    found = []
    for content in records(path):
        (record := Record()).ParseFromString(content)
        if record.WhichOneof("record_type") == "history":
            items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            found.append((json.loads(items["round"]), json.loads(items["reward/total"])))
    return found


def plot(history, out):
    command = [sys.executable, "-m", "services.cli", "plot", "--history", str(history), "--out", str(out)]
    return subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)


async def test_a_trained_round_stands_in_the_history_and_draws_four_plots(tmp_path):
    settings = load("trainer", TrainerSettings, [f"state_dir={tmp_path}", "exchange_patience_s=0"])
    context = Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))
    for peer in (ALICE, BOB):
        trainer = Trainer(settings, context, peer)
        for number in range(2):
            now = time.time()
            await trainer.play(Round(number=number, stage=0, opened_at=now, deadline=now + 5))
        trainer.tracks.close()
    found = read_histories(tmp_path / "history")
    assert {peer: [one.round for one in kept] for peer, kept in found.items()} == {ALICE: [0, 1], BOB: [0, 1]}
    first = found[ALICE][0].values
    assert 0 <= first["reward/correctness"] == first["reward/total"] <= 1
    assert 1 <= first["completion/length"] <= settings.game.max_new_tokens
    out = tmp_path / "curves.svg"
    assert plot(tmp_path / "history", out).returncode == 0
    drawn = out.read_text()
    for title in ("correctness reward", "total reward", "loss, nats", "tokens a completion", "mean, smoothed"):
        assert title in drawn


def test_a_plot_of_nothing_is_one_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "services.cli",
        "plot",
        "--history",
        str(tmp_path),
        "--out",
        str(tmp_path / "x.svg"),
    ]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("no round has been trained yet")
    assert done.stderr.count("\n") == 1
