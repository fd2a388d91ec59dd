"""`python -m services.identity`."""

from __future__ import annotations

import sys

from services.identity.settings import IdentitySettings
from shared.runtime import serve, start

if __name__ == "__main__":
    settings = start("identity", IdentitySettings)
    from services.identity.service import run

    sys.exit(serve("identity", settings, run))
