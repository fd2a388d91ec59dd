"""The judge's leaderboard, as the page shows it."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from services.identity.shown.texts import label
from shared.exams import ExamBoard, ExamRow
from shared.names import name_of

Section = Any  # JSON-able


def exams(board: ExamBoard | None, own: Container[str]) -> Section:
    """Who does how well, the best first."""
    if board is None:
        return {"source": None, "bank": None, "count": 0, "rows": []}
    rows = [_row(row, own=row.user_id in own) for row in board.rows]
    return {"source": board.source, "bank": label(board.bank), "count": board.peers, "rows": rows}


def _row(row: ExamRow, *, own: bool) -> Section:
    return {
        "id": label(row.user_id),
        "name": name_of(row.user_id),
        "model": label(row.model_name),
        "own": own,
        "exams": row.exams,
        "pass": round(row.pass_at_1, 3),
        "low": round(row.low, 3),
        "high": round(row.high, 3),
        "fixed": None if row.fixed_pass_at_1 is None else round(row.fixed_pass_at_1, 3),
        "fixed_exams": row.fixed_exams,
        "round": row.round,
    }
