"""What the trainer takes from transformers, which is imported here first, and without scipy.

transformers asks which packages are there and loads what it finds: scipy, in the image because the peer network needs
it, for losses of object detection that no language model has. That would be 36 MiB of each trainer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(package: str) -> Iterator[None]:
    """Imports inside of the block do not find this package, unless it is loaded, or transformers has seen it."""
    if package in sys.modules or "transformers" in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # Python's own mark for what must not be found
    try:
        yield
    finally:
        del sys.modules[package]


with absent("scipy"):
    import transformers.modeling_utils  # noqa: F401 - what would load it; every model needs it
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

__all__ = ["AutoConfig", "AutoModelForCausalLM", "AutoTokenizer", "transformers_logging"]
