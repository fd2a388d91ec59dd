"""A trained model's licence is that of the model it was trained from, as that one's card tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCard
from yaml import YAMLError

UNKNOWN = (
    "The licence of the base model could not be read here. Look it up at its source: it holds for this model, too."
)
LINKED = ("http://", "https://")


@dataclass(frozen=True)
class Licence:
    """As the hub's metadata has it."""

    id: str  # of the hub's list; `other` where it is none of these, or not known
    name: str | None = None  # of an `other` one
    link: str | None = None
    sentence: str = ""  # for people


def licence_of(folder: Path, base: str | None) -> Licence:
    """What the card in the base model's folder says; `base`: its name on the hub."""
    try:
        text = (folder / "README.md").read_text()
    except (OSError, UnicodeDecodeError):
        return Licence("other", "unknown", sentence=UNKNOWN)
    return licence_in(text, base)


def licence_in(card: str, base: str | None) -> Licence:
    """What a card says."""
    try:
        told = ModelCard(card, ignore_metadata_errors=True).data
    except (ValueError, YAMLError):
        return Licence("other", "unknown", sentence=UNKNOWN)
    given = told.get("license")
    found = str(given[0] if isinstance(given, list) and given else given or "")
    if not found or found == "unknown":
        return Licence("other", "unknown", sentence=UNKNOWN)
    name, link = told.get("license_name"), _absolute(told.get("license_link"), base)
    called = f"{name} ({link})" if name and link else str(name or found)
    return Licence(found, name, link, f"{called}, inherited from the base model.")


def _absolute(link: str | None, base: str | None) -> str | None:
    """A link that stands in the base model's card, as it is reached from another repository."""
    if link is None or link.startswith(LINKED):
        return link
    return f"https://huggingface.co/{base}/blob/main/{link}" if base else None
