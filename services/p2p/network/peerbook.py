"""Addresses of peers met earlier, on disk: the way back into the swarm when no entry point answers."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from services.p2p.settings import is_address

log = logging.getLogger(__name__)
MAX_ADDRESSES = 64  # the newest


class PeerBook:
    """The newest addresses, oldest first; `path` is only written when they change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.addresses = self._read()

    def _read(self) -> list[str]:
        try:
            found = json.loads(self._path.read_text())
            return [text for text in found if isinstance(text, str) and is_address(text)][-MAX_ADDRESSES:]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            log.warning("the peer book %s cannot be read, a new one is begun: %s", self._path, error)
            return []

    def add(self, addresses: Iterable[str]) -> None:
        """Remember these as the newest."""
        new = [text for text in addresses if is_address(text) and text not in self.addresses]
        if not new:
            return
        self.addresses = [*self.addresses, *new][-MAX_ADDRESSES:]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".tmp")
        draft.write_text(json.dumps(self.addresses, indent=1))
        draft.replace(self._path)
