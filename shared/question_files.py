"""Sets of questions in files: JSON lines, or Parquet where pyarrow is installed; a path or a URL, which is kept.

    {"question": "...", "answer": "...", ...}     everything else goes into the metadata, for the scorer

Scorers, all of the text between the answer tags:
    exact    the same text; case and white space make no difference
    number   the same number: the last in the answer, and the one behind #### or the last in what is expected
    module:function or file.py:function    yours: function(answer, entry) -> 0 to 1
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from shared.errors import SettingsError
from shared.messages import MAX_TEXT
from shared.plugins import load_object
from shared.tasks import Entry, TaskSet

Scorer = Callable[[str, Entry], float]
TIMEOUT_S = 30.0
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


class QuestionFile:
    """A set from a file. Each item draws a line, so that a file of any length serves as many rounds as it takes."""

    def __init__(self, task: TaskSet, seed: int, kept: Path) -> None:
        """`kept`: the folder for downloads. Raises SettingsError."""
        self._entries, self._seed = read(str(task.file), kept), seed
        self._score = scorer_of(task.scorer)
        self._by_text = {entry["question"]: entry for entry in self._entries}

    def __len__(self) -> int:
        """Any number of items will do."""
        return 2**31

    def __getitem__(self, index: int) -> Entry:
        """A line, the same for the same seed and index."""
        return Random(self._seed + index).choice(self._entries)

    def find(self, text: str) -> Entry | None:
        """The line that asks this."""
        return self._by_text.get(text)

    def score_answer(self, answer: str | None, entry: Entry) -> float:
        """What an answer is worth, 0 to 1."""
        return 0.0 if answer is None else self._score(answer, entry)


@cache
def read(file: str, kept: Path) -> tuple[Entry, ...]:
    """The questions of a file, read once a process. Raises SettingsError."""
    path = fetched(file, kept) if file.startswith(("http://", "https://")) else Path(file)
    try:
        rows = _parquet(path) if path.suffix == ".parquet" else _json_lines(path)
        entries = tuple(_entry(number, row) for number, row in enumerate(rows, 1))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the questions in {file} cannot be read: {error}",
            "see DATA_FILE; docs/games.md shows the form of a file",
        ) from error
    if not entries:
        raise SettingsError(f"there is no question in {file}", "see DATA_FILE")
    return entries


def fetched(url: str, kept: Path) -> Path:
    """Where a downloaded file lies; it is fetched once. Raises SettingsError."""
    path = kept / f"{sha256(url.encode()).hexdigest()[:16]}-{url.rpartition('/')[2]}"
    if path.exists():
        return path
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - http(s), by the operator's setting
            body = answer.read()
        kept.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{sha256(body).hexdigest()[:8]}")
        beside.write_bytes(body)
        beside.replace(path)
    except (OSError, urllib.error.URLError) as error:
        raise SettingsError(
            f"{url} cannot be fetched: {error}",
            "let this process reach it, or fetch it elsewhere and set DATA_FILE to its path",
        ) from error
    return path


def scorer_of(name: str) -> Scorer:
    """A scorer by its name. Raises SettingsError."""
    if name in SCORERS:
        return SCORERS[name]
    if ":" not in name:
        raise SettingsError(f"there is no scorer {name!r}", f"set DATA_SCORER to one of {sorted(SCORERS)} or to yours")
    return load_object(name, "the scorer")  # type: ignore[no-any-return]


def exact(answer: str, entry: Entry) -> float:
    """1 for the expected text."""
    return float(_plain(answer) == _plain(entry["answer"]))


def number(answer: str, entry: Entry) -> float:
    """1 for the expected number."""
    given, wanted = _last_number(answer), _last_number(entry["answer"].rpartition("####")[2])
    return float(given is not None and given == wanted)


SCORERS: dict[str, Scorer] = {"exact": exact, "number": number}


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _last_number(text: str) -> float | None:
    found = NUMBER.findall(text[:MAX_TEXT])
    return float(found[-1].replace(",", "")) if found else None


def _json_lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _parquet(path: Path) -> Iterator[Any]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - large, and only for such files
    except ImportError as error:
        raise ValueError("a Parquet file needs pyarrow: pip install 'rlswarm[parquet]', or use JSON lines") from error
    yield from parquet.read_table(path).to_pylist()


def _entry(number: int, row: Any) -> Entry:
    """One line as reasoning-gym would give it. Raises ValueError."""
    if not isinstance(row, dict) or not isinstance(row.get("question"), str) or row.get("answer") is None:
        raise ValueError(f'question {number} is no {{"question": "...", "answer": "..."}}')
    question, answer = row["question"], str(row["answer"])
    if not question.strip() or max(len(question), len(answer)) > MAX_TEXT:
        raise ValueError(f"question {number} is empty or longer than {MAX_TEXT} characters")
    rest = {key: value for key, value in row.items() if key not in ("question", "answer")}
    return {"question": question, "answer": answer, "metadata": rest}
