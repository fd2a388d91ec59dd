"""A model hub on this machine: the few routes of the Hugging Face hub that a download needs, serving real folders."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants
from huggingface_hub.utils import close_session


class Hub:
    """Serves `models`, by their id; `asked` lists the paths that were asked for."""

    def __init__(self, models: dict[str, Path]) -> None:
        self.models, self.asked = models, []
        hub = self

        class Routes(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                """Quiet."""

            def do_GET(self):
                hub.answer(self, body=True)

            def do_HEAD(self):
                hub.answer(self, body=False)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Routes)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request, *, body: bool) -> None:
        path = unquote(urlsplit(request.path).path)
        self.asked.append(path)
        for name, folder in self.models.items():
            sha = commit(name)
            if path == f"/api/models/{name}/revision/main":
                return reply(request, as_json({"id": name, "sha": sha, "siblings": []}), body=body)
            if path == f"/api/models/{name}/tree/{sha}":
                listed = [
                    {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": digest(file)}
                    for file in sorted(folder.iterdir())
                ]
                return reply(request, as_json(listed), body=body)
            for revision in ("main", sha):
                prefix = f"/{name}/resolve/{revision}/"
                if path.startswith(prefix) and (file := folder / path.removeprefix(prefix)).is_file():
                    headers = {"ETag": f'"{digest(file)}"', "X-Repo-Commit": sha}
                    return reply(request, file.read_bytes(), body=body, **headers)
        headers = {"X-Error-Code": "EntryNotFound" if "/resolve/" in path else "RepoNotFound"}
        return reply(request, b"{}", status=404, body=body, **headers)


def reply(request, payload: bytes, *, body: bool, status: int = 200, **headers: str) -> None:
    request.send_response(status)
    for name, value in {"Content-Length": str(len(payload)), **headers}.items():
        request.send_header(name, value)
    request.end_headers()
    if body:
        request.wfile.write(payload)


def as_json(value) -> bytes:
    return json.dumps(value).encode()


def digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()


def commit(name: str) -> str:
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


@contextmanager
def serve(models: dict[str, Path]) -> Iterator[Hub]:
    """The hub, while the block lasts."""
    hub = Hub(models)
    thread = threading.Thread(target=hub.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()


@contextmanager
def silent() -> Iterator[str]:
    """The address of a hub that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def use(monkeypatch, url: str, cache: Path, patience_s: int = 10) -> None:
    """Let this process take the hub at `url` for the hub; its files are kept in `cache`."""
    close_session()  # the publisher's tests may have taught it their own patience
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", patience_s)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", patience_s)
