"""All that is asked of Prometheus: by panels, rules and alerts; and a real Prometheus to ask.

    queries() --> [(where, promql)] --ask--> empty_queries() --> those that give nothing, or nothing but NaN

`ask` is any way to an instant query, so the same check serves a run of processes and a stack of containers.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import free_port

ROOT = Path(__file__).parents[1]
PROMETHEUS, GRAFANA = ROOT / "config" / "prometheus", ROOT / "config" / "grafana"
COMPARISON = re.compile(r"^(?P<left>.+?) (?P<how>==|<|>) (?P<bound>[0-9.]+)$", re.DOTALL)
Samples = list[dict[str, Any]]  # of an instant vector, as Prometheus answers: metric, value
Ask = Callable[[str], Samples]


@dataclass(frozen=True)
class Alert:
    """One alerting rule."""

    name: str
    left: str  # what is compared with a number; never empty, whether or not the alert fires
    severity: str
    annotations: dict[str, str]


def promtool() -> str:
    """The rule checker that comes with Prometheus."""
    return found("promtool")


def found(binary: str) -> str:
    """The path of a program of Prometheus; where it is not installed the test is skipped."""
    if (path := shutil.which(binary)) is None:
        pytest.skip(f"there is no {binary}; on Debian: apt-get install --no-install-recommends prometheus")
    return path


def rules() -> Iterator[dict[str, Any]]:
    """Every recording and alerting rule, as it is written."""
    for path in sorted((PROMETHEUS / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def alerts() -> list[Alert]:
    """Every alerting rule. One whose expression is no comparison with a number fails here."""
    return [_alert(rule) for rule in rules() if "alert" in rule]


def _alert(rule: Mapping[str, Any]) -> Alert:
    compared = COMPARISON.match(rule["expr"])
    assert compared is not None, f"{rule['alert']} compares nothing with a number: {rule['expr']}"
    return Alert(rule["alert"], compared["left"], rule["labels"]["severity"], rule["annotations"])


def dashboards() -> dict[str, dict[str, Any]]:
    """The committed dashboards by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


def queries(window: str = "1m") -> list[tuple[str, str]]:
    """(where, promql) of all that is asked, with Grafana's variables filled in; `window` stands for its intervals."""
    asked = [(f"rule {rule['record']}", rule["expr"]) for rule in rules() if "record" in rule]
    asked += [(f"alert {alert.name}", alert.left) for alert in alerts()]
    for name, board in dashboards().items():
        for panel in board["panels"]:
            where = f"dashboard {name}, panel {panel.get('title')}"
            asked += [(where, filled(target["expr"], window)) for target in panel.get("targets", ())]
        for variable in board.get("templating", {}).get("list", ()):
            metric = re.fullmatch(r"label_values\((.+), *\w+\)", variable["query"])
            assert metric is not None, variable["query"]
            asked.append((f"dashboard {name}, variable {variable['name']}", metric[1]))
    return asked


def filled(promql: str, window: str) -> str:
    """A panel's query as Grafana would send it, with "All" chosen in every variable."""
    promql = re.sub(r"\$__(rate_interval|interval|range)\b", window, promql)
    return re.sub(r"\$\{?[a-z]\w*\}?", ".*", promql)


def empty_queries(ask: Ask, asked: Iterable[tuple[str, str]] | None = None) -> list[str]:
    """Those that give no number, each in a line; an empty list is what one hopes for."""
    return [f"{where}: {promql}" for where, promql in asked or queries() if not _numbers(ask(promql))]


def _numbers(samples: Samples) -> list[float]:
    return [value for sample in samples if not math.isnan(value := float(sample["value"][1]))]


def local_config(targets: Mapping[str, list[str]], *, every: str = "1s") -> dict[str, Any]:
    """The committed configuration with addresses in place of DNS; jobs without any are left out."""
    config: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": every, "evaluation_interval": every}
    config["rule_files"] = [str(PROMETHEUS / pattern) for pattern in config["rule_files"]]
    config["scrape_configs"] = [
        {"job_name": job["job_name"], "static_configs": [{"targets": targets[job["job_name"]]}]}
        for job in config["scrape_configs"]
        if targets.get(job["job_name"])
    ]
    return config


class Prometheus:
    """A real Prometheus on this machine, in a process of its own."""

    def __init__(self, folder: Path, targets: Mapping[str, list[str]]) -> None:
        self.port, binary = free_port(), found("prometheus")
        address = f"127.0.0.1:{self.port}"
        (folder / "prometheus.yml").write_text(yaml.safe_dump(local_config({**targets, "prometheus": [address]})))
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        self.log = folder / "prometheus.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [binary, *options, f"--web.listen-address={address}"], stdout=log, stderr=log
            )
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        until = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def ask(self, promql: str) -> Samples:
        """An instant query."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': promql})}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            told = json.load(answer)["data"]
        assert told["resultType"] == "vector", promql
        samples: Samples = told["result"]
        return samples

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
