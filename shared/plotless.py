"""Lets packages be imported that import matplotlib for plots which no service draws."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

# What cellpylib imports, and with it reasoning-gym.
UNUSED = (
    "matplotlib",
    "matplotlib.animation",
    "matplotlib.collections",
    "matplotlib.pyplot",
    "mpl_toolkits",
    "mpl_toolkits.mplot3d",
)


@contextmanager
def plotless() -> Iterator[None]:
    """While the block lasts, what of matplotlib is not loaded is an empty module: half a second and 30 MiB less.

    Afterwards it can be imported as ever.
    """
    empty = {name: ModuleType(name) for name in UNUSED if name not in sys.modules}
    for module in empty.values():
        vars(module)["Axes3D"] = None
    sys.modules.update(empty)
    try:
        yield
    finally:
        for name in empty:
            del sys.modules[name]
