"""`python -m services.publisher.build --out FOLDER`: a repository's folder from a peer's newest checkpoint.

A program of its own: torch and the model are gone from memory when it ends. `rlswarm publish --dry-run` runs it, and
so does the publisher.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from services.publisher.ending import one_line
from services.publisher.evaluation import ALL, Exam
from services.publisher.facts import Facts
from services.publisher.folder import MODELFILE, Request, build
from services.publisher.found import newest
from services.publisher.names import repository
from services.publisher.settings import PublisherSettings
from shared.errors import SwarmError
from shared.settings import load


def main() -> None:
    """Entry point; an expected failure is one line."""
    asked = _arguments(sys.argv[1:])
    with one_line("rlswarm publish"):
        make(asked, load("publisher", PublisherSettings))


def make(asked: argparse.Namespace, settings: PublisherSettings) -> None:
    """Do what was asked; prints the folder. Raises SwarmError, OSError."""
    found = newest(settings.state_dir, asked.peer)
    if not found:
        raise SwarmError(f"there is no checkpoint in {settings.state_dir}", "let it train for a round")
    name = repository(found[0].origin.model, settings.infix, found[0].peer)
    kept = settings.state_dir / "publisher" / "marks"
    exam = Exam(settings.questions, settings.samples, limit_s=settings.evaluation_max_s, kept=kept)
    request = Request(
        repository=asked.repository or (f"{settings.owner}/{name}" if settings.owner else name),
        swarm=settings.swarm,
        exam=None if asked.only_gguf else exam,
        with_state=settings.with_state and not asked.only_gguf,
        with_gguf=settings.with_gguf or asked.only_gguf,
        history=settings.state_dir / "history",
    )
    out = asked.out or asked.into / name
    facts = build(found[0], request, out, lambda line: print(line, file=sys.stderr))
    if asked.only_gguf:
        keep_gguf(facts, out)
    for line in told(facts):
        print(line, file=sys.stderr)
    print(out)


def told(facts: Facts) -> list[str]:
    """What somebody who waits for it wants to know at once."""
    lines = [f"file for llama.cpp: {one.name}, {one.bytes / 1e6:,.1f} MB" for one in facts.gguf]
    lines += [f"no file for llama.cpp: {reason}" for reason in facts.no_gguf]
    found = facts.evaluation
    if found is None:
        return [*lines, f"not evaluated: {facts.not_evaluated}"]
    before = f"{found.before[ALL].mean_at_k.value:.3f} -> " if found.before else ""
    return [*lines, f"mean reward on {found.after[ALL].questions} held-out questions: {before}{found.score:.3f}"]


def keep_gguf(facts: Facts, folder: Path) -> None:
    """Take everything away but the files for llama.cpp. Raises SwarmError if there is none."""
    for path in folder.iterdir():
        if path.name != MODELFILE and path.suffix != ".gguf":
            path.unlink()
    if not facts.gguf:
        raise SwarmError(f"there is no file for llama.cpp: {'; '.join(facts.no_gguf)}", "see docs/publish.md")


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rlswarm publish", description="A repository's folder from a checkpoint.")
    parser.add_argument("--peer", help="whose checkpoint (default: the latest)")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="the folder to be made")
    where.add_argument("--into", type=Path, help="the folder in which it is made, called as the repository")
    parser.add_argument("--only-gguf", action="store_true", help="only the files for llama.cpp and Ollama")
    parser.add_argument("--repository", help="its name on the hub (default: as it follows from model and peer)")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
