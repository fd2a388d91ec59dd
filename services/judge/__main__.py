"""`python -m services.judge`."""

from __future__ import annotations

import sys

from services.judge.settings import JudgeSettings
from shared.runtime import serve, start

if __name__ == "__main__":
    settings = start("judge", JudgeSettings)
    from services.judge.service import run

    sys.exit(serve("judge", settings, run))
