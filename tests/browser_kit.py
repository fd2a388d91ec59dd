"""A real browser, and a look at what it drew."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

SIZES = {"phone": (390, 844), "wide": (1440, 900), "huge": (1920, 1080)}
PICTURED = 1_560  # pixels of a page's height in a picture
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
COLOURS = """box => { const c = document.querySelector(`#${box} canvas`); if (!c || !c.width) return 0;
    const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(c, 0, 0);
    const d = copy.getImageData(0, 0, c.width, c.height).data, seen = new Set();
    for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200) seen.add((d[i] << 16) + (d[i + 1] << 8) + d[i + 2]);
    return seen.size; }"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, without a window; where there is none the test is skipped."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("no chromium on this machine: apt-get install chromium, or set CHROMIUM to its path")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu", *QUIET])
        yield browser
        browser.close()


def drawn(page: Page, box: str) -> int:
    """Wait until the chart's canvas shows more than a frame; how many different colours it then has."""
    page.wait_for_function(f"box => ({COLOURS})(box) > 3", arg=box, timeout=10_000)
    return int(page.evaluate(COLOURS, box))


def sign_up(page: Page, site: str, passphrase: str) -> None:
    """Become the owner."""
    page.goto(f"{site}/signup")
    page.fill("[name=name]", "ada")
    page.fill("[name=passphrase]", passphrase)
    page.fill("[name=again]", passphrase)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"{site}/")


def grave(page: Page) -> list[tuple[str, str]]:
    """What axe finds that is serious or worse: the rule, and the first element that breaks it."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


def check(page: Page) -> None:
    """Nothing serious for axe to find, and the page no wider than its window."""
    if grave(page):
        page.wait_for_timeout(1_000)  # something was still on its way in
    assert (found := grave(page)) == [], found
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def picture(page: Page, name: str) -> None:
    """Keep a picture in the folder SCREENSHOTS, if that is set: the beginning of a wide page, a phone's screen."""
    folder = os.environ.get("SCREENSHOTS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(1_200)  # until the charts are drawn and no dot is pale
    width, height = page.evaluate("[innerWidth, innerHeight]")
    clip = {"x": 0, "y": 0, "width": width, "height": height if width < 700 else PICTURED}
    page.screenshot(path=f"{folder}/{name}.png", full_page=True, clip=clip)  # type: ignore[arg-type]
