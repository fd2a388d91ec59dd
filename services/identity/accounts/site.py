"""Where a browser believes to be: what passkeys and wallets sign, so that no other site can pass the answer on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """Our address as the browser called it; the host is one of the allowed ones."""

    scheme: str  # http | https
    host: str  # without port
    domain: str  # with port, if the address has one

    @property
    def origin(self) -> str:
        """As browsers write it."""
        return f"{self.scheme}://{self.domain}"
