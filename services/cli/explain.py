"""`rlswarm explain-reward`: what a round's reward is made of, as the page tells it."""

from __future__ import annotations

import json
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

from shared.errors import SettingsError, SwarmError

TIMEOUT_S = 10.0
ATTEMPTS = 3  # completions shown of a sample
TEXT = 160  # characters of each

Found = dict[str, Any]  # `GET /api/explain/{round}` (services/identity/shown/explanation.py)


def run_explain(url: str, number: int, peer: str | None, *, as_json: bool) -> int:
    """The command's body; 1 if nothing is known of the round, or of the peer in it. Raises SwarmError."""
    found = fetch(url, number)
    peers = [one for one in found["peers"] if peer in (None, one["peer_id"], one["name"])]
    if as_json:
        print(json.dumps({**found, "peers": peers}, indent=1))
        return 0 if peers else 1
    console = Console(highlight=False)
    if not peers:
        near = ", ".join(str(n) for n in (found["before"], found["after"]) if n is not None)
        who = f"of {peer} in" if peer else "of"
        console.print(f"Nothing is known here {who} round {number}." + f" Rounds near it: {near}." * bool(near))
        return 1
    for one in peers:
        console.print("\n".join(lines(one)), soft_wrap=True)
    if not peer and found["others"] > sum(not one["own"] for one in peers):
        console.print(f"and {found['others']} peers of other households; name one to see it")
    return 0


def fetch(url: str, number: int) -> Found:
    """What the page knows of a round. Raises SwarmError."""
    try:
        answer = httpx.get(f"{url}/api/explain/{number}", timeout=TIMEOUT_S, trust_env=False)
        told: Found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise SwarmError(
            f"no page answers at {url} ({type(error).__name__})", "start the run, or name --url"
        ) from error
    if answer.status_code != 200:
        raise SettingsError(f"the page does not explain round {number}", "rounds are counted from 0")
    return told


def lines(one: Found) -> list[str]:
    """One peer's round, a line each for groups, formula, learning, chain and samples."""
    found = [f"[bold]{one['name']}[/]  {one['peer_id']}"]
    for group in one["groups"]:
        rewards = " ".join(f"{reward:g}" for reward in group["rewards"])
        found.append(f"  {group['dataset']:<24} {rewards}  mean {group['mean']:.3f}")
    if one["mean"] is not None:
        found.append(
            f"  reward  mean of {one['completions']} completions {one['mean']:.4f} x 1000 = {one['points']} points"
        )
    if one["local_groups"] is not None:
        found.append(f"  learnt  from {one['local_groups']} own groups and {one['external_groups']} of peers")
    found.append(f"  chain   {_place(one['reward_on_chain'], one['points_on_chain'])}")
    if one["vote"]:
        names = ", ".join(vote["name"] for vote in one["vote"])
        found.append(f"  vote    for {names}: {_place(one['vote_on_chain'], None)}")
    return [*found, *(text for sample in one["samples"] for text in _sample(sample))]


def _place(where: Found | None, points: int | None) -> str:
    if where is None:
        return "not there (yet)"
    said = "" if points is None else f"{points} points, "
    return f"{said}transaction {where['transaction']}, block {where['block']}"


def _sample(sample: Found) -> list[str]:
    found = [f"  asked   {escape(_short(sample['question']))}"]
    for attempt in sample["attempts"][:ATTEMPTS]:
        found.append(f"  {attempt['reward']:>6.2f}  {escape(_short(attempt['text']))}")
    return found


def _short(text: str) -> str:
    """One line of printable text: what a model or a peer wrote must not steer a terminal."""
    plain = "".join(sign if sign.isprintable() else " " for sign in " ".join(text.split()))
    return plain if len(plain) <= TEXT else plain[: TEXT - 1] + "…"
