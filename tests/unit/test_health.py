import json
import time
import urllib.request
from urllib.error import HTTPError

import pytest

from shared.errors import SwarmError
from shared.health import Health, serve_http


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_health_is_progress_not_mere_life():
    health = Health("thing", "one", bound_s=0.1)
    with serve_http(health, "127.0.0.1", 0) as port:
        assert get(port, "/health")[0] == 200
        time.sleep(0.15)
        status, body = get(port, "/health")
        assert (status, json.loads(body)["status"]) == (503, "stuck")
        health.beat()
        assert get(port, "/health")[0] == 200


def test_a_degraded_service_is_healthy_and_says_what_is_missing_until_it_heals():
    health = Health("thing", "one", bound_s=60)
    health.degrade("chain", "no answer")
    with serve_http(health, "127.0.0.1", 0) as port:
        status, body = get(port, "/health")
        assert (status, json.loads(body)["degraded"]) == (200, {"chain": "no answer"})
        metrics = get(port, "/metrics")[1]
        assert 'swarm_service_degraded{part="chain",service="thing"} 1.0' in metrics
        health.heal("chain")
        assert json.loads(get(port, "/health")[1])["status"] == "ok"
        assert 'swarm_service_degraded{part="chain",service="thing"} 0.0' in get(port, "/metrics")[1]


def test_a_taken_port_is_named():
    health = Health("thing", "one", bound_s=60)
    with (
        serve_http(health, "127.0.0.1", 0) as port,
        pytest.raises(SwarmError, match=rf"port {port} .* HTTP_PORT"),
        serve_http(health, "127.0.0.1", port),
    ):
        pass
