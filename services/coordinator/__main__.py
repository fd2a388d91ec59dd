"""`python -m services.coordinator`."""

from __future__ import annotations

import sys

from services.coordinator.settings import CoordinatorSettings
from shared.runtime import serve, start

if __name__ == "__main__":
    settings = start("coordinator", CoordinatorSettings)
    from services.coordinator.service import run

    sys.exit(serve("coordinator", settings, run))
