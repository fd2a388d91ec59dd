"""The bound on requests of a library's HTTP client."""

import httpx

from shared.patience import Patience


def waits(client: httpx.Client, **how: httpx.Timeout) -> dict[str, float]:
    """What the client's transport is told about a request."""
    return client.get("http://hub/", **how).request.extensions["timeout"]


def test_a_request_that_would_wait_for_ever_does_not_and_one_that_says_how_long_is_left_alone():
    answers = httpx.MockTransport(lambda request: httpx.Response(200))
    with httpx.Client(transport=answers, timeout=None) as client:
        Patience(30.0).rule(client)
        assert waits(client) == dict.fromkeys(("connect", "read", "write", "pool"), 30.0)
        assert waits(client, timeout=httpx.Timeout(None, read=2.0)) == {**waits(client), "read": 2.0}


def test_it_is_told_to_a_client_once():
    with httpx.Client() as client:
        for longest in (30.0, 30.0, 15.0):
            Patience(longest).rule(client)
        assert client.event_hooks["request"] == [Patience(30.0), Patience(15.0)]
