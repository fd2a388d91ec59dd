"""The REST routes against odd requests that their own OpenAPI schema leads to."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.identity.app import build_app
from services.identity.web import cookies
from tests.accounts_kit import NAME, PASSPHRASE, accounts_at, parts_of, settings_of

ODD = settings(
    max_examples=16,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("household")
    with accounts_at(folder) as accounts:
        accounts.owners.sign_up(NAME, PASSPHRASE)
        yield parts_of(settings_of(folder, hosts="testserver"), accounts)


@pytest.fixture(scope="module")
def loaded(parts):
    import schemathesis  # here: every worker imports this file, and one runs it

    schema = schemathesis.openapi.from_asgi("/api/openapi.json", build_app(parts))
    return schema.exclude(path_regex="events$")  # streams, which do not end


def throw(loaded, headers):
    """A dozen requests at every route; `headers` makes those that go along."""
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

    checks = (not_a_server_error, content_type_conformance, response_schema_conformance)
    routes = [found.ok() for found in loaded.get_all_operations()]
    assert len(routes) > 10
    for route in routes:
        takes = route.body or route.query or route.path_parameters
        modes = list(GenerationMode) if takes else [GenerationMode.POSITIVE]

        @ODD
        @given(st.one_of([route.as_strategy(generation_mode=mode) for mode in modes]))
        def once(case):
            case.call_and_validate(checks=checks, headers=headers())

        once()


def test_no_odd_request_of_a_stranger_breaks_anything(loaded):
    door = {"X-CSRF-Token": cookies.door_token("a-browser"), "Cookie": f"{cookies.DOOR}=a-browser"}
    throw(loaded, lambda: door)


def test_no_odd_request_of_the_owner_breaks_anything(loaded, parts):
    def session():
        token = parts.accounts.sessions.begin("odd")
        csrf = parts.accounts.sessions.find(token).csrf
        return {"X-CSRF-Token": csrf, "Cookie": f"{cookies.SESSION}={token}"}

    throw(loaded, session)


def test_the_schema_lists_the_routes_for_programs_only(parts):
    paths = build_app(parts).openapi()["paths"]
    assert "/api/session" in paths
    assert not {"/login", "/signup", "/account"} & set(paths)
