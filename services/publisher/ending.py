"""How a program of the publisher ends: an expected failure is one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import SwarmError


@contextmanager
def one_line(program: str) -> Iterator[None]:
    """End the process, with the error's exit code, if the block fails as expected."""
    try:
        yield
    except SwarmError as error:
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"{program}: {error}. See the disk and its rights.", file=sys.stderr)
        sys.exit(1)
