"""The judge's leaderboard, in the store for the page.

exams:board    ExamBoard    (judge --> identity)
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.queue import Store

BOARD = "exams:board"
BOARD_TTL_S = 7 * 86_400.0  # a judge that is gone is not shown for ever
MAX_ROWS = 50


class ExamRow(BaseModel):
    """How a peer does in the judge's exams, its latest hundred."""

    model_config = ConfigDict(frozen=True)

    user_id: str = Field(max_length=128)  # a peer id, if the peer is honest
    model_name: str = Field(max_length=256)
    exams: int = Field(ge=1)
    pass_at_1: float  # share of the exams whose answer was fully right
    low: float  # ends of its 95 % interval
    high: float
    mean_score: float  # 0 to 1
    fixed_exams: int  # of these exams, those with a question of the fixed set
    fixed_pass_at_1: float | None  # None: there were none
    round: int  # the last one with an exam


class ExamBoard(BaseModel):
    """The judge's leaderboard, the best first."""

    model_config = ConfigDict(frozen=True)

    bank: str  # name of its mix
    source: Literal["bank", "upstream"] = "bank"  # who makes the questions now
    peers: int = 0  # with an exam, those that are not shown included
    rows: tuple[ExamRow, ...] = Field(default=(), max_length=MAX_ROWS)


async def exam_board(store: Store) -> ExamBoard | None:
    """The leaderboard as the judge last told it; None: no judge has."""
    text = await store.get(BOARD)
    return ExamBoard.model_validate_json(text) if text else None


async def put_exam_board(store: Store, board: ExamBoard) -> None:
    """Show how the peers do."""
    await store.put(BOARD, board.model_dump_json(), ttl_s=BOARD_TTL_S)
