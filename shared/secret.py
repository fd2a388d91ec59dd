"""Makes the secrets that a household needs and nobody has to know: `python -m shared.secret FILE...`.

A file that is there is kept. It is written whole or not at all, and only its owner and its group may read it.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

BYTES = 32


def ensure_secret(path: Path) -> bool:
    """Write a random secret, as hexadecimal digits, unless there is one; True if it was made. Raises OSError."""
    if path.exists() and path.stat().st_size > 0:
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o440)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(BYTES))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return True


def main(paths: list[str]) -> int:
    """Make every secret that is missing; 1 if a folder cannot be written."""
    try:
        for path in paths:
            print(f"{path}: {'made' if ensure_secret(Path(path)) else 'kept'}")
    except OSError as error:
        print(f"{error.filename}: {error.strerror}. Make its folder writable for uid {os.getuid()}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
