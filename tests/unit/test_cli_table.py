import io

import pytest
from rich.console import Console

from services.cli import table, text
from services.local.history import History
from services.local.snapshot import Snapshot, is_finished, mean_by_round, peer_rows, seconds_left, service_rows
from services.local.summary import summarize
from services.local.supervisor import ProgramState
from shared.household import ServiceState
from shared.names import name_of
from tests.unit.test_local_summary import CHAIN, A, B, rewarded, trained


def history_of(*messages):
    history = History()
    for message in messages:
        history.add(message)
    return history


def state(instance, pid, status="ok", degraded=None):
    return ServiceState(
        service=instance,
        instance=instance,
        pid=pid,
        port=9400,
        at=1.0,
        status=status,
        progress_age_s=0.1,
        degraded=degraded or {},
        facts={},
    )


HISTORY = history_of(*(trained(peer, n, n / 20) for n in range(12) for peer in (A, B)), rewarded(A, 1, 250))
PROGRAMS = [ProgramState("redis", "RUNNING", 1), ProgramState("p2p", "RUNNING", 2)]


def snapshot(**changes):
    values = {
        "name": "demo",
        "page": "http://localhost:3000",
        "elapsed_s": 75.0,
        "round": 12,
        "rounds": 60,
        "seconds_left": 47.0,
        "finished": False,
        "peers": peer_rows(HISTORY, [A, B]),
        "services": service_rows(PROGRAMS, [state("p2p", 2, "degraded", {"bootnode": "none answers"})]),
        "restarts": 1,
        "rewards": mean_by_round(HISTORY),
    }
    return Snapshot(**(values | changes))


def printed(renderable, width=120):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(renderable)
    return console.file.getvalue()


def test_the_live_table_names_peers_rewards_services_and_restarts():
    shown = printed(table.live(snapshot()))
    for part in (name_of(A), name_of(B), "0.550", "0.325", "48", "0.25", "12/60", "47s", "degraded", "1 restart "):
        assert part in shown, part
    assert "bootnode: none answers" in shown
    assert "http://localhost:3000" in shown


def test_the_status_tells_with_how_many_others_p2p_is_linked():
    said = state("p2p", 2).model_copy(update={"facts": {"connected": 5, "linked": 3}})
    shown = snapshot(services=service_rows(PROGRAMS, [said]))
    words = "connected with 5 peers of others, read announcements of 3"
    assert words in printed(table.services(shown, full=True))
    assert words not in printed(table.services(shown))


def test_the_table_stands_before_anything_is_known():
    shown = printed(table.live(snapshot(round=None, rounds=None, seconds_left=None, peers=(), services=(), rewards=())))
    assert "round -" in shown


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_fits_any_terminal(width):
    assert all(len(line) <= width for line in printed(table.live(snapshot()), width).splitlines())


def test_the_plain_line_says_the_same_in_one_line():
    line = table.line(snapshot())
    assert "\n" not in line
    assert "round 12/60" in line
    assert "p2p degraded" in line
    assert "all services ok" in table.line(snapshot(services=()))


def test_a_report_of_a_dead_predecessor_is_not_shown():
    (_, p2p) = service_rows(PROGRAMS, [state("p2p", 99)])
    assert p2p.status == ""


@pytest.mark.parametrize(
    ("process", "name", "word"),
    [
        ("RUNNING", "redis", "ok"),
        ("RUNNING", "p2p", "starting"),
        ("EXITED", "trainer-0", "ended"),
        ("BACKOFF", "p2p", "backoff"),
        ("FATAL", "p2p", "fatal"),
    ],
)
def test_a_service_that_has_not_reported_is_what_its_process_is(process, name, word):
    (row,) = service_rows([ProgramState(name, process, 0)], [])
    assert table.condition(row) == word


def test_the_result_shows_the_summary_and_a_plot():
    summary = summarize(HISTORY, seconds=75.0, restarts=1, chain=CHAIN, chain_url="http://127.0.0.1:8545")
    shown = printed(table.result("demo", summary, mean_by_round(HISTORY)))
    for part in ("12 in 1m15s", "1 rewards", "96 question groups", "0xc at http://127.0.0.1:8545", "█", "┤"):
        assert part in shown, part


def test_the_time_to_go_is_reckoned_from_the_latest_pace():
    assert seconds_left(HISTORY, 60, CHAIN) == pytest.approx(48.0)
    assert seconds_left(HISTORY, None, CHAIN) is None
    assert seconds_left(History(), 60, CHAIN) is None


def test_a_run_resumed_for_more_rounds_is_not_finished_by_what_the_store_still_says():
    assert is_finished(CHAIN, 12)
    assert is_finished(CHAIN, None)
    assert not is_finished(CHAIN, 60)
    assert not is_finished(CHAIN.model_copy(update={"finished": False}), 12)
    assert not is_finished(None, 12)


def test_a_sparkline_goes_from_lowest_to_highest():
    assert text.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert text.sparkline([]) == ""
    assert len(set(text.sparkline([1.0, 1.0, 1.0]))) == 1
    assert len(text.sparkline(list(range(1000)), 20)) == 20


def test_a_plot_has_its_scale_and_fits_its_width():
    lines = text.plot([0.0, 0.5, 1.0] * 100, width=30, height=4)
    assert len(lines) == 4
    assert all(len(line) == len(lines[0]) for line in lines)
    assert text.plot([]) == []


@pytest.mark.parametrize(("seconds", "said"), [(None, "-"), (3, "3s"), (75, "1m15s"), (3720, "1h02m")])
def test_durations_as_people_read_them(seconds, said):
    assert text.duration(seconds) == said
