"""What docker-compose.yml promises: old and new compose read it, all is closed, every setting is documented."""

import re
from pathlib import Path

import pytest
import yaml

from tests.invite_kit import invite_of

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
STACK = yaml.safe_load(TEXT)
SERVICES = STACK["services"]
OURS = {"coordinator", "identity", "judge", "p2p", "trainer-cpu", "trainer-cuda", "chain", "publisher"}
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?::?-([^}]*))?\}")
PUBLISHED = {"identity", "grafana", "p2p"}
ONCE = {"keys", "doctor"}  # they do what they do, and end


def keys_of(node, path=""):
    """Every dotted path in a tree of YAML."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{path}.{key}".lstrip(".")
            yield from keys_of(value, f"{path}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from keys_of(value, path)


# What docker-compose 1.29 does not read.
UNKNOWN_TO_OLD = [
    r"^name$",
    r"^include$",
    r"\.develop$",
    r"\.build\.(additional_contexts|secrets|platforms|tags)$",
    r"\.depends_on\.[\w-]+\.(required|restart)$",
    r"\.healthcheck\.start_interval$",
    r"\.env_file\.(path|required)$",
    r"\.gpus$",
    r"\.deploy\.resources\.limits\.pids$",
    r"^configs\.[\w-]+\.content$",
    r"^secrets\.[\w-]+\.environment$",
    r"\.bind\.create_host_path$",
    r"\.ports\.host_ip$",
]


@pytest.mark.parametrize("pattern", UNKNOWN_TO_OLD)
def test_nothing_is_used_that_an_old_compose_does_not_know(pattern):
    assert [path for path in keys_of(STACK) if re.search(pattern, path)] == []


def test_variables_are_written_so_that_an_old_compose_reads_them():
    assert "!reset" not in TEXT
    assert "!override" not in TEXT
    assert re.findall(r"\$\{\w+:?\+", TEXT) == [], "${A:+x}"
    assert re.findall(r"\$\{\w+:?-[^}]*\$\{", TEXT) == [], "${A:-${B}}"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_closed(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)
    assert "docker.sock" not in str(service)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
def test_every_service_comes_back_and_has_time_to_stop(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["stop_grace_period"] == "20s"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_only_the_page_grafana_and_the_peer_port_are_published(name):
    assert bool(SERVICES[name].get("ports")) is (name in PUBLISHED)


def test_redis_chain_judge_and_prometheus_have_no_way_out():
    for network in ("inside", "nowhere"):
        assert STACK["networks"][network] == {"internal": True}
    for name in ("redis", "chain", "prometheus"):
        assert SERVICES[name]["networks"] == ["inside"]
    assert SERVICES["judge"]["networks"] == ["inside", "${JUDGE_NETWORK:-nowhere}"]


def test_page_and_grafana_are_seen_from_this_machine_only_unless_asked():
    for name, port in (("identity", 3000), ("grafana", 3001)):
        (published,) = SERVICES[name]["ports"]
        assert published.startswith(f"${{{name.upper()}_BIND:-127.0.0.1}}:${{{name.upper()}_PORT:-{port}}}:")


def test_no_secret_stands_in_the_environment_of_a_service_but_the_hub_token():
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            if re.search("PASSWORD|SECRET|TOKEN|KEY", variable) and not variable.endswith("_FILE"):
                assert variable in {"HF_TOKEN", "HUGGINGFACE_ACCESS_TOKEN"}, name


@pytest.mark.parametrize(
    ("profile", "without"),
    [
        ("cpu", {"trainer-cuda"}),
        ("cuda", {"trainer-cpu"}),
        ("join", {"trainer-cuda", "chain"}),
        ("join-cuda", {"trainer-cpu", "chain"}),
    ],
)
def test_a_profile_is_all_that_a_household_needs(profile, without):
    assert {name for name, service in SERVICES.items() if profile in service["profiles"]} == set(SERVICES) - without - {
        "doctor"
    }


def test_a_bootnode_is_p2p_and_its_queue_and_nothing_else():
    assert {name for name, service in SERVICES.items() if "bootnode" in service["profiles"]} == {"keys", "redis", "p2p"}


def test_monitoring_is_part_of_every_profile_and_can_be_started_alone():
    alone = {name for name, service in SERVICES.items() if "monitoring" in service["profiles"]}
    assert alone == {"prometheus", "grafana"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_whoever_is_waited_for_is_in_all_profiles_of_who_waits(name):
    for other in SERVICES[name].get("depends_on", {}):
        assert set(SERVICES[name]["profiles"]) <= set(SERVICES[other]["profiles"])


def test_images_of_others_are_pinned_by_digest():
    defaults = dict(VARIABLE.findall(TEXT))
    for variable in ("PYTHON_IMAGE", "FOUNDRY_IMAGE", "REDIS_IMAGE", "PROMETHEUS_IMAGE", "GRAFANA_IMAGE"):
        assert re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", defaults[variable]), variable


def test_dockerfiles_and_compose_agree_on_the_base_images():
    defaults = dict(VARIABLE.findall(TEXT))
    for file in ("Dockerfile.cpu", "Dockerfile.cuda"):
        for name, image in re.findall(r"^ARG (\w+_IMAGE)=(.*)$", (ROOT / file).read_text(), re.M):
            assert image == defaults[name], f"{file}: {name}"


def test_every_variable_is_documented_and_no_other():
    used = {name for name, _ in VARIABLE.findall(TEXT)} | set(re.findall(r"\$\{(\w+)", TEXT))
    documented = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.M))
    assert documented == used


def test_documented_defaults_are_the_real_ones():
    documented = dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(\S*)", (ROOT / ".env.example").read_text(), re.M))
    for name, default in VARIABLE.findall(TEXT):
        if default:
            assert documented[name] == default, name


def test_what_a_service_is_told_is_what_its_settings_read():
    known = set(re.findall(r"\$\{env:(\w+)", "".join(p.read_text() for p in (ROOT / "config").rglob("*.yaml"))))
    known |= {"HF_HUB_DOWNLOAD_TIMEOUT", "HF_ENDPOINT"}  # read by the hub's own library
    for name in OURS:
        assert set(SERVICES[name]["environment"]) <= known, name


def test_an_invite_reaches_every_service_and_nothing_hides_what_it_says():
    for name in OURS - {"chain"}:
        told = SERVICES[name]["environment"]
        assert told["SWARM_INVITE"] == "${SWARM_INVITE:-}", name
        for variable in invite_of().variables():
            assert told.get(variable, f"${{{variable}:-}}") == f"${{{variable}:-}}", f"{name}: {variable}"
    assert SERVICES["coordinator"]["environment"]["DEFAULT_CHAIN_URL"] == "http://chain:8545"
