"""`python -m services.publisher.upload FOLDER --repository OWNER/NAME`: what a folder holds becomes one commit.

A program of its own, so that it can be stopped at any time. Stopped, or cut off, it is run again, and what had arrived
is not sent twice. The token is in the environment (HF_TOKEN), the result on standard output; the exit code tells
`Refused` from `Away`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from services.publisher.ending import one_line
from services.publisher.hub import Hub
from services.publisher.names import commit_message, repositories
from services.publisher.publication import read_publication
from services.publisher.settings import PublisherSettings
from shared.errors import SettingsError, SwarmError
from shared.settings import load


def main() -> None:
    """Entry point; an expected failure is one line."""
    asked = arguments(sys.argv[1:])
    with one_line("rlswarm publish"):
        print(json.dumps(upload(asked, load("publisher", PublisherSettings))))


def upload(asked: argparse.Namespace, settings: PublisherSettings) -> dict[str, str]:
    """Upload a folder that `build` made; the repository and the commit. Raises SwarmError, OSError."""
    if settings.token is None:
        raise SettingsError("there is no token of the hub", "set HF_TOKEN to one that may write")
    published = read_publication(asked.folder)
    if published is None:
        raise SwarmError(f"{asked.folder} is no repository's folder", "make it with: rlswarm publish --dry-run")
    if published.parents and asked.repository is None:
        raise SwarmError("a merged model is nobody's in particular", "name its repository with --repository OWNER/NAME")
    hub = Hub(settings.token.get_secret_value(), asked.patience)
    name = asked.repository
    if name is None:
        owner = hub.account(settings.owner).owner
        name = hub.settle(repositories(owner, published.model, settings.infix, published.peer), published.peer)
    message = commit_message(published.round, published.peer)
    commit = hub.upload(asked.folder, name, message, private=settings.private)
    return {"repository": name, "commit": commit}


def arguments(given: list[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="rlswarm publish", description="Upload a repository's folder.")
    parser.add_argument("folder", type=Path, help="as services.publisher.build makes it")
    parser.add_argument("--repository", help="its name on the hub, settled before (default: by model and peer)")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for which a step is tried again")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
