"""`python -m services.chain`."""

from __future__ import annotations

import sys

from services.chain.settings import ChainSettings
from shared.runtime import start

if __name__ == "__main__":
    settings = start("chain", ChainSettings)
    from services.chain.service import serve

    sys.exit(serve(settings))
