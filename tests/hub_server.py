"""A model hub on this machine that takes uploads: the routes of the Hugging Face hub that its own client uses.

    create --> preupload (which file is large?) --> LFS batch (which blob is missing?) --> PUT, in parts --> commit

Real enough for faults: any route may answer with an error, cut the connection, or forget a token in the middle.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

PART = 400_000  # bytes of one part of a large file
LARGE = (".safetensors", ".gguf", ".png")  # what the hub keeps as LFS whatever its size
WRITE = {"role": "write"}
READ = {"role": "read"}


def fine_grained(*permissions: str, name: str = "me") -> dict:
    """A token that may do only this, in the repositories of `name`."""
    scoped = [{"entity": {"type": "user", "name": name}, "permissions": list(permissions)}]
    return {"role": "fineGrained", "fineGrained": {"global": [], "scoped": scoped}}


@dataclass
class Repository:
    """One model's repository."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[tuple[str, str]] = field(default_factory=list)  # oid, message

    @property
    def sha(self) -> str:
        return self.commits[-1][0] if self.commits else "0" * 40


@dataclass
class Fault:
    """What goes wrong when a path with `route` in it is asked for, so many times."""

    route: str
    how: int | str  # a status, or `cut`
    times: int
    headers: dict = field(default_factory=dict)


class HubServer:
    """Serves on a port of this machine; what it holds can be looked at."""

    def __init__(
        self,
        token: str = "hf_secret",
        user: str = "me",
        scope: dict = WRITE,
        orgs: tuple = (),
        host: str = "127.0.0.1",
    ) -> None:
        self.tokens = {token: (user, scope, orgs)}
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[tuple[str, int], bytes] = {}
        self.faults: list[Fault] = []
        self.asked: list[tuple[str, str]] = []  # method, path
        self.received = 0  # bytes of blobs
        self.lock = threading.Lock()
        hub = self

        class Routes(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                """Quiet."""

            def handle_any(self):
                hub.answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = handle_any

        self.server = ThreadingHTTPServer((host, 0), Routes)
        self.server.daemon_threads = True
        self.url = f"http://{host}:{self.server.server_port}"

    def fail(self, route: str, how: int | str, times: int = 1, **headers: str) -> None:
        """Let the next requests of a route go wrong."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults.append(Fault(route, how, times, named))

    def of(self, name: str) -> Repository:
        """The repository whose name ends so."""
        (found,) = [one for key, one in self.repositories.items() if key.endswith(name)]
        return found

    def uploads(self, method: str = "PUT", route: str = "/lfs/") -> int:
        """How often a route was asked for."""
        return sum(one == method and route in path for one, path in self.asked)

    def answer(self, request) -> None:
        path = unquote(urlsplit(request.path).path)
        with self.lock:
            self.asked.append((request.command, path))
            fault = next((one for one in self.faults if one.times > 0 and one.route in path), None)
            if fault:
                fault.times -= 1
        length = int(request.headers.get("Content-Length") or 0)
        if fault and fault.how == "cut":
            request.rfile.read(min(length, 1000))
            request.close_connection = True
            request.connection.shutdown(2)
            return
        body = request.rfile.read(length)
        if fault:
            return self.reply(request, fault.how, {"error": "a fault"}, **fault.headers)
        with self.lock:
            self.route(request, path, body)

    def route(self, request, path: str, body: bytes) -> None:  # noqa: PLR0911
        who = self.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if path.startswith("/lfs/"):  # presigned: no token
            return self.take(request, path, body)
        if who is None:
            return self.reply(request, 401, {"error": "Invalid credentials in Authorization header"})
        user, scope, orgs = who
        if path == "/api/whoami-v2":
            token = {"displayName": "t", **scope}
            listed = [{"type": "org", "name": name} for name in orgs]
            return self.reply(
                request, 200, {"type": "user", "name": user, "orgs": listed, "auth": {"accessToken": token}}
            )
        if path == "/api/validate-yaml":
            return self.validate(request, json.loads(body)["content"])
        writes = request.command == "POST"
        if writes and scope["role"] == "read":
            return self.reply(request, 403, {"error": "you only have read access"})
        if path == "/api/repos/create":
            return self.create(request, json.loads(body), user)
        return self.in_repository(request, path, body)

    def in_repository(self, request, path: str, body: bytes) -> None:  # noqa: PLR0911
        match = re.match(r"^/(?:api/models/)?([\w.-]+/[\w.-]+?)(?:\.git)?(?:/(.*))?$", path)
        name, rest = match.groups() if match else ("", "")
        repository = self.repositories.get(name)
        if repository is None:
            return self.reply(request, 404, {"error": "Repository not found"}, **{"X-Error-Code": "RepoNotFound"})
        if rest == "info/lfs/objects/batch":
            return self.batch(request, json.loads(body))
        if rest == "preupload/main":
            return self.preupload(request, repository, json.loads(body))
        if rest == "commit/main":
            return self.commit(request, name, repository, body.decode())
        if rest in (None, "", "revision/main"):
            siblings = [{"rfilename": file} for file in repository.files]
            told = {"id": name, "sha": repository.sha, "siblings": siblings, "private": repository.private}
            return self.reply(request, 200, told)
        if rest.startswith("tree/"):
            listed = [
                {"type": "file", "path": file, "size": len(content), "oid": blob_id(content)}
                for file, content in repository.files.items()
            ]
            return self.reply(request, 200, listed)
        file = rest.partition("resolve/main/")[2]
        if file in repository.files:
            return self.send(request, repository, repository.files[file])
        return self.reply(request, 404, {"error": "Entry not found"}, **{"X-Error-Code": "EntryNotFound"})

    def validate(self, request, content: str) -> None:
        """The card has a block of metadata, and a licence: enough to see that the client asks, and heeds the answer."""
        bad = not re.match(r"^---\n(?s:.*)\nlicense: [a-z]", content) and not content.startswith("---\nlicense: ")
        self.reply(request, 400 if bad else 200, {"errors": [{"message": "license"}] if bad else [], "warnings": []})

    def create(self, request, asked: dict, user: str) -> None:
        name = f"{asked.get('organization') or user}/{asked['name']}"
        told = {"url": f"{self.url}/{name}", "name": name, "id": name}
        if name in self.repositories:
            return self.reply(request, 409, {"error": "You already created this model repo", **told})
        files = {".gitattributes": b"*.safetensors filter=lfs\n"}
        self.repositories[name] = Repository(asked.get("visibility") == "private", files)
        return self.reply(request, 200, told)

    def preupload(self, request, repository: Repository, asked: dict) -> None:
        told = []
        for file in asked["files"]:
            large = file["path"].endswith(LARGE)
            known = repository.files.get(file["path"])
            oid = None if known is None else hashlib.sha256(known).hexdigest() if large else blob_id(known)
            mode = "lfs" if large else "regular"
            told.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.reply(request, 200, {"files": told})

    def batch(self, request, asked: dict) -> None:
        told = []
        for one in asked["objects"]:
            oid, size = one["oid"], one["size"]
            if oid in self.blobs:
                told.append({"oid": oid, "size": size})
                continue
            upload = {"href": f"{self.url}/lfs/{oid}"}
            if size > PART:
                parts = range(1, -(-size // PART) + 1)
                upload["header"] = {
                    "chunk_size": str(PART),
                    **{f"{part:05}": f"{self.url}/lfs/{oid}/{part}" for part in parts},
                }
            told.append({"oid": oid, "size": size, "actions": {"upload": upload}})
        self.reply(request, 200, {"transfer": "basic", "objects": told})

    def take(self, request, path: str, body: bytes) -> None:
        _, _, oid, *part = path.split("/")
        if request.command == "POST":  # all parts are here
            parts = sorted(key for key in self.parts if key[0] == oid)
            body = b"".join(self.parts.pop(key) for key in parts)
        else:
            self.received += len(body)
        if part:
            self.parts[oid, int(part[0])] = body
        elif hashlib.sha256(body).hexdigest() != oid:
            return self.reply(request, 400, {"error": "sha256 differs"})
        else:
            self.blobs[oid] = body
        return self.reply(request, 200, {}, ETag=f'"{len(body)}"')

    def commit(self, request, name: str, repository: Repository, body: str) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        files = dict(repository.files)
        message = ""
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.blobs:
                    return self.reply(request, 400, {"error": "the blob is missing"})
                files[value["path"]] = self.blobs[value["oid"]]
            else:
                files = {path: content for path, content in files.items() if not path.startswith(value["path"])}
        oid = hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()
        repository.files = files
        repository.commits.append((oid, message))
        url = f"{self.url}/{name}/commit/{oid}"
        return self.reply(request, 200, {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def send(self, request, repository: Repository, content: bytes) -> None:
        request.send_response(200)
        told = {"Content-Length": len(content), "ETag": f'"{blob_id(content)}"', "X-Repo-Commit": repository.sha}
        for key, value in told.items():
            request.send_header(key, str(value))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

    def reply(self, request, status: int, told, **headers: str) -> None:
        content = json.dumps(told).encode()
        request.send_response(status)
        for key, value in {"Content-Length": str(len(content)), "Content-Type": "application/json", **headers}.items():
            request.send_header(key, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)


def blob_id(content: bytes) -> str:
    """As git names it."""
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()


@contextmanager
def hub_server(**how) -> Iterator[HubServer]:
    """The hub, while the block lasts."""
    hub = HubServer(**how)
    threading.Thread(target=hub.server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()
