"""Every alert, on a real rule engine (promtool): it fires for what it is meant for, and not for what is like it.

A case gives minutes and, in promtool's notation, what was scraped each minute from the start: `1+2x30` is 1, 3, 5 ...
"""

import json
import subprocess
from dataclasses import dataclass

import pytest

from tests.monitoring_kit import PROMETHEUS, alerts, promtool

TRAINED, LANDED = "swarm_trainer_rounds_total", "swarm_coordinator_submissions_settled_total"
REWARD = LANDED + '{kind="reward",outcome="landed"}'
AGE, BOUND = "swarm_service_progress_age_seconds", "swarm_service_progress_bound_seconds"
BACKLOG, FULL = 'swarm_queue_backlog_entries{stream="submissions"}', 'swarm_queue_bound_entries{stream="submissions"}'
DISK, DISK_SIZE = "swarm_host_disk_free_bytes", "swarm_host_disk_size_bytes"
USED, MEMORY, LIMITED = (f"swarm_service_memory_{what}" for what in ("used_bytes", "limit_bytes", "limited"))
FREE, HOST = "swarm_host_memory_available_bytes", "swarm_host_memory_size_bytes"
HOSTED, CONNECTED = "swarm_p2p_hosted_peers", "swarm_p2p_connected_peers"


def degraded(service, part):
    return f'swarm_service_degraded{{job="{service}",instance="a",service="{service}",part="{part}"}}'


LONELY = degraded("trainer", "peers")


@dataclass
class Case:
    alert: str
    why: str
    fires: bool
    minutes: int
    series: dict[str, str]

    def __str__(self):
        return f"{self.alert} {'fires' if self.fires else 'is silent'} {self.why}"


CASES = [
    Case("SwarmStalled", "when no round ends", True, 45, {TRAINED: "7x45"}),
    Case("SwarmStalled", "while rounds take ten minutes", False, 45, {TRAINED: "7x9 8x9 9x9 10x15"}),
    Case("SwarmStalled", "in the first minutes, while models load", False, 8, {TRAINED: "0x8"}),
    Case("NoProgress", "for a loop that stands still", True, 5, {AGE: "0+60x5", BOUND: "120x5"}),
    Case("NoProgress", "for a slow model with a wide bound", False, 20, {AGE: "0+60x20", BOUND: "1800x20"}),
    Case("RewardsStuck", "when rounds end and nothing lands", True, 45, {TRAINED: "0+5x45", REWARD: "3x45"}),
    Case("RewardsStuck", "while each round brings its reward", False, 45, {TRAINED: "0+5x45", REWARD: "0+5x45"}),
    Case("RewardsStuck", "when nothing is trained", False, 45, {TRAINED: "5x45", REWARD: "5x45"}),
    Case("Degraded", "without a judge", True, 7, {degraded("trainer", "judge"): "1x7"}),
    Case("Degraded", "after a short outage", False, 9, {degraded("trainer", "judge"): "1x3 0x6"}),
    Case("Degraded", "for one who is the only peer", False, 30, {LONELY: "1x30"}),
    Case("ChainUnreachable", "without a chain", True, 3, {degraded("coordinator", "chain"): "1x3"}),
    Case("ChainUnreachable", "while the chain restarts", False, 5, {degraded("coordinator", "chain"): "1 0x5"}),
    Case("QueueGrowing", "when the reader falls behind", True, 50, {BACKLOG: "0+1x50"}),
    Case("QueueGrowing", "for a queue that swings", False, 90, {BACKLOG: "0 6 12 3 9 0 " * 15}),
    Case("QueueNearlyFull", "near the bound", True, 6, {BACKLOG: "90000x6", FULL: "100000x6"}),
    Case("QueueNearlyFull", "far from it", False, 6, {BACKLOG: "7000x6", FULL: "100000x6"}),
    Case("DeadLetters", "for a single one", True, 2, {'swarm_queue_dead_entries{stream="submissions"}': "1x2"}),
    Case("DeadLetters", "for none", False, 9, {'swarm_queue_dead_entries{stream="submissions"}': "0x9"}),
    Case("RedisUnreachable", "when nobody gets through", True, 5, {"swarm_service_reported_timestamp_seconds": "0x5"}),
    Case("RedisUnreachable", "while all report", False, 5, {"swarm_service_reported_timestamp_seconds": "0+60x5"}),
    Case(
        "RedisMemoryHigh", "near the limit", True, 6,
        {"swarm_redis_memory_used_bytes": "450x6", "swarm_redis_memory_limit_bytes": "512x6"},
    ),
    Case(
        "RedisMemoryHigh", "with much left", False, 6,
        {"swarm_redis_memory_used_bytes": "45x6", "swarm_redis_memory_limit_bytes": "512x6"},
    ),
    Case("NoTrainer", "when there has never been one", True, 6, {'up{job="p2p"}': "1x6"}),
    Case("NoTrainer", "when the only one does not answer", True, 6, {'up{job="trainer"}': "0x6"}),
    Case("NoTrainer", "while one of two answers", False, 6, {'up{job="trainer",instance="a"}': "1x6"}),
    Case("NoTrainer", "after the last round", False, 9, {'up{job="p2p"}': "1x9", "swarm_coordinator_finished": "1x9"}),
    Case("PeersUnreachable", "when no entry point answers", True, 6, {degraded("p2p", "peers"): "1x6"}),
    Case("PeersUnreachable", "for a lone founder", False, 30, {degraded("p2p", "peers"): "0x30", CONNECTED: "0x30"}),
    Case("NoPeerRollouts", "beside others", True, 11, {LONELY: "1x11", HOSTED: "1x11", CONNECTED: "2x11"}),
    Case("NoPeerRollouts", "beside siblings", True, 11, {LONELY: "1x11", HOSTED: "3x11", CONNECTED: "0x11"}),
    Case("NoPeerRollouts", "for a lone founder", False, 30, {LONELY: "1x30", HOSTED: "1x30", CONNECTED: "0x30"}),
    Case("DiskLow", "below a tenth", True, 6, {DISK: "9x6", DISK_SIZE: "100x6"}),
    Case("DiskLow", "above it", False, 6, {DISK: "11x6", DISK_SIZE: "100x6"}),
    Case("DiskAlmostFull", "at the very end", True, 2, {DISK: "2x2", DISK_SIZE: "100x2"}),
    Case("DiskAlmostFull", "when it is merely low", False, 9, {DISK: "5x9", DISK_SIZE: "100x9"}),
    Case("HostMemoryLow", "below a tenth", True, 6, {FREE: "9x6", HOST: "100x6"}),
    Case("HostMemoryLow", "above it", False, 6, {FREE: "50x6", HOST: "100x6"}),
    Case("ContainerMemoryLow", "near its limit", True, 6, {USED: "95x6", MEMORY: "100x6", LIMITED: "1x6"}),
    Case("ContainerMemoryLow", "in half of it", False, 6, {USED: "50x6", MEMORY: "100x6", LIMITED: "1x6"}),
    Case("ContainerMemoryLow", "without a limit of its own", False, 6, {USED: "95x6", MEMORY: "100x6", LIMITED: "0x6"}),
    Case("Restarting", "at the third start again", True, 10, {'process_start_time_seconds{job="p2p"}': "1 2 3 4x7"}),
    Case("Restarting", "after one restart", False, 10, {'process_start_time_seconds{job="p2p"}': "1 2x9"}),
    Case("ServiceDown", "when it vanished from DNS", True, 15, {'up{job="p2p",instance="a"}': "1 1 1 stale"}),
    Case("ServiceDown", "when it is there and dead", True, 3, {'up{job="p2p",instance="a"}': "0x3"}),
    Case("ServiceDown", "while it got another address", False, 9,
         {'up{job="p2p",instance="a"}': "1 1 stale", 'up{job="p2p",instance="b"}': "_ _ 1x7"}),
    Case("TargetDown", "for one of two replicas", True, 6,
         {'up{job="trainer",instance="a"}': "0x6", 'up{job="trainer",instance="b"}': "1x6"}),
    Case("TargetDown", "while it restarts", False, 9, {'up{job="trainer",instance="a"}': "1 0 0 1x6"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_alert_fires_when_it_should_and_only_then(case, tmp_path):
    firing = f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}'
    question = {
        "expr": f"group({firing})",
        "eval_time": f"{case.minutes}m",
        "exp_samples": [{"labels": "{}", "value": 1}] if case.fires else [],
    }
    suite = {
        "rule_files": [str(path) for path in sorted((PROMETHEUS / "rules").glob("*.yml"))],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values.strip()} for name, values in case.series.items()],
                "promql_expr_test": [question],
            }
        ],
    }
    path = tmp_path / "case.yml"
    path.write_text(json.dumps(suite))  # YAML knows all of JSON
    done = subprocess.run([promtool(), "test", "rules", path], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_seen_firing_and_seen_silent():
    names = {alert.name for alert in alerts()}
    assert names == {case.alert for case in CASES if case.fires} == {case.alert for case in CASES if not case.fires}
