"""Which length of answers and how many at once a memory holds. Pure: shape, memory and the probe's factor come in.

    longest answers for which one completion at a time fits --> as many completions at once --> as many questions

The arithmetic is `footprint.py`'s. Longer answers come before larger passes: a pass that is split gives the same
gradient, an answer that is cut none. Layers are computed again in the backward pass, which takes a third more time,
unless even the whole batch fits without.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.trainer.model.footprint import BFLOAT16, FLOAT32, Shape, cache_bytes, update_footprint
from services.trainer.model.models import LEAST_TOKENS

SAFE = 0.9  # of the free memory that is planned for: others on the machine grow too
PROMPT_TOKENS = 256

Way = tuple[int, bool]  # completions at once, and whether layers are computed again


@dataclass(frozen=True)
class Wish:
    """What is wanted where the memory allows it."""

    max_new_tokens: int
    completions: int  # G, of a question
    groups: int  # learnt from in an update
    questions: int
    micro_groups: int  # 0: all at once
    shorter: bool  # answers may be made shorter
    smaller: bool  # `micro_groups` may be chosen; it is a bound else
    recompute: bool | None  # None: it may be chosen


@dataclass(frozen=True)
class Plan:
    """What is done."""

    max_new_tokens: int
    micro_groups: int  # 0: all at once
    micro_completions: int  # of a backward pass, where not even one group fits; 0: whole groups
    recompute: bool  # layers, in the backward pass
    questions: int
    needs: int  # bytes, at the peak of an update
    fits: bool


def plan(shape: Shape, free: int, base: int, wish: Wish, *, width: int = FLOAT32, factor: float = 1.0) -> Plan:
    """The best that fits into `free` bytes; the least there is, and not `fits`, where nothing does.

    base: bytes the process holds beside the model. width: bytes per number of the arithmetic. factor: by how much a
    backward pass was found to take more than is calculated.
    """
    room = int(SAFE * free) - base
    for tokens in _lengths(wish):
        for way in _ways(wish):
            needs = _update(shape, way, tokens, width, factor)
            if needs <= room:
                return _plan(shape, room, wish, tokens, way, width, needs, fits=True)
    tokens, way = _lengths(wish)[-1], _ways(wish)[-1]
    needs = _update(shape, way, tokens, width, factor)
    return _plan(shape, room, wish, tokens, way, width, needs, fits=False)


def _plan(shape: Shape, room: int, wish: Wish, tokens: int, way: Way, width: int, needs: int, *, fits: bool) -> Plan:
    at_once, recompute = way
    groups, whole = at_once // wish.completions, at_once >= wish.completions * wish.groups
    cache = cache_bytes(shape, wish.completions * (PROMPT_TOKENS + tokens), width)
    idle = shape.parameters * (3 * FLOAT32 + BFLOAT16)  # weights, moments, and the copy that sampling reads
    return Plan(
        max_new_tokens=tokens,
        micro_groups=0 if whole else max(1, groups),
        micro_completions=0 if groups else at_once,
        recompute=recompute,
        questions=max(1, min(wish.questions, (room - idle) // max(1, cache))),
        needs=needs,
        fits=fits,
    )


def _update(shape: Shape, way: Way, tokens: int, width: int, factor: float) -> int:
    at_once, recompute = way
    found = update_footprint(shape, at_once, tokens, prompt_tokens=PROMPT_TOKENS, width=width, recompute=recompute)
    return found.total + int((factor - 1) * found.activations)


def _lengths(wish: Wish) -> list[int]:
    """Lengths to try, the longest first: half as long each time."""
    found = [wish.max_new_tokens]
    while wish.shorter and found[-1] // 2 >= LEAST_TOKENS:
        found.append(found[-1] // 2)
    return found


def _ways(wish: Wish) -> list[Way]:
    """What to try for a length, the quickest first."""
    sizes = _sizes(wish)
    if wish.recompute is None:
        return [(sizes[0], False), *((size, True) for size in sizes)]
    return [(size, wish.recompute) for size in sizes]


def _sizes(wish: Wish) -> list[int]:
    """Completions at once, the most first: all groups, half of them, and so on down to one completion."""
    bound = wish.micro_groups if wish.micro_groups and not wish.smaller else wish.groups
    found = [wish.completions * max(1, min(bound, wish.groups))]
    while found[-1] > 1:
        found.append(found[-1] // 2)
    return found
