"""The files that Prometheus and Grafana are given fit together, and fit the stack."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.monitoring_kit import GRAFANA, PROMETHEUS, ROOT, alerts, dashboards, filled, promtool, queries, rules

BOARDS = {"swarm", "learning", "network", "chain", "node", "host"}


def test_prometheus_takes_the_configuration():
    done = subprocess.run(
        [promtool(), "check", "config", PROMETHEUS / "prometheus.yml"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum('alert' in rule for rule in rules())} rules found" in done.stdout


def test_prometheus_takes_the_example_of_an_alertmanager_where_the_docs_put_it(tmp_path):
    copy = shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    assert list((copy / "alertmanagers").glob("*.yml")) == [], "none is set up by default"
    (copy / "alertmanagers" / "alertmanager.yml.example").rename(copy / "alertmanagers" / "alertmanager.yml")
    done = subprocess.run(
        [promtool(), "check", "config", copy / "prometheus.yml"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0 and "WARNING" not in done.stdout, done.stdout + done.stderr


def test_every_service_of_the_stack_is_scraped_under_its_name():
    jobs = {
        job["job_name"]: job for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    }
    names = {name for job in jobs.values() for sd in job.get("dns_sd_configs", ()) for name in sd["names"]}
    services = {path.parent.name for path in ROOT.glob("services/*/metrics.py")}
    assert services <= jobs.keys()
    assert names == services
    stack = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in stack.keys() - services:
        if name.partition("-")[0] in services:
            assert name.partition("-")[0] in stack[name]["networks"]["inside"]["aliases"]


def test_an_alert_names_a_severity_and_says_cause_and_remedy():
    for alert in alerts():
        assert alert.severity in ("warning", "critical")
        assert alert.annotations.keys() == {"summary", "description"}
        sentences = re.findall(r"[.:?](?: |$)", alert.annotations["description"])
        assert len(sentences) >= 2, f"{alert.name}: a cause and a remedy are more than one sentence"


def test_the_committed_dashboards_are_what_the_script_writes(tmp_path):
    subprocess.run([sys.executable, GRAFANA / "build.py", tmp_path], check=True)
    written = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert written.keys() == BOARDS
    assert written == dashboards(), "run: python config/grafana/build.py"


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_dashboard_asks_the_provisioned_source_and_nothing_else(name):
    (source,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    text = json.dumps(dashboards()[name])
    uids = set(re.findall(r'"type": "prometheus", "uid": "([^"]*)"', text))
    assert uids == {source["uid"]}
    assert set(re.findall(r'"datasource": "([^"]*)"', text)) <= {source["name"]}


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_the_panels_of_a_dashboard_are_apart_and_each_explains_itself(name):
    panels = dashboards()[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        rows, columns = range(place["y"], place["y"] + place["h"]), range(place["x"], place["x"] + place["w"])
        cells = {(row, column) for row in rows for column in columns}
        assert columns.stop <= 24 and taken.isdisjoint(cells), panel["title"]
        taken |= cells
        assert len(panel["description"]) > 10, panel["title"]


def test_dashboards_have_addresses_of_their_own_and_lie_where_the_stack_puts_them():
    uids = {board["uid"] for board in dashboards().values()}
    assert uids == {f"rlswarm-{name}" for name in BOARDS}
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "swarm.yml").read_text())["providers"]
    mounts = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    assert f"./config/grafana/dashboards:{provider['options']['path']}:ro" in mounts


def test_a_panels_query_has_no_variable_left_when_it_is_asked():
    assert filled('rate(x{instance=~"$trainer"}[$__rate_interval])', "30s") == 'rate(x{instance=~".*"}[30s])'
    assert not [promql for _, promql in queries() if "$" in promql]


def test_the_operators_page_lists_every_alert_and_every_dashboard():
    page = (ROOT / "docs" / "monitoring.md").read_text()
    listed = re.findall(r"^\| (\w+) \| (critical|warning) \|", page, re.MULTILINE)
    assert sorted(listed) == sorted((alert.name, alert.severity) for alert in alerts())
    titles = {board["title"] for board in dashboards().values()}
    assert titles == set(re.findall(r"^\| \*\*(\w+)\*\* \|", page, re.MULTILINE))
