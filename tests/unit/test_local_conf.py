import configparser
import shlex
from pathlib import Path

import pytest

from services.local import programs as parts
from services.local.conf import render
from services.local.folder import MARK, Plan, RunFolder, find_run
from services.local.programs import Program, environment, place, programs, trainers
from services.local.settings import local_settings
from shared.errors import SwarmError
from tests.invite_kit import PEER, invite_of, text_of

PORTS = {"redis": 6380, "chain": 8546, "identity": 3001, "signer": 3002, "judge": 8001, "p2p": 38331}


def plan_of(**changes):
    named = [*parts.SERVICES, *trainers(2), "chain", parts.PUBLISHER]
    health = {f"health:{name}": 9400 + i for i, name in enumerate(named)}
    plan = Plan(
        name="demo",
        peers=2,
        rounds=60,
        model=None,
        ports=PORTS | health,
        own_redis=True,
        own_chain=True,
        started_at=1.0,
    )
    return plan.model_copy(update=changes)


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "demo")
    folder.create()
    return folder


def read(text):
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(text)
    return parser


def test_a_run_is_redis_chain_services_and_trainers_in_this_order(folder):
    found = programs(plan_of(), folder, Path("/bin/anvil"))
    names = ["redis", "chain", "coordinator", "identity", "judge", "p2p", "trainer-0", "trainer-1"]
    assert [program.name for program in found] == names
    assert sorted(names[::-1], key=place) == names
    assert [program.priority for program in found] == sorted(program.priority for program in found)


def test_the_publisher_runs_where_there_is_a_token_and_starts_last(folder, monkeypatch):
    for variable in parts.TOKENS:
        monkeypatch.delenv(variable, raising=False)
    assert parts.PUBLISHER not in {program.name for program in programs(plan_of(), folder, None)}
    monkeypatch.setenv("HF_TOKEN", "None")
    monkeypatch.setenv("HUGGINGFACE_ACCESS_TOKEN", "hf_secret")
    found = programs(plan_of(), folder, None)
    assert found[-1].name == parts.PUBLISHER and sorted(found, key=lambda one: place(one.name)) == found


def test_what_runs_elsewhere_is_not_started(folder):
    found = programs(plan_of(own_redis=False), folder, None)
    assert not {"redis", "chain"} & {program.name for program in found}


def test_every_program_has_its_own_instance_and_health_port(folder):
    found = [program for program in programs(plan_of(), folder, None) if program.name != "redis"]
    assert [program.environment["INSTANCE"] for program in found] == [program.name for program in found]
    assert len({program.environment["HTTP_PORT"] for program in found}) == len(found)


def test_the_configuration_restarts_what_dies_but_not_what_is_done_or_has_bad_settings(folder):
    conf = read(render(folder, programs(plan_of(), folder, Path("/bin/anvil")), local_settings()))
    section = conf["program:trainer-0"]
    assert section["autorestart"] == "unexpected"
    assert section["exitcodes"] == "0,2"
    assert (section["stopasgroup"], section["killasgroup"]) == ("false", "true")
    assert section["stopwaitsecs"] == "15"
    assert section["stdout_logfile"] == str(folder.logs / "trainer-0.log")
    assert shlex.split(section["command"])[1:] == ["-m", "services.trainer"]
    assert conf["group:trainers"]["programs"] == "trainer-0,trainer-1"
    assert conf["group:trainers"]["priority"] > conf["group:services"]["priority"]
    assert "PROCESS_STATE" in conf["eventlistener:restarts"]["events"]


def test_percent_signs_and_spaces_reach_the_program(folder):
    program = Program("odd", ("/bin/my app", "100%"), 1, environment={"A": "50%"})
    section = read(render(folder, [program], local_settings()))["program:odd"]
    assert shlex.split(section["command"].replace("%%", "%")) == ["/bin/my app", "100%"]
    assert section["environment"] == 'A="50%%"'


def test_secrets_are_in_no_file(folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    text = render(folder, programs(plan_of(), folder, Path("/bin/anvil")), local_settings())
    assert "hf_secret" not in text
    assert environment(plan_of(), folder, {"HF_TOKEN": "hf_secret"})["HF_TOKEN"] == "hf_secret"


def test_the_redis_of_a_run_loses_and_evicts_nothing(folder):
    redis = programs(plan_of(), folder, None)[0]
    conf = Path(redis.command[1]).read_text()
    for line in ("bind 127.0.0.1", "port 6380", "appendonly yes", "appendfsync always", "maxmemory-policy noeviction"):
        assert line in conf.splitlines()


def test_the_environment_tells_the_services_where_their_neighbours_are(folder):
    told = environment(plan_of(), folder, {})
    assert told["REDIS_URL"] == "redis://127.0.0.1:6380/0"
    assert told["CHAIN_URL"] == "http://127.0.0.1:8546"
    assert told["JUDGE_URL"] == "http://127.0.0.1:8001"
    assert (told["P2P_PEERS"], told["MAX_ROUNDS"], told["SWARM_NAME"]) == ("2", "60", "demo")
    assert told["STATE_DIR"] == str(folder.state)
    assert told["OMP_NUM_THREADS"] == "1"
    assert told[MARK] == str(folder.root)


def test_what_the_user_sets_wins(folder):
    given = {"SWARM_NAME": "mine", "STATE_DIR": "/srv/state", "OMP_NUM_THREADS": "4", "CHAIN_URL": "http://chain:1"}
    told = environment(plan_of(own_chain=False), folder, given)
    assert given.items() <= told.items()


@pytest.mark.parametrize("off", ["", "None"])
def test_what_the_user_switches_off_is_as_if_not_set(folder, off):
    told = environment(plan_of(), folder, {"SWARM_NAME": off, "HF_TOKEN": off})
    assert told["SWARM_NAME"] == "demo"
    assert "HF_TOKEN" not in told


def test_a_larger_model_may_use_more_threads(folder):
    told = environment(plan_of(model="Qwen/Qwen3-0.6B"), folder, {})
    assert "OMP_NUM_THREADS" not in told
    assert (told["DATA_MIX"], told["ROUND_MAX_S"]) == ("nine", "300")
    assert told["MODEL_NAME"] == "Qwen/Qwen3-0.6B"


def test_a_long_path_gets_a_short_socket(tmp_path):
    assert RunFolder(Path("/srv/runs/a")).socket == Path("/srv/runs/a/supervisor.sock")
    deep = RunFolder(tmp_path / ("x" * 100))
    assert len(str(deep.socket)) < 100
    assert deep.socket == RunFolder(tmp_path / ("x" * 100)).socket


def test_the_run_started_last_is_found_without_a_name(tmp_path):
    with pytest.raises(SwarmError, match="no run"):
        find_run(tmp_path, None)
    for name in ("one", "two"):
        folder = RunFolder(tmp_path / name)
        folder.create()
        folder.write_plan(plan_of(name=name))
    assert find_run(tmp_path, None).root.name == "two"
    assert find_run(tmp_path, "one").read_plan() == plan_of(name="one")
    with pytest.raises(SwarmError, match="no run three"):
        find_run(tmp_path, "three")


def test_a_damaged_plan_is_one_clear_line(folder):
    folder.plan.write_text("{")
    with pytest.raises(SwarmError, match="cannot be read"):
        folder.read_plan()


def test_who_was_invited_is_told_what_the_invite_says_unless_the_environment_says_otherwise(folder):
    text = text_of(invite_of())
    plan = plan_of(own_chain=False, chain_url="http://203.0.113.7:8545", invite=text)
    told = environment(plan, folder, {"GAME": "debate"})
    assert (told["SWARM_NAME"], told["SWARM_INVITE"], told["INITIAL_PEERS"]) == ("meadow", text, PEER)
    assert (told["CHAIN_URL"], told["GAME"], told["DATA_MIX"]) == ("http://203.0.113.7:8545", "debate", "easy")
    large = plan.model_copy(update={"model": "Qwen/Qwen3-0.6B"})
    assert environment(large, folder, {})["DATA_MIX"] == "easy"


def test_a_run_that_has_an_address_lets_others_in_and_says_where_its_chain_is(folder):
    told = environment(plan_of(host="203.0.113.7"), folder, {})
    assert (told["P2P_HOST"], told["P2P_ANNOUNCE_HOST"], told["CHAIN_HOST"]) == ("0.0.0.0", "203.0.113.7", "0.0.0.0")
    assert told["INVITE_CHAIN_URL"] == "http://203.0.113.7:8546"
    assert not {"P2P_HOST", "CHAIN_HOST", "INVITE_CHAIN_URL"} & set(environment(plan_of(), folder, {}))
    guest = environment(plan_of(host="203.0.113.9", own_chain=False), folder, {"P2P_HOST": "203.0.113.9"})
    assert guest["P2P_HOST"] == "203.0.113.9"
    assert "CHAIN_HOST" not in guest
