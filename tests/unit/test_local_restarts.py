import io

from services.local.restarts import Restart, events, note_restart, read_restarts
from services.local.tails import last_exit, last_line, tail

LOG = """\
2026-11-23 12:23:02,793 INFO spawned: 'judge' with pid 1
2026-11-23 12:23:02,793 WARN exited: judge (exit status 1; not expected)
2026-11-23 12:23:03,793 WARN exited: trainer-1 (terminated by SIGKILL; not expected)
2026-11-23 12:23:04,793 INFO exited: judge (exit status 0; expected)
"""


def test_a_restart_is_a_line_with_time_program_cause_and_count(tmp_path):
    path = tmp_path / "restarts.log"
    assert read_restarts(path) == []
    note_restart(path, "judge", "exit status 1")
    note_restart(path, "p2p", "terminated by SIGKILL")
    second = note_restart(path, "judge", "")
    assert path.read_text().splitlines()[-1] == f"{second.at} judge restart 2: cause unknown"
    assert [(r.program, r.count) for r in read_restarts(path)] == [("judge", 1), ("p2p", 1), ("judge", 2)]


def test_a_line_reads_as_it_was_written(tmp_path):
    restart = Restart("2026-01-31 12:00:00", "trainer-0", 3, "terminated by SIGKILL")
    path = tmp_path / "restarts.log"
    path.write_text(f"{restart}\nnot a restart\n")
    assert read_restarts(path) == [restart]


def test_how_a_program_ended_last_is_read_from_the_supervisors_log(tmp_path):
    path = tmp_path / "supervisord.log"
    path.write_text(LOG)
    assert last_exit(path, "judge") == "exit status 0"
    assert last_exit(path, "trainer-1") == "terminated by SIGKILL"
    assert last_exit(path, "trainer") == ""


def test_it_is_found_in_the_log_before_the_rotation_too(tmp_path):
    (tmp_path / "supervisord.log.1").write_text(LOG)
    assert last_exit(tmp_path / "supervisord.log", "judge") == "exit status 0"


def test_supervisords_events_are_read_and_acknowledged():
    payload = "processname:judge groupname:services from_state:BACKOFF tries:1"
    head = f"ver:3.0 server:rlswarm serial:1 pool:restarts eventname:PROCESS_STATE_STARTING len:{len(payload)}\n"
    out = io.StringIO()
    found = list(events(io.StringIO((head + payload) * 2), out))
    assert [name for name, _ in found] == ["PROCESS_STATE_STARTING"] * 2
    assert found[0][1] == {"processname": "judge", "groupname": "services", "from_state": "BACKOFF", "tries": "1"}
    assert out.getvalue() == "READY\nRESULT 2\nOKREADY\nRESULT 2\nOKREADY\n"


def test_the_last_line_that_says_something(tmp_path):
    path = tmp_path / "judge.log"
    path.write_text("Traceback (most recent call last):\n  File x\nValueError: no\n  raise\n\n")
    assert last_line(path) == "ValueError: no"
    assert last_line(tmp_path / "none.log") == ""
    assert tail(path, 2) == ["  raise", ""]
    assert tail(path, 0) == []
