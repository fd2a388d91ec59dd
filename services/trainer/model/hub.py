"""The Hugging Face hub, or its mirror in HF_ENDPOINT: what is kept of it here, and what has to be fetched.

A model that is kept whole is never asked for again: it is there when the hub is not, and it is the same at every start.
Without an answer for HF_HUB_DOWNLOAD_TIMEOUT seconds (15 in containers, 10 elsewhere) the hub counts as away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_session, snapshot_download
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils.tqdm import disable_progress_bars

from shared.errors import SettingsError, SwarmError
from shared.patience import Patience

TEXTS = ["*.json", "*.txt", "*.model", "*.jinja", "README.md", "LICENSE*"]  # card and licence: for who publishes
WEIGHTS = ("*.safetensors", "*.bin")  # the second only where there is none of the first
FOLDERS = ["*/*"]  # other formats of the same weights

disable_progress_bars()


class HubError(SwarmError):
    """A model is not here, and the hub does not answer."""


def kept(name: str) -> Path | None:
    """The folder of a model that is here whole; None if it is not. Asks nobody."""
    try:
        return _snapshot(name, local_files_only=True)
    except (OSError, HFValidationError):
        return None


def fetch_config(name: str, token: str | None) -> Path:
    """The folder with a model's config.json, and nothing else of it. Raises HubError, SettingsError."""
    _bound_waiting()
    try:
        return Path(snapshot_download(name, allow_patterns=["config.json"], token=token))
    except (OSError, HFValidationError) as error:
        raise _explained(name, error) from error


def fetch(name: str, token: str | None) -> Path:
    """The folder of a whole model, downloaded as far as it is not here; goes on where it broke off.

    Raises HubError, SettingsError.
    """
    _bound_waiting()
    try:
        return _snapshot(name, token=token)
    except (OSError, HFValidationError) as error:
        raise _explained(name, error) from error


def _snapshot(name: str, **how: Any) -> Path:
    for weights in WEIGHTS:
        folder = Path(snapshot_download(name, allow_patterns=[*TEXTS, weights], ignore_patterns=FOLDERS, **how))
        if any(folder.glob(weights)):
            return folder
    raise FileNotFoundError(f"there are no weights of {name}")


def held_bytes(name: str) -> int:
    """How much of a model is here, half-loaded files included: it grows while a download goes on."""
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "blobs"
    return sum(path.stat().st_size for path in blobs.glob("*") if path.exists())


def _bound_waiting() -> None:
    """No question to the hub waits for ever; some of the library's own do."""
    Patience(constants.HF_HUB_DOWNLOAD_TIMEOUT).rule(get_session())


def _explained(name: str, error: Exception) -> SwarmError:
    if isinstance(error, GatedRepoError):
        return SettingsError(
            f"the model {name!r} is given only to those who accepted its terms", "accept them and set HF_TOKEN"
        )
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return SettingsError(
            f"there is no folder {name!r}, nor a model of that name on the hub",
            "set MODEL_NAME to a Hugging Face id, a folder, or `embedded`; a private model needs HF_TOKEN",
        )
    first = str(error).strip().splitlines()[0].rstrip(".")
    return HubError(
        f"the hub cannot be reached, and the model {name!r} is not here whole ({first})",
        "see the network and HF_ENDPOINT",
    )
