"""A real browser, and a look at what it drew."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

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
