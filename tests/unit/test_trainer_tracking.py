"""A round in numbers, and how they are kept: nothing of it may hold up the training."""

import json
import threading

import pytest

from services.trainer.learning.learner import Update
from services.trainer.learning.rollout import Scored
from services.trainer.settings import TrainerSettings
from services.trainer.tracking import curves
from services.trainer.tracking.history import HistoryFile, as_line, points, read_histories
from services.trainer.tracking.numbers import point
from services.trainer.tracking.tensorboard import EventFiles, masked_crc, varint
from services.trainer.tracking.tracker import WAITING, Point, Tracks
from services.trainer.tracking.trackers import trackers_of
from shared.errors import SettingsError, SwarmError
from shared.health import Health
from shared.messages import Completion, Trained
from shared.settings import load
from tests.examples import ALICE, BOB, QUESTION

EVENT = Trained(
    at=5.0, peer_id=ALICE, round=3, stage=0, mean_reward=0.5, loss=0.25, gradient_norm=2.0, local_groups=4,
    external_groups=3, completion_tokens=60, seconds={"generate": 2.0, "update": 1.0}, seen_peers=1,
)  # fmt: skip


def group(finished, rewards, correctness=None):
    completions = tuple(Completion(text="x", finished=one) for one in finished)
    return Scored(ALICE, QUESTION, completions, rewards, correctness=correctness)


def test_a_round_in_numbers():
    local = [group((True, False), (1.0, 0.0), correctness=(0.5, 0.0)), group((True, True), (0.5, 0.5))]
    found = point(EVENT, local, Update(loss=0.25, gradient_norm=2.0, clipped=0.1, kl=0.01, changed=0.9))
    assert (found.round, found.stage, found.at) == (3, 0, 5.0)
    assert found.values == {
        "reward/total": 0.5, "reward/correctness": 0.375, "loss": 0.25, "completion/length": 15.0,
        "completion/finished": 0.75, "update/gradient_norm": 2.0, "update/clipped": 0.1, "update/divergence": 0.01,
        "update/changed": 0.9,
        "groups/local": 4, "groups/external": 3, "speed/tokens_per_s": 30.0, "speed/round_s": 3.0,
    }  # fmt: skip


def test_a_round_without_rollouts_tells_nothing_of_them_and_nothing_that_is_no_number():
    event = EVENT.model_copy(update={"completion_tokens": 0, "loss": float("nan"), "seconds": {}})
    values = point(event, [], Update(loss=float("nan"), gradient_norm=2.0)).values
    assert values.keys().isdisjoint({"reward/total", "reward/correctness", "completion/length", "loss"})
    assert values["speed/tokens_per_s"] == 0.0


class Kept:
    """A tracker that remembers; `fails` makes it raise, `gate` makes it wait."""

    def __init__(self, gate=None):
        self.rounds, self.fails, self.gate, self.closed = [], False, gate, False

    def write(self, point):
        if self.gate is not None:
            self.gate.wait(10)
        if self.fails:
            raise OSError("No space left on device")
        self.rounds.append(point.round)

    def close(self):
        self.closed = True


def at(number, **values):
    return Point(round=number, stage=0, at=1.0, values=values)


def test_a_tracker_that_fails_is_named_and_the_others_go_on():
    good, bad, health = Kept(), Kept(), Health("trainer", "one", 60)
    bad.fails = True
    tracks = Tracks({"bad": bad, "good": good}, health)
    for number in range(3):
        tracks.record(at(number))
    tracks.close()
    assert good.rounds == [0, 1, 2]
    assert good.closed and bad.closed
    assert health.state()["degraded"] == {}  # it could be closed, after all


def test_a_tracker_that_stands_still_holds_up_nobody_and_what_is_lost_is_said():
    gate, health = threading.Event(), Health("trainer", "one", 60)
    slow = Kept(gate)
    tracks = Tracks({"slow": slow}, health)
    for number in range(WAITING + 5):
        tracks.record(at(number))
    assert "rounds wait to be written" in health.state()["degraded"]["tracking"]
    gate.set()
    tracks.close()
    assert WAITING <= len(slow.rounds) < WAITING + 5
    assert slow.rounds[:WAITING] == list(range(WAITING))


def test_a_failure_is_told_with_its_reason_until_it_is_over():
    kept, health, written = Kept(), Health("trainer", "one", 60), threading.Event()
    kept.fails = True

    class Watched(Kept):
        def write(self, point):
            written.set()

    tracks = Tracks({"disk": kept, "watch": Watched()}, health)
    tracks.record(at(1))
    assert written.wait(5)
    assert health.state()["degraded"]["disk"] == "its numbers are not kept: OSError: No space left on device"
    kept.fails = False
    tracks.record(at(2))
    tracks.close()
    assert health.state()["degraded"] == {}


def test_who_never_recorded_has_nothing_to_close():
    Tracks({"never": Kept()}, Health("trainer", "one", 60)).close()


def test_history_is_read_back_by_peer_without_what_a_crash_left_behind(tmp_path):
    for peer, rounds in ((ALICE, (1, 2, 2)), (BOB, (0,))):
        file = HistoryFile(tmp_path / "history", peer)
        for index, number in enumerate(rounds):
            file.write(at(number, loss=float(index)))
        file.close()
    with (tmp_path / "history" / f"{ALICE}.jsonl").open("a") as file:
        file.write('{"round": 3, "stage": 0, "at"\n[1]\n{"round": 4}\n')
    found = read_histories(tmp_path / "history")
    assert {peer: [one.round for one in kept] for peer, kept in found.items()} == {BOB: [0], ALICE: [1, 2]}
    assert found[ALICE][1].values == {"loss": 2.0}
    assert points([as_line(at(1, loss=0.123456789))]) == [at(1, loss=0.123457)]


def test_history_keeps_two_files_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr("services.trainer.tracking.history.LARGEST", 200)
    file = HistoryFile(tmp_path, ALICE)
    for number in range(20):
        file.write(at(number, loss=0.5))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{ALICE}.jsonl", f"{ALICE}.old.jsonl"]
    assert all(path.stat().st_size < 300 for path in tmp_path.iterdir())
    rounds = [one.round for one in read_histories(tmp_path)[ALICE]]
    assert rounds == list(range(rounds[0], 20))
    assert len(rounds) >= 4


def test_checksums_and_numbers_are_as_the_formats_have_them():
    assert masked_crc(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert [varint(number) for number in (0, 127, 128, 300)] == [b"\x00", b"\x7f", b"\x80\x01", b"\xac\x02"]


def test_event_files_are_of_bounded_size_and_number(tmp_path, monkeypatch):
    monkeypatch.setattr("services.trainer.tracking.tensorboard.LARGEST", 100)
    files = EventFiles(tmp_path)
    for number in range(20):
        files.write(at(number, loss=1.0))
    files.close()
    files.close()
    assert len(list(tmp_path.iterdir())) == 4


def test_a_round_of_stages_is_the_mean_of_those_that_have_a_number():
    stages = [Point(1, stage, 0.0, values) for stage, values in enumerate(({"loss": 1.0}, {"loss": 3.0}, {}))]
    assert curves.curve([*stages, at(0, loss=5.0), at(2)], "loss") == {0: 5.0, 1: 2.0}


def test_the_mean_is_over_the_peers_that_have_the_round_and_is_smoothed_backwards():
    assert curves.mean([{0: 1.0, 1: 2.0}, {1: 4.0, 3: 1.0}]) == {0: 1.0, 1: 3.0, 3: 1.0}
    assert curves.smooth({0: 1.0, 1: 3.0, 5: 5.0}, 2) == {0: 1.0, 1: 2.0, 5: 4.0}
    assert curves.smooth({0: 1.0, 1: 3.0}, 1) == {0: 1.0, 1: 3.0}


def test_where_nothing_was_written_down_there_is_nothing_to_draw(tmp_path):
    for found in ({}, {ALICE: []}):
        with pytest.raises(SwarmError, match="no round has been trained"):
            curves.draw(found, tmp_path / "x.svg")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (False, "off")),
        ({"TENSORBOARD": "true", "WANDB": "true"}, (True, "offline")),
        ({"WANDB_MODE": "online"}, (False, "online")),
        ({"WANDB_MODE": "online", "WANDB": "False"}, (False, "off")),
        ({"WANDB_MODE": "disabled"}, (False, "off")),
    ],
)
def test_who_is_told_is_asked_for_in_words_that_people_know(monkeypatch, environment, expected):
    for name in ("TENSORBOARD", "WANDB", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = load("trainer", TrainerSettings).tracking
    assert (found.tensorboard, found.wandb) == expected


def test_history_is_kept_always_and_the_rest_when_asked(tmp_path):
    settings = load("trainer", TrainerSettings, [f"state_dir={tmp_path}"])
    assert list(trackers_of(settings, ALICE)) == ["history"]
    settings = load("trainer", TrainerSettings, [f"state_dir={tmp_path}", "tracking.tensorboard=true"])
    assert list(trackers_of(settings, ALICE)) == ["history", "tensorboard"]
    assert not list(tmp_path.iterdir())  # before the first round


def test_who_asks_for_a_package_that_is_not_there_is_told_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("services.trainer.tracking.wandb_run.find_spec", lambda _: None)
    settings = load("trainer", TrainerSettings, [f"state_dir={tmp_path}", "tracking.wandb=offline"])
    with pytest.raises(SettingsError, match=r"wandb is not installed\. pip install 'rlswarm\[tracking\]'"):
        trackers_of(settings, ALICE)


def test_what_others_are_told_of_the_settings_holds_no_secret(tmp_path, monkeypatch):
    monkeypatch.setattr("services.trainer.tracking.wandb_run.find_spec", lambda _: True)
    asked = [f"state_dir={tmp_path}", "tracking.wandb=offline", "policy.hf_token=hf_secret"]
    run = trackers_of(load("trainer", TrainerSettings, asked), ALICE)["wandb"]
    told = json.dumps(run._told)
    assert "learning_rate" in told
    assert "hf_" not in told
