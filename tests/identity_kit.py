"""Messages as the other services of a household write them, and the web application on parts in memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx

from services.identity.accounts.accounts import Accounts
from services.identity.app import build_app
from services.identity.board import Board
from services.identity.live import View, apply
from services.identity.parts import Parts
from services.identity.settings import IdentitySettings
from shared.health import Health
from shared.household import ServiceState, SwarmState
from shared.messages import (
    Attempt,
    Exchanged,
    Recorded,
    Reward,
    Sampled,
    Settled,
    Submission,
    Trained,
    Winners,
)
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load

ME, YOU, OTHER = (letter * 30 for letter in "ABC")
PASSPHRASE = "seven blue herons over the lake"


def trained(peer: str = ME, number: int = 1, reward: float = 0.5, **changes: Any) -> Trained:
    base: dict[str, Any] = {
        "at": 100.0 + number,
        "peer_id": peer,
        "round": number,
        "stage": 0,
        "mean_reward": reward,
        "loss": 0.1,
        "gradient_norm": 1.0,
        "local_groups": 4,
        "external_groups": 4,
        "completion_tokens": 100,
        "seconds": {"generate": 1.0, "update": 2.0},
        "seen_peers": 3,
    }
    return Trained(**base | changes)


def sampled(
    number: int = 1, peer: str = ME, text: str = "<answer>1</answer>", answer: str | None = "1", **changes: Any
) -> Sampled:
    base: dict[str, Any] = {
        "at": 1.0,
        "peer_id": peer,
        "author": peer,
        "round": number,
        "dataset": "lcm",
        "question": "?",
        "answer": answer,
        "attempts": (Attempt(text=text, reward=1.0),),
    }
    return Sampled(**base | changes)


def exchanged(number: int = 1, **rejected: int) -> Exchanged:
    return Exchanged(at=1.0, round=number, bytes_sent=10, bytes_received=20, accepted=2, rejected=rejected)


def landed(submission: Submission, transaction: str | None = "0x" + "ab" * 32) -> Settled:
    return Settled(submission=submission, outcome="landed", transaction=transaction, block=9)


def refused(submission: Submission, reason: str = "InvalidVote") -> Settled:
    return Settled(submission=submission, outcome="refused", transaction=None, block=None, reason=reason)


def recorded(submission: Submission, digit: str = "a") -> Recorded:
    return Recorded(submission=submission, account="0x" + "1" * 40, transaction="0x" + digit * 64, block=9)


def reward(peer: str = ME, number: int = 1, points: int = 500) -> Reward:
    return Reward(peer_id=peer, round=number, stage=0, points=points)


def vote(*winners: str, peer: str = ME, number: int = 1) -> Winners:
    return Winners(peer_id=peer, round=number, winners=winners)


def view_of(*messages: Any) -> View:
    view = View()
    for message in messages:
        apply(view, message)
    return view


def chain_of(**changes: Any) -> SwarmState:
    base: dict[str, Any] = {
        "chain_id": 1,
        "contract": "0x" + "c" * 40,
        "account": "0x" + "d" * 40,
        "block": 3,
        "round": 4,
        "stage": 0,
        "registered_peers": 1,
        "rewards_settled": 77,
        "winners_settled": 8,
        "finished": False,
    }
    return SwarmState(**base | changes)


def state_of(service: str = "trainer", **changes: Any) -> ServiceState:
    base: dict[str, Any] = {
        "service": service,
        "instance": "one",
        "pid": 1,
        "port": 2,
        "at": 3.0,
        "status": "ok",
        "progress_age_s": 1.0,
        "degraded": {},
        "facts": {},
    }
    return ServiceState(**base | changes)


def settings_of(folder: Path, *changes: str) -> IdentitySettings:
    return load("identity", IdentitySettings, [f"state_dir={folder}", "swarm=meadow", "+kdf=fast", *changes])


def parts_of(folder: Path, *messages: Any, changes: tuple[str, ...] = ()) -> Parts:
    """Everything the routes need, without a Redis."""
    settings = settings_of(folder, *changes)
    context = Context(MemoryQueue(), MemoryStore(), Health("identity", "one", 60))
    return Parts(settings, context, view_of(*messages), Board(), Accounts.open(settings))


def browser_of(parts: Parts) -> httpx.AsyncClient:
    """A client that keeps cookies."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(build_app(parts)), base_url="http://localhost:3000")


async def sign_up(client: httpx.AsyncClient) -> str:
    """Become the owner; the session's CSRF token."""
    form = token_of((await client.get("/signup")).text)
    told = {"csrf": form, "name": "ada", "passphrase": PASSPHRASE, "again": PASSPHRASE}
    answer = await client.post("/signup", data=told)
    assert answer.status_code == 303, answer.text
    return token_of((await client.get("/swarm")).text)


def token_of(page: str) -> str:
    """The token in a page's form."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page
    return found[1]
