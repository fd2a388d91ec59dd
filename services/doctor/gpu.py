"""Whether torch can use the GPU that is here: asked in a process of its own, which loads torch and runs one kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.doctor.check import Check

PATIENCE_S = 120.0  # torch loads for ten seconds on a busy machine, CUDA for as long again
DRIVER = Path("/proc/driver/nvidia/version")
PROBE = """
import json, torch
cuda = torch.cuda.is_available()
told = {"torch": torch.__version__, "cuda": torch.version.cuda, "usable": cuda, "kernel": "", "devices": []}
if cuda:
    told["built"] = torch.cuda.get_arch_list()
    for index in range(torch.cuda.device_count()):
        told["devices"].append([torch.cuda.get_device_name(index), "sm_%d%d" % torch.cuda.get_device_capability(index)])
    try:
        ones = torch.ones(64, 64, device="cuda")
        assert float((ones @ ones).sum()) == 64.0 ** 3
    except Exception as error:  # whatever torch and the driver raise is the finding
        told["kernel"] = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
print(json.dumps(told))
"""


def gpu(*, cpu_only: bool, environ: Mapping[str, str] | None = None, there: bool | None = None) -> Check:
    """`there`: whether this machine has an NVIDIA GPU; None: as the system tells."""
    present = has_gpu() if there is None else there
    if cpu_only:
        return Check("gpu", True, "left alone, as CPU_ONLY says")
    try:
        command = [sys.executable, "-c", PROBE]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=dict(environ or os.environ)
        )
    except subprocess.TimeoutExpired:
        return Check("gpu", False, f"torch does not load within {PATIENCE_S:.0f} s", "see nvidia-smi, or CPU_ONLY=true")
    return judged(_read(done.stdout), done.stderr, present=present)


def has_gpu() -> bool:
    """Whether the system knows an NVIDIA GPU."""
    return DRIVER.exists() or Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None


def judged(told: dict[str, Any] | None, said: str, *, present: bool) -> Check:
    """What the probe's answer means; None: it did not come to its end, and `said` why."""
    if told is None:
        last = said.strip().splitlines()[-1] if said.strip() else "it said nothing"
        if "ModuleNotFoundError" in last and "'torch'" in last:
            return Check(
                "gpu", None, "there is no torch here", "in containers look from a trainer's: see docs/operate.md"
            )
        return Check("gpu", False, f"torch does not load ({last[:200]})", "install it anew: make setup")
    if not present:
        return Check("gpu", True, f"none: torch {told['torch']} trains on the CPU")
    if not told["cuda"]:
        cause = f"torch {told['torch']} is a build for the CPU, and there is an NVIDIA GPU"
        return Check("gpu", False, cause, "make setup TORCH_INDEX_URL= on this machine, or set CPU_ONLY=true")
    if not told["usable"]:
        cause = f"torch is built for CUDA {told['cuda']} and cannot use the GPU: driver {driver()}"
        return Check(
            "gpu", False, cause, "update the driver (CUDA 13: 580 or later), pass the GPU in, or CPU_ONLY=true"
        )
    return _kernel(told)


def _kernel(told: dict[str, Any]) -> Check:
    names = ", ".join(f"{name} ({arch})" for name, arch in told["devices"])
    if told["kernel"]:
        built = ", ".join(told["built"])
        cause = f"no kernel runs on {names}: torch {told['torch']} is built for {built} ({told['kernel'][:120]})"
        return Check("gpu", False, cause, "install a torch that is built for this GPU, or set CPU_ONLY=true")
    return Check("gpu", True, f"{names}, torch {told['torch']}, CUDA {told['cuda']}")


def driver() -> str:
    """The version of NVIDIA's kernel module."""
    try:
        words = DRIVER.read_text().splitlines()[0].split()
    except (OSError, IndexError):
        return "not loaded"
    return next((word for word in words if word[:1].isdigit() and "." in word), "unknown")


def _read(text: str) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return told
