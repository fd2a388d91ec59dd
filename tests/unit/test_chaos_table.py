"""The page on reliability shows what was measured, and what was measured keeps the promise."""

import json

from benchmarks.chaos import DOCUMENT, RESULTS, document, survived


def test_the_page_shows_the_results():
    rows = json.loads(RESULTS.read_text())["rows"]
    assert document(rows, DOCUMENT.read_text()) == DOCUMENT.read_text()


def test_every_fault_was_survived():
    rows = json.loads(RESULTS.read_text())["rows"]
    assert len(rows) > 30
    assert [row for row in rows if not survived(row)] == []
