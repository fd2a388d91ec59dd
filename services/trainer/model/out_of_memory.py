"""What to do when the memory is not enough for a backward pass: half as much at once."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Sequence

import torch

# How a failed allocation that is not an error type of its own reads: torch's CPU allocator, C++, oneDNN, cuBLAS.
WORDS = ("can't allocate memory", "not enough memory", "bad_alloc", "could not create a memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less at once may go better: a GPU or the CPU had no memory left for an allocation.

    A process that the kernel kills for its memory sees no error at all.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in WORDS)


def halved(micro_batches: Sequence[Sequence[int]]) -> int:
    """Completions of a micro-batch to try next, where the largest of these was too much; 0: one was."""
    return max(map(len, micro_batches)) // 2


def release() -> None:
    """Give back what a pass that is over still holds: the graph of a failed one is a cycle, torch keeps a GPU's memory
    for itself, and glibc what was freed between pieces that were not."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)


def first_line(error: BaseException) -> str:
    """What an error says, for a line of the log."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
