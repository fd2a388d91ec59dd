"""What the tests of the p2p service share: identities made once a session, and small messages."""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import cache
from hashlib import sha256
from pathlib import Path

from services.p2p.network.identities import Identity, load_or_create
from services.p2p.settings import P2PSettings
from services.p2p.wire.announcement import Announcement
from shared.messages import Completion, Group, Question, Rollouts
from shared.tasks import seed_of

SWARM = "lab"
FOLDER = tempfile.TemporaryDirectory(prefix="rlswarm-kit-")  # removed when the session ends


@cache
def identity(name: str) -> Identity:
    """An identity of this test session; making one takes a moment."""
    return load_or_create(Path(FOLDER.name) / f"{name}.pem")


def rollouts_of(
    peer: str, number: int = 1, *, stage: int = 0, text: str = "4", size: int = 0, informative: int = 0
) -> Rollouts:
    origin = {"source_seed": seed_of(42, peer), "source_index": number}
    question = Question(text="2 + 2", answer="4", dataset="basic_arithmetic", metadata={"difficulty": 1, **origin})
    completions = (Completion(text=text + "x" * size, finished=True), Completion(text="5", finished=False))
    groups = (Group(question=question, completions=completions),)
    return Rollouts(peer_id=peer, round=number, stage=stage, groups=groups, informative=informative)


def announcement_of(author: Identity, body: bytes, number: int = 1, **changes) -> Announcement:
    fields = {
        "v": 1,
        "swarm": SWARM,
        "round": number,
        "stage": 0,
        "level": 0,
        "peer": author.peer_id,
        "sha256": sha256(body).hexdigest(),
        "size": len(body),
        "groups": 1,
        "informative": 0,
        "expires": time.time() + 120,
    }
    return Announcement(**{**fields, **changes})


def settings_of(folder: Path, **changes) -> P2PSettings:
    fields = {
        "swarm": SWARM,
        "redis_url": "redis://unused",
        "state_dir": folder,
        "http_host": "127.0.0.1",
        "http_port": 0,
        "instance": "one",
        "health_bound_s": 60,
        "log_level": "INFO",
        "peers": 1,
        "peers_max": 4,
        "host": "127.0.0.1",
        "port": 0,
        "announce_host": None,
        "bootnode": False,
        "relay": "auto",
        "initial_peers": (),
        "identity_path": None,
        "announce_s": 120,
        "poll_s": 0.5,
        "body_limit": 1_048_576,
        "fetch_concurrency": 8,
        "fetch_timeout_s": 3,
        "rounds_kept": 3,
        "max_peers": 64,
        "external_groups": 4,
        "members_only": "auto",
        "seed": 42,
        "quarantine": {"budget": 3, "half_life_s": 600},
        "stock": {"bridge": False, "completions": 2, "peers": 16},
    }
    return P2PSettings.model_validate({**fields, **changes})


async def until(fact, seconds: float = 10.0) -> None:
    """Wait until a fact holds."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.02)
