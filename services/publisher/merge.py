"""`python -m services.publisher.merge PARENT PARENT... --out FOLDER`: one model of several peers', if it is better.

parents (folders, or repositories of the hub) --mix--> folder --evaluated beside each parent--> better than all? keep
                                                                                                | no: taken away
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import get_session, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from services.publisher.ending import one_line
from services.publisher.evaluation import ALL, Evaluation, Exam, evaluate
from services.publisher.facts import Facts
from services.publisher.folder import finish
from services.publisher.hub import SILENCE_S
from services.publisher.licence import licence_of
from services.publisher.llama.tolerance import KINDS
from services.publisher.mixture import mix
from services.publisher.names import BUILT_IN
from services.publisher.publication import Publication, read_publication
from services.publisher.settings import PublisherSettings
from shared.checkpoints import Lineage, Standing
from shared.errors import SwarmError
from shared.patience import Patience
from shared.settings import load

COPIED = ("*.json", "*.jinja", "*.txt", "*.model", "LICENSE*", "LICENCE*", "NOTICE*")  # beside the weights
NOT_COPIED = ("rlswarm.json", "model.safetensors.index.json")


@dataclass(frozen=True)
class Parent:
    """One published model."""

    name: str  # as it was asked for
    folder: Path
    told: Publication


def main() -> None:
    """Entry point; an expected failure is one line. Exit code 3: it is not better, and not kept."""
    asked = _arguments(sys.argv[1:])
    with one_line("rlswarm merge"):
        sys.exit(0 if merge(asked, load("publisher", PublisherSettings)) else 3)


def merge(asked: argparse.Namespace, settings: PublisherSettings) -> bool:
    """Do what was asked; True if the folder is there. Raises SwarmError, OSError."""
    Patience(SILENCE_S).rule(get_session())
    parents = [parent_of(name) for name in asked.parents]
    base = must_be_of_one_base(parents)
    exam = Exam(settings.questions, settings.samples, limit_s=settings.evaluation_max_s)
    beside = asked.out.with_name(f".{asked.out.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        copy_beside(parents[0].folder, beside)
        by_task = asked.method == "task-arithmetic"
        mix([one.folder for one in parents], asked.weights, beside, base if by_task else None, asked.scale)
        found = [compared(parent, beside, exam) for parent in parents]
        if not shown(parents, found):
            return False
        best = max(range(len(parents)), key=lambda place: before(found[place]))
        finish(facts_of(parents, parents[best], found[best], settings.swarm, base), beside)
        shutil.rmtree(asked.out, ignore_errors=True)
        beside.rename(asked.out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    print(asked.out)
    return True


def parent_of(name: str) -> Parent:
    """A folder, or a repository of the hub, downloaded. Raises SwarmError."""
    folder = Path(name)
    try:
        if not folder.is_dir():
            folder = Path(snapshot_download(name, ignore_patterns=["*.gguf", "training/*"]))
        told = read_publication(folder)
    except (HfHubHTTPError, HFValidationError, FileNotFoundError, ValueError) as error:
        first = str(error).strip().splitlines()[0].rstrip(".")
        raise SwarmError(f"{name} cannot be had: {first}", "name a folder or a repository of the hub") from error
    if told is None or told.origin is None:
        raise SwarmError(f"{name} was not published by this software", "it has no rlswarm.json to be merged by")
    return Parent(name, folder, told)


def must_be_of_one_base(parents: Sequence[Parent]) -> Path:
    """The folder of the model that all were trained from. Raises SwarmError."""
    bases = {one.told.model for one in parents}
    if len(parents) < 2 or len(bases) > 1:
        raise SwarmError(f"these are {len(parents)} models of {len(bases)} bases", "merge two or more of the same base")
    (model,) = bases
    if model == BUILT_IN:
        return Path(__file__).parents[1] / "trainer" / "embedded"
    return Path(model) if Path(model).is_dir() else Path(snapshot_download(model))


def copy_beside(parent: Path, folder: Path) -> None:
    """What is the same for all models of one base: tokenizer, configs, licence."""
    for pattern in COPIED:
        for path in parent.glob(pattern):
            if path.name not in NOT_COPIED:
                shutil.copyfile(path, folder / path.name)


def compared(parent: Parent, merged: Path, exam: Exam) -> Evaluation:
    """The merged model beside one parent, on the same questions. Raises SwarmError."""
    if parent.told.origin is None:
        raise SwarmError(f"{parent.name} has no origin", "publish it again")
    print(f"comparing with {parent.name}", file=sys.stderr)
    return evaluate(str(merged), str(parent.folder), parent.told.origin, exam, merged / ".evaluation.json")


def shown(parents: Sequence[Parent], found: Sequence[Evaluation]) -> bool:
    """Say how the merged model does beside each; whether it is better than all of them."""
    for parent, one in zip(parents, found, strict=True):
        gain = one.gain[ALL]
        sure = "" if gain.low > 0 else ", which may be chance"
        told = f"{before(one):.3f} -> {one.score:.3f}, gain {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]{sure}"
        print(f"beside {parent.name}: {told}", file=sys.stderr)
    better = all(one.score > before(one) for one in found)
    if not better:
        print("it is not better than each of them: nothing is kept", file=sys.stderr)
    return better


def before(found: Evaluation) -> float:
    """The parent's mean reward."""
    return found.before[ALL].mean_at_k.value


def facts_of(parents: Sequence[Parent], best: Parent, found: Evaluation, swarm: str, base: Path) -> Facts:
    """What the card of the merged model says: settings of the best parent, lineage of all."""
    told, origin = best.told, best.told.origin
    if origin is None:
        raise SwarmError(f"{best.name} has no origin", "publish it again")
    hub = told.model if told.model.count("/") == 1 else None
    standing = Standing(round=max(one.told.round for one in parents), swarm=_swarm(told), lineage=summed(parents))
    return Facts(
        repository=f"{told.model.rpartition('/')[2]}-merged",
        swarm=swarm,
        peer=told.peer,
        origin=origin,
        standing=standing,
        base=hub,
        licence=licence_of(base, hub),
        dtype="as the parents' are",
        evaluation=found,
        not_plotted="The curves are those of the models that it was made of.",
        no_gguf=(f"{', '.join(KINDS)} are made by: rlswarm export gguf",),
        merged=tuple(one.told.name for one in parents),
    )


def summed(parents: Sequence[Parent]) -> Lineage:
    """All groups that any parent learnt from."""
    lineages = [one.told.lineage for one in parents]
    peers: dict[str, int] = {}
    for lineage in lineages:
        for peer, count in lineage.peers.items():
            peers[peer] = peers.get(peer, 0) + count
    sums = {name: sum(getattr(one, name) for one in lineages) for name in ("updates", "own", "signed", "unsigned")}
    return Lineage(**sums, peers=peers)


def _swarm(told: Publication) -> str:
    return f"{told.chain_id}:{told.contract}:" if told.chain_id is not None and told.contract else ""


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rlswarm merge", description="One model of several peers', if it is better.")
    parser.add_argument("parents", nargs="+", help="folders, or repositories of the hub")
    parser.add_argument("--out", type=Path, required=True, help="the folder to be made")
    parser.add_argument("--method", choices=("linear", "task-arithmetic"), default="linear")
    parser.add_argument("--weights", type=float, nargs="*", default=[], help="one for each parent (default: equal)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the summed changes, by task arithmetic")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
