"""A household's page in a browser."""

import pytest
from playwright.sync_api import expect

from tests.browser_kit import SIZES, chromium, sign_up
from tests.conftest import free_port
from tests.page_kit import Household, identity
from tests.page_messages import PASSPHRASE


@pytest.fixture
def household(redis_url):
    return Household(redis_url)


@pytest.fixture
def site(redis_url, tmp_path):
    with identity(redis_url, free_port(), tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def open_page(browser, site):
    """Opens a page; at the end, nothing may have been logged and no other host asked."""
    contexts, faults = [], []

    def open_one(size="wide", scheme="light", path="/", owner=False):
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(site) else faults.append(request.url))
        if owner:
            sign_up(page, site, PASSPHRASE)
        page.goto(site + path)
        if path == "/":
            expect(page.locator("#link")).to_have_text("Live")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert faults == []
