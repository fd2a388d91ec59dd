"""The table of docs/models.md: what each model of the pools takes. `python -m services.trainer.model.sizes`."""

from __future__ import annotations

from services.trainer.model.footprint import BFLOAT16, FLOAT32, GIB, Shape, update_footprint
from services.trainer.model.models import LARGE, SMALL, USUAL_TOKENS, Candidate

GROUP = 8  # completions
HEAD = (
    "| model | weights, gradients, optimizer | + one answer of 512: CPU | GPU | + a group of 8: CPU | GPU |\n"
    "|---|---|---|---|---|---|"
)


def table() -> str:
    """Markdown, in GiB."""
    return "\n".join([HEAD, *(_row(one) for one in (*SMALL, *LARGE))])


def _row(one: Candidate) -> str:
    fixed = 4 * one.shape.parameters * FLOAT32
    totals = [_total(one.shape, many, width) for many in (1, GROUP) for width in (FLOAT32, BFLOAT16)]
    return " | ".join([f"| {one.name}", *(f"{size / GIB:.1f}" for size in (fixed, *totals))]) + " |"


def _total(shape: Shape, completions: int, width: int) -> int:
    return update_footprint(shape, completions, USUAL_TOKENS, width=width).total


if __name__ == "__main__":
    print(table())
