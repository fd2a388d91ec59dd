"""What a trainer's process holds beside its work."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from services.trainer.model.policy import Policy
assert "transformers.modeling_utils" in sys.modules
assert "scipy" not in sys.modules, "loaded for nothing"
import scipy.sparse  # and still there for whoever wants it
"""


def test_a_trainer_does_not_load_scipy_with_transformers():
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
