"""`python -m services.publisher.llama.quantize F16 OUT KIND`: llama.cpp's own quantization, in a process of its own.

Its mixed strategies stay as they are: Q5_K_M keeps the embedding and other sensitive matrices in Q6_K. A row that
is not divisible by 256 falls back to a plainer kind of as many bits or more.
"""

from __future__ import annotations

import ctypes
import sys

import llama_cpp

TYPES = {
    "Q5_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_K_M,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
    "Q3_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q3_K_M,
}


def quantize(source: str, out: str, kind: str) -> int:
    """llama.cpp's exit code, 0: done."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = TYPES[kind], 1
    return int(llama_cpp.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(params)))


if __name__ == "__main__":
    sys.exit(quantize(*sys.argv[1:]))
