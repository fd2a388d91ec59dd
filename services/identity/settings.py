"""What identity is told (config/identity.yaml)."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from shared.errors import SettingsError
from shared.invite import URL
from shared.settings import ServiceSettings, read_secret

ARTIFACTS = Path(__file__).resolve().parents[2] / "contracts" / "artifacts"
CONTAINER = Path("/.dockerenv")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - asked, not bound
LINK = r"^https?://[^\s<>\"'\\{}]+\{hash\}[^\s<>\"'\\{}]*$"
HOST_NAME = r"^([a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:.]+)$"


def _listed(value: Any) -> Any:
    """Names between commas, as the environment has them."""
    if value is None:
        return ()
    return (
        tuple(part.strip().lower().strip("[]") for part in value.split(",") if part.strip())
        if isinstance(value, str)
        else value
    )


class IdentitySettings(ServiceSettings):
    """All of identity's settings."""

    identity_host: str = Field(min_length=1)
    identity_port: int = Field(ge=0, lt=65536)  # 0: any free port, named in the log
    hosts: Annotated[tuple[Annotated[str, Field(pattern=HOST_NAME)], ...], BeforeValidator(_listed)] = ()
    view: Literal["open", "login"] = "open"  # who may read the live page: anybody who reaches it, or the owner
    tls: bool = False  # a reverse proxy before us ends TLS: its X-Forwarded-Proto and X-Forwarded-For are true
    passphrase_file: Path | None = None  # opens the household's key with nobody logged in
    explorer: str | None = Field(None, pattern=LINK)  # shows a transaction: https://host/tx/{hash}
    invite_chain_url: str | None = Field(None, pattern=URL)  # what those who join should use
    chain_url: str | None = None  # what our own coordinator uses
    plays: str = "answer"  # the trainers' game
    mix: str = "easy"  # of their questions
    session_idle_h: float = Field(12, gt=0)
    session_days: float = Field(7, gt=0)
    kdf: Literal["strong", "fast"] = "strong"  # fast is for tests only, and no variable sets it

    signer_host: str = Field(min_length=1)
    signer_port: int = Field(ge=0, lt=65536)
    signing_token_file: Path | None  # None: nobody can have anything signed
    chain_id: int = Field(ge=1, lt=2**53)  # the only chain that is signed for
    swarm_contract: str | None = Field(pattern=r"^0x[0-9a-fA-F]{40}$")
    market_contract: str | None = Field(None, pattern=r"^0x[0-9a-fA-F]{40}$")  # the swarm's prediction market
    artifacts: Path | None

    @property
    def chain_url_for_others(self) -> str | None:
        """What an invite says; None: those who join have a way of their own."""
        ours = self.chain_url if self.chain_url and re.fullmatch(URL, self.chain_url) else None
        return self.invite_chain_url or ours

    @property
    def signer_url(self) -> str:
        """Where the signing listener is asked from the machine or container that it is in."""
        host = "127.0.0.1" if self.signer_host in EVERYWHERE else self.signer_host
        return f"http://{host}:{self.signer_port}"

    @property
    def contracts(self) -> Path:
        """The folder of the compiled contracts."""
        return self.artifacts or ARTIFACTS

    @property
    def home(self) -> Path:
        """Where accounts and keys are kept."""
        return self.state_dir / "identity"

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The names by which browsers may call us."""
        return frozenset((*LOOPBACK, *self.hosts))

    @property
    def exposed(self) -> bool:
        """Whether the page is meant for more than this machine."""
        return any(not is_loopback(host) for host in self.hosts)

    @property
    def reachable(self) -> bool:
        """Whether others than this machine's people may reach the page.

        A container always listens on all of its own addresses; there, only the allowed names tell.
        """
        bound = not is_loopback(self.identity_host) and not CONTAINER.exists()
        return self.exposed or bound

    def passphrase(self) -> str | None:
        """What opens the key at start; None: only the owner can. Raises SettingsError."""
        secret = read_secret(self.passphrase_file, "IDENTITY_PASSPHRASE_FILE")
        if self.passphrase_file is not None and secret is None:
            raise SettingsError(
                f"the passphrase file {self.passphrase_file} is empty",
                "write a passphrase into it, or unset IDENTITY_PASSPHRASE_FILE",
            )
        return secret


def is_loopback(host: str) -> bool:
    """Whether a name or an address stands for this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
