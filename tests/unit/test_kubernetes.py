"""What deploy/kubernetes promises: valid by Kubernetes' schemas, closed by default, in step with docker-compose.yml.

The files hold whole objects, so all of it is checked file by file; what kustomize makes of them is checked too where
kubectl is installed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from services.coordinator.settings import CoordinatorSettings
from services.identity.settings import IdentitySettings
from services.p2p.settings import P2PSettings
from shared.errors import SettingsError
from shared.health import Health, serve_http
from shared.settings import ENV, load
from tests.invite_kit import invite_of, text_of

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OLDEST, NEWEST = "1.29", "1.37"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OUR_IMAGES = {"rlswarm-slim", "rlswarm-torch", "rlswarm-chain", "rlswarm-cuda"}
# Read by programs that are not ours.
FOREIGN_ENV = {"REDIS_MAXMEMORY", "HF_HUB_DOWNLOAD_TIMEOUT"}
WORKLOADS = ("Deployment", "StatefulSet")


def documents(path):
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def is_kustomization(path):
    return path.name == "kustomization.yaml"


FILES = sorted(path for path in KUBERNETES.rglob("*.yaml") if not is_kustomization(path))
KUSTOMIZATIONS = sorted(KUBERNETES.rglob("kustomization.yaml"))
OBJECTS = [one for path in FILES for one in documents(path)]
PODS = {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in OBJECTS if one["kind"] in WORKLOADS}
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def image_in_compose(service):
    return re.fullmatch(r"\$\{\w+:-(.+?)\}.*", COMPOSE[service]["image"])[1]


def told():
    """Every variable that any kustomization or manifest sets for our services, with its values."""
    for path in KUSTOMIZATIONS:
        for generator in yaml.safe_load(path.read_text()).get("configMapGenerator", []):
            for literal in generator.get("literals", []):
                name, _, value = literal.partition("=")
                yield name, value
    for name, pod in PODS.items():
        if name != "grafana":
            yield from ((one["name"], one.get("value")) for one in pod["containers"][0].get("env", []))


def render(folder):
    made = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return [one for one in yaml.safe_load_all(made.stdout) if one]


def by_name(objects, kind, name):
    (found,) = [one for one in objects if one["kind"] == kind and re.fullmatch(name, one["metadata"]["name"])]
    return found


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(KUBERNETES)))
def test_every_manifest_is_valid_by_the_schemas_of_kubernetes(path, version):
    for one in documents(path):
        kubernetes_validate.validate(one, version, strict=True)


def test_the_schemas_refuse_what_kubernetes_would_refuse():
    broken = {**OBJECTS[0], "metadata": {"nam": "rlswarm"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, NEWEST, strict=True)


def test_every_service_of_the_compose_file_runs_here_too():
    made_by_the_operator = {"keys", "doctor"}  # a Secret; a command in a pod
    assert set(COMPOSE) - made_by_the_operator == set(PODS)


@pytest.mark.parametrize("name", sorted(PODS))
def test_no_pod_has_rights(name):
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("name", sorted(PODS))
def test_no_pod_is_told_of_services_by_variables_that_are_settings_of_ours(name):
    # The Service `chain` would set CHAIN_PORT=tcp://10.0.0.1:8545.
    assert PODS[name]["enableServiceLinks"] is False


@pytest.mark.parametrize("name", sorted(PODS))
def test_every_container_is_watched_and_bounded(name):
    (container,) = PODS[name]["containers"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    assert 10 < PODS[name]["terminationGracePeriodSeconds"] <= 60


@pytest.mark.parametrize("name", sorted(PODS))
def test_the_images_are_ours_or_exactly_those_of_the_compose_file(name):
    image, expected = PODS[name]["containers"][0]["image"], image_in_compose(name)
    assert image == expected
    assert image in OUR_IMAGES or re.search(r":[\w.-]+@sha256:[0-9a-f]{64}$", image)


def test_all_our_images_get_their_registry_and_the_version_of_the_project_in_one_place():
    made = yaml.safe_load((KUBERNETES / "components/images/kustomization.yaml").read_text())["images"]
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert {one["name"] for one in made} == OUR_IMAGES
    assert {one["newTag"] for one in made} == {version}
    # No cluster takes a name with capitals, so nobody's images are run by mistake.
    assert {one["newName"].split("/")[1] for one in made} == {"OWNER"}


def test_every_variable_is_a_setting():
    known = {name for path in (ROOT / "config").glob("*.yaml") for name in ENV.findall(path.read_text())}
    assert {name for name, _ in told()} - known <= FOREIGN_ENV


def test_grafana_is_told_the_same_as_in_the_compose_file():
    given = {one["name"]: one["value"] for one in PODS["grafana"]["containers"][0]["env"]}
    assert given == COMPOSE["grafana"]["environment"]


def test_redis_is_told_the_same_as_in_the_compose_file():
    (container,) = PODS["redis"]["containers"]
    assert container["command"] == COMPOSE["redis"]["entrypoint"]
    assert container["startupProbe"]["exec"]["command"] == COMPOSE["redis"]["healthcheck"]["test"][1:]


def test_secrets_come_as_files_or_by_reference_and_none_lies_here():
    assert "Secret" not in {one["kind"] for one in OBJECTS}
    for name, value in told():
        if re.search(r"TOKEN|PASSWORD|SECRET|_KEY", name):
            assert value is None or name.endswith("_FILE"), name
    for path in KUSTOMIZATIONS:
        assert "secretGenerator" not in yaml.safe_load(path.read_text())
    for pod in PODS.values():
        assert all(one["secret"]["defaultMode"] == 0o440 for one in pod["volumes"] if "secret" in one)


def test_what_must_survive_lies_on_a_volume_that_outlives_the_pod():
    kept = {"redis": "/data", "chain": "/state", "coordinator": "/state", "p2p": "/state", "prometheus": "/prometheus"}
    for name, place in kept.items():
        (stateful,) = [one for one in OBJECTS if one["kind"] == "StatefulSet" and one["metadata"]["name"] == name]
        claims = {claim["metadata"]["name"] for claim in stateful["spec"]["volumeClaimTemplates"]}
        mounts = {one["mountPath"]: one["name"] for one in PODS[name]["containers"][0]["volumeMounts"]}
        assert mounts[place] in claims
    for name in ("trainer-cpu", "trainer-cuda"):
        assert {"name": "state", "persistentVolumeClaim": {"claimName": "trainer"}} in PODS[name]["volumes"]
        instance = next(one for one in PODS[name]["containers"][0]["env"] if one["name"] == "INSTANCE")
        assert instance["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


@pytest.mark.parametrize("name", ["trainer-cpu", "trainer-cuda"])
def test_a_trainer_has_started_when_its_model_is_loaded(name):
    health = Health("trainer", "trainer-0", bound_s=60)
    with serve_http(health, "127.0.0.1", 0) as port:
        command = PODS[name]["containers"][0]["startupProbe"]["exec"]["command"]
        command = [sys.executable, *(part.replace(":9100", f":{port}") for part in command[1:])]
        assert subprocess.run(command, capture_output=True, check=False).returncode != 0
        health.facts["model"] = "embedded"
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_every_mount_has_its_volume():
    for one in OBJECTS:
        if one["kind"] in WORKLOADS:
            pod = one["spec"]["template"]["spec"]
            volumes = {volume["name"] for volume in pod["volumes"]}
            claims = {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])}
            assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes | claims


def named(selector):
    """The names that a pod selector speaks of."""
    yield from (value for key, value in selector.get("matchLabels", {}).items() if key.endswith("/name"))
    for expression in selector.get("matchExpressions", []):
        yield from expression["values"]


def test_services_and_policies_point_at_pods_that_there_are():
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in OBJECTS if one["kind"] in WORKLOADS]
    names = {one["app.kubernetes.io/name"] for one in labels}
    for one in OBJECTS:
        if one["kind"] == "Service":
            assert any(one["spec"]["selector"].items() <= pod.items() for pod in labels), one["metadata"]["name"]
        if one["kind"] == "NetworkPolicy":
            asked = [peer["podSelector"] for rule in one["spec"].get("ingress", []) for peer in rule.get("from", [])]
            for selector in [one["spec"]["podSelector"], *asked]:
                assert set(named(selector)) <= names, one["metadata"]["name"]


def test_prometheus_finds_every_service_under_the_name_it_knows():
    services = {one["metadata"]["name"]: one["spec"] for one in OBJECTS if one["kind"] == "Service"}
    jobs = yaml.safe_load((ROOT / "config/prometheus/prometheus.yml").read_text())["scrape_configs"]
    asked = [discovery for job in jobs for discovery in job.get("dns_sd_configs", [])]
    assert asked
    for discovery in asked:
        for name in discovery["names"]:
            assert discovery["port"] in {port["port"] for port in services[name]["ports"]}


def test_only_p2p_is_open_to_strangers():
    open_to_all = {
        one["metadata"]["name"]
        for one in OBJECTS
        if one["kind"] == "NetworkPolicy" and any("from" not in rule for rule in one["spec"].get("ingress", []))
    }
    assert open_to_all == {"p2p"}
    published = {
        one["metadata"]["name"]
        for one in OBJECTS
        if one["kind"] == "Service" and one["spec"].get("type", "ClusterIP") != "ClusterIP"
    }
    assert published == {"p2p-public"}


def test_no_way_out_for_what_stands_only_on_the_inner_network_of_compose():
    (policy,) = [one for one in OBJECTS if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "way-out"]
    may = set(policy["spec"]["podSelector"]["matchExpressions"][0]["values"])
    inner = {name for name, service in COMPOSE.items() if service.get("networks") == ["inside"]}
    assert inner
    assert may & inner == set()


def test_every_patch_has_an_object_to_change():
    for path in KUSTOMIZATIONS:
        for patch in yaml.safe_load(path.read_text()).get("patches", []):
            target = patch["target"]
            assert [
                one
                for one in OBJECTS
                if one["kind"] == target["kind"] and re.fullmatch(target["name"], one["metadata"]["name"])
            ], (path, target)


def test_every_kustomization_takes_in_folders_and_files_that_there_are():
    for path in KUSTOMIZATIONS:
        kustomization = yaml.safe_load(path.read_text())
        for one in [*kustomization.get("resources", []), *kustomization.get("components", [])]:
            found = path.parent / one
            assert found.is_file() or (found / "kustomization.yaml").is_file(), (path, one)


def test_every_file_beside_a_kustomization_is_taken_in():
    for path in FILES:
        kustomization = yaml.safe_load((path.parent / "kustomization.yaml").read_text())
        assert path.name in kustomization["resources"], path


def test_the_configmaps_hold_every_file_that_the_compose_file_mounts():
    generators = yaml.safe_load((ROOT / "config/kustomization.yaml").read_text())["configMapGenerator"]
    taken = {file for generator in generators for file in generator["files"]}
    there = {
        str(path.relative_to(ROOT / "config"))
        for place in ("redis/*", "prometheus/*.yml", "prometheus/rules/*.yml", "grafana/dashboards/*.json")
        for path in (ROOT / "config").glob(place)
    }
    there |= {
        str(path.relative_to(ROOT / "config")) for path in (ROOT / "config/grafana/provisioning").glob("d*/*.y*ml")
    }
    assert taken == there
    mounted = {
        volume["configMap"]["name"] for pod in PODS.values() for volume in pod["volumes"] if "configMap" in volume
    }
    assert {generator["name"] for generator in generators} == mounted


def test_a_household_that_was_not_told_whom_to_join_does_not_start(monkeypatch):
    joins = yaml.safe_load((KUBERNETES / "overlays/join/kustomization.yaml").read_text())
    for literal in joins["configMapGenerator"][0]["literals"]:
        name, _, value = literal.partition("=")
        monkeypatch.setenv(name, value)
    services = (("coordinator", CoordinatorSettings), ("p2p", P2PSettings), ("identity", IdentitySettings))
    for service, settings in services:
        with pytest.raises(SettingsError, match="SWARM_INVITE"):
            load(service, settings)


def test_a_household_that_has_an_invite_is_told_all_of_it(monkeypatch):
    (base,) = yaml.safe_load((KUBERNETES / "base/kustomization.yaml").read_text())["configMapGenerator"]
    (joins,) = yaml.safe_load((KUBERNETES / "overlays/join/kustomization.yaml").read_text())["configMapGenerator"]
    told = dict(literal.split("=", 1) for literal in [*base["literals"], *joins["literals"]])
    invite = invite_of(swarm="meadow", chain_id=7)
    for name, value in (told | {"SWARM_INVITE": text_of(invite)}).items():
        monkeypatch.setenv(name, value)
    coordinator = load("coordinator", CoordinatorSettings)
    assert (coordinator.swarm, coordinator.chain_url) == ("meadow", invite.chain_url)
    assert coordinator.swarm_contract == invite.contract
    p2p, identity = load("p2p", P2PSettings), load("identity", IdentitySettings)
    assert (p2p.swarm, p2p.initial_peers) == ("meadow", invite.peers)
    assert (identity.swarm, identity.chain_id, identity.swarm_contract) == ("meadow", 7, invite.contract)


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_kustomize_makes_is_valid_and_whole(overlay):
    objects = render(KUBERNETES / "overlays" / overlay)
    for one in objects:
        kubernetes_validate.validate(one, NEWEST, strict=True)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "rlswarm"
    maps = {one["metadata"]["name"] for one in objects if one["kind"] == "ConfigMap"}
    for one in objects:
        if one["kind"] in WORKLOADS:
            pod = one["spec"]["template"]["spec"]
            used = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
            used |= {source["configMapRef"]["name"] for source in pod["containers"][0].get("envFrom", [])}
            # The name of a generated ConfigMap ends in a hash of its content.
            assert used <= maps, one["metadata"]["name"]
            assert not re.match(r"rlswarm-", pod["containers"][0]["image"]), one["metadata"]["name"]


@needs_kubectl
@pytest.mark.parametrize(("overlay", "has_chain"), [("cpu", True), ("cuda", True), ("join", False)])
def test_only_a_founder_has_a_chain(overlay, has_chain):
    objects = render(KUBERNETES / "overlays" / overlay)
    assert ("chain" in {one["metadata"]["name"] for one in objects if one["kind"] == "StatefulSet"}) is has_chain


@needs_kubectl
def test_a_household_of_ones_own_is_made_of_the_same_parts(tmp_path):
    """What docs/kubernetes.md shows: several trainers on several nodes, reached by node ports."""
    there = os.path.relpath(KUBERNETES, tmp_path)
    own = {
        "namespace": "mine",
        "resources": [f"{there}/overlays/cuda"],
        "components": [f"{there}/components/nodeport", f"{there}/components/spread"],
        "replicas": [{"name": "trainer-cuda", "count": 3}],
        "images": [{"name": "ghcr.io/OWNER/rlswarm-cuda", "newName": "ghcr.io/me/rlswarm-cuda", "newTag": "9.9.9"}],
        "configMapGenerator": [{"name": "swarm", "behavior": "merge", "literals": ["P2P_PEERS=3"]}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    objects = render(tmp_path)
    trainer = by_name(objects, "StatefulSet", "trainer-cuda")["spec"]
    assert trainer["replicas"] == 3
    assert "affinity" not in trainer["template"]["spec"]
    assert trainer["template"]["spec"]["containers"][0]["image"] == "ghcr.io/me/rlswarm-cuda:9.9.9"
    assert by_name(objects, "PersistentVolumeClaim", "trainer")["spec"]["accessModes"] == ["ReadWriteMany"]
    swarm = by_name(objects, "ConfigMap", "swarm-.*")["data"]
    assert (swarm["P2P_PEERS"], swarm["P2P_PORT"]) == ("3", "30331")
    assert by_name(objects, "Service", "p2p-public")["spec"]["ports"][0]["nodePort"] == int(swarm["P2P_PORT"])
    assert by_name(objects, "NetworkPolicy", "p2p")["spec"]["ingress"][0]["ports"][0]["port"] == int(swarm["P2P_PORT"])
    assert by_name(objects, "Namespace", "mine")
    assert {one["metadata"].get("namespace", "mine") for one in objects} == {"mine"}
