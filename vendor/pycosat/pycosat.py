"""pycosat's `itersolve`, the one function that reasoning-gym calls, on top of PySAT."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pysat.solvers import Solver


def itersolve(clauses: Iterable[Iterable[int]]) -> Iterator[list[int]]:
    """Yield every solution of a formula in conjunctive normal form, each as one literal a variable."""
    with Solver(name="cadical153", bootstrap_with=clauses) as solver:
        yield from solver.enum_models()
