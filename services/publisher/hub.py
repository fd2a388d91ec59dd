"""The Hugging Face hub, by its own client: who we are there, what our repository is called, and the upload.

    whoami --> settle (a name that no other peer has) --> one commit: large files by LFS, those it has already skipped

What passes by itself (no network, an overloaded hub, a limit on requests) is tried again, later and later, and no
sooner than the hub says; what does not (a token that may not write) is said at once.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_session
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars
from pydantic import ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from services.publisher.account import REMEDY, Account, Refused, account_of
from services.publisher.publication import PUBLICATION, Publication
from shared.errors import SwarmError
from shared.patience import Patience

log = logging.getLogger(__name__)

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
KEPT = (".gitattributes",)  # of a repository, whatever is uploaded
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 120.0
SILENCE_S = 30.0  # of a hub, then it counts as away

T = TypeVar("T")


class Away(SwarmError):
    """The hub does not answer, or asks for patience; later it may."""

    exit_code = 4


class Hub:
    """One token's view of the hub."""

    def __init__(self, token: str, patience_s: float) -> None:
        """`patience_s`: for how long one step is tried again and again."""
        disable_progress_bars()
        Patience(SILENCE_S).rule(get_session())
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line for each request says nothing
        # Chunked storage would be quicker for a second upload, and cannot be tested without the hub's own servers.
        constants.HF_HUB_DISABLE_XET = True
        self._api, self._patience_s = HfApi(token=token, library_name="rlswarm"), patience_s

    def account(self, owner: str | None) -> Account:
        """Whose repositories are written. Raises Refused, Away."""
        return account_of(self._try(self._api.whoami), owner)

    def settle(self, names: Sequence[str], peer: str) -> str:
        """The first of these repositories that is this peer's, or nobody's. Raises Refused, Away, SwarmError."""
        for name in names:
            if self._try(self._writer_of, name) in (None, peer):
                return name
        raise SwarmError(f"{' and '.join(names)} are there already, and not this peer's", "set PUBLISH_INFIX")

    def upload(self, folder: Path, repository: str, message: str, *, private: bool) -> str:
        """Make the repository what the folder is, in one commit; its id. Raises Refused, Away, SwarmError."""
        self._try(self._api.create_repo, repository, private=private or None, exist_ok=True)
        return self._try(self._commit, folder, repository, message)

    def _commit(self, folder: Path, repository: str, message: str) -> str:
        files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
        there = self._api.list_repo_files(repository)
        gone = [CommitOperationDelete(name) for name in there if name not in files and name not in KEPT]
        added = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
        done = self._api.create_commit(repository, [*gone, *added], commit_message=message)
        return str(done.oid)

    def _writer_of(self, repository: str) -> str | None:
        """The peer that published there; "": somebody else did; None: nobody, or there is no such repository."""
        try:
            if set(self._api.list_repo_files(repository)) <= set(KEPT):
                return None
            with tempfile.TemporaryDirectory() as folder:
                path = self._api.hf_hub_download(repository, PUBLICATION, local_dir=folder)
                return Publication.model_validate_json(Path(path).read_text()).peer
        except RepositoryNotFoundError as error:
            if error.response.status_code == 401:
                raise
            return None
        except (RemoteEntryNotFoundError, ValidationError):
            return ""

    def _try(self, work: Callable[..., T], *args: Any, **named: Any) -> T:
        """What the work returns, again and again as long as what keeps it from that passes."""
        tries = Retrying(
            retry=retry_if_exception(passes),
            wait=_wait,
            stop=stop_after_delay(self._patience_s),
            before_sleep=_say,
            reraise=True,
        )
        try:
            return tries(work, *args, **named)
        except Exception as error:  # whatever the client raises: `explained` gives back what is none of the hub's
            raise explained(error) from error


def passes(error: BaseException) -> bool:
    """Whether to try again may help."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in PASSING
    return isinstance(error, httpx2.TransportError | LocalEntryNotFoundError)  # the second: neither here nor to be had


def explained(error: Exception) -> Exception:
    """Cause and remedy, of whatever the client raises; an error that is none of the hub's is given back as it is."""
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status == 401:
            return Refused("the hub does not know the token (any more)", REMEDY)
        if status == 403:
            return Refused("the token may not write there", REMEDY)
        said = _first_line(error)
        return Away(f"the hub answers {status}: {said}", "it is tried again") if status in PASSING else _bad(said)
    if isinstance(error, httpx2.TransportError | LocalEntryNotFoundError | ConnectionError):
        return Away(f"the hub cannot be reached: {_first_line(error)}", "see the network and HF_ENDPOINT")
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        return _bad(_first_line(error))
    return error


def _bad(said: str) -> SwarmError:
    return SwarmError(f"the hub does not take it: {said}", "see the folder that was to be uploaded")


def _wait(state: RetryCallState) -> float:
    """Longer and longer, with some chance in it so that many nodes do not come at once; never sooner than told."""
    error = state.outcome.exception() if state.outcome else None
    told = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    least = float(told) if told.isdecimal() else 0.0
    return max(least, wait_exponential_jitter(FIRST_WAIT_S, LONGEST_WAIT_S)(state))


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("the hub: %s; next try in %.0f s", _first_line(error), state.upcoming_sleep)


def _first_line(error: BaseException | None) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".:")
