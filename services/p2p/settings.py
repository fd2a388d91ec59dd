"""Settings of the peer-to-peer service (config/p2p.yaml)."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from services.p2p.network.reach import Relay
from services.p2p.trust.members import Mode
from shared.settings import ServiceSettings, Settings

ADDRESS = r"^/(ip4|ip6|dns|dns4|dns6)/[^/\s]{1,253}/tcp/\d{1,5}/p2p/[1-9A-HJ-NP-Za-km-z]{20,128}$"
MAX_BODY = 1_500_000  # a libp2p message of p2pd ends at 2 MiB


def is_address(text: str) -> bool:
    """Whether this is a multiaddress that we can join through."""
    return re.match(ADDRESS, text) is not None


def _split(given: Any) -> Any:
    """A list out of what users write in INITIAL_PEERS: nothing, commas, or JSON."""
    if given is None:
        return ()
    if not isinstance(given, str):
        return given
    if given.lstrip().startswith("["):
        return json.loads(given)
    return [part.strip() for part in given.split(",") if part.strip()]


class QuarantineSettings(Settings):
    """How long a peer that sends rubbish is left alone."""

    budget: float = Field(gt=0)  # failures
    half_life_s: float = Field(gt=0)


class StockSettings(Settings):
    """Whether and how rollouts are exchanged with stock RL Swarm nodes."""

    bridge: bool
    completions: int = Field(ge=1, le=64)
    peers: int = Field(ge=1, le=64)


class P2PSettings(ServiceSettings):
    """What the service is told; every field is explained in config/p2p.yaml."""

    peers: int = Field(ge=1, le=64)
    peers_max: int = Field(ge=1, le=64)
    host: str
    port: int = Field(ge=0, lt=65536)
    announce_host: str | None
    bootnode: bool
    relay: Annotated[Relay, BeforeValidator(lambda given: "off" if given is False else str(given).lower())]
    initial_peers: Annotated[tuple[str, ...], BeforeValidator(_split)]
    identity_path: Path | None
    announce_s: float = Field(ge=10, le=3_000)  # peers refuse more than an hour
    poll_s: float = Field(ge=0.25)
    body_limit: int = Field(ge=1_000, le=MAX_BODY)
    fetch_concurrency: int = Field(ge=1, le=64)
    fetch_timeout_s: float = Field(gt=0)
    rounds_kept: int = Field(ge=1, le=100)
    max_peers: int = Field(ge=1, le=2_000)
    external_groups: int = Field(ge=0)
    seed: int
    members_only: Annotated[Mode, BeforeValidator(lambda given: str(given).lower())]
    quarantine: QuarantineSettings
    stock: StockSettings

    @field_validator("host")
    @classmethod
    def _is_ip(cls, host: str) -> str:
        ip_address(host)
        return host

    @field_validator("initial_peers")
    @classmethod
    def _are_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for text in addresses:
            if not is_address(text):
                raise ValueError(f"{text!r} is not of the form /ip4/<address>/tcp/<port>/p2p/<peer id>")
        return addresses

    @model_validator(mode="after")
    def _has_a_place(self) -> P2PSettings:
        if self.bootnode and not self.port:
            raise ValueError("a bootnode (P2P_BOOTNODE) needs a port that stays (P2P_PORT)")
        return self

    @property
    def listen_host(self) -> str:
        """The address to listen on; a bootnode that nobody outside can call would be none."""
        return "0.0.0.0" if self.bootnode and ip_address(self.host).is_loopback else self.host  # noqa: S104

    @property
    def seats_bound(self) -> int:
        """The most peers that are ever hosted here."""
        return max(self.peers, self.peers_max)

    def port_of(self, index: int) -> int:
        """The port of an identity; 0 for any free one."""
        return self.port + index if self.port else 0

    def identity_of(self, index: int) -> Path:
        """Where an identity is kept."""
        if index == 0 and self.identity_path is not None:
            return self.identity_path
        return self.state_dir / "identities" / f"peer-{index}.pem"
