"""How many nodes a DHT has, by how close together they lie near our own place in it. Pure.

Nobody's word is asked for, but whoever puts nodes beside ours makes the DHT look larger: so it is only where a node
begins that has not read any announcements yet (traffic/survey.py), and a bound.
"""

from __future__ import annotations

from collections.abc import Collection

BITS = 160  # of a place in hivemind's DHT
FEW = 32  # known nodes up to which they are taken for all there are
NEAREST = 16  # nodes whose distance counts
MOST = 2.0**24


def population(own: int, others: Collection[int]) -> float:
    """The number of nodes, ours included, by the places of those that we know."""
    if len(others) < FEW:
        return len(others) + 1.0
    farthest = sorted(own ^ other for other in others)[NEAREST - 1]
    return min((NEAREST - 1) * 2.0**BITS / max(farthest, 1) + 1.0, MOST)
