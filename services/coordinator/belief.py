"""A node may answer anything: what makes no sense is asked again later, and nothing falls over it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from eth_abi.exceptions import DecodingError

from services.coordinator.chain import ChainDown

NONSENSE = (KeyError, IndexError, TypeError, ValueError, AttributeError, DecodingError)


class Asker(Protocol):
    """Who asks a node."""

    def nonsense(self, error: Exception) -> ChainDown:
        """What to raise when the node's answer cannot be what it should be."""


A = TypeVar("A", bound=Asker)
P = ParamSpec("P")
T = TypeVar("T")


def believed(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[A, P], Coroutine[Any, Any, T]]:
    """A node's answers as the method takes them; what they cannot be is ChainDown."""

    @wraps(method)
    async def asked(asker: A, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(asker, *args, **kwargs)
        except NONSENSE as error:
            raise asker.nonsense(error) from error

    return asked
