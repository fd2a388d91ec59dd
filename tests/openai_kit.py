"""A small real server of OpenAI's chat completions: the embedded model answers, one question at a time."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

from services.trainer.forward.sampling import sample
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from shared.settings import load

KEY = "sk-of-this-test"


class Server(ThreadingHTTPServer):
    """`faults`: statuses that the next requests get; `seen`: what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Completions)
        self.settings = load("trainer", TrainerSettings, ["policy.model=embedded"])
        self.policy, self.lock = Policy(self.settings.policy), threading.Lock()
        self.faults: list[int] = []
        self.seen: list[dict[str, Any]] = []
        self.busy = self.busiest = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What the API answers."""
        *_, question = (turn["content"] for turn in asked["messages"])
        greedy = asked["temperature"] == 0
        told = {"completions": 2, "max_new_tokens": asked["max_tokens"], "temperature": asked["temperature"] or 1.0}
        game = self.settings.game.model_copy(update=told)
        generator = None if greedy else torch.Generator().manual_seed(asked["seed"])
        with self.lock:
            ((row, *_),) = sample(self.policy, [self.policy.prompt(question)], game, generator)
            said = self.policy.decode(row)
        message = {"role": "assistant", "content": said.text}
        return {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


class Completions(BaseHTTPRequestHandler):
    """POST /v1/chat/completions."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.busy += 1
            self.server.busiest = max(self.server.busiest, self.server.busy)
            fault = self.server.faults.pop(0) if self.server.faults else 0
            self.server.seen.append(json.loads(body))
        if self.path != "/v1/chat/completions":
            self._say(404, {"error": "no such path"})
        elif self.headers["authorization"] != f"Bearer {KEY}":
            self._say(401, {"error": "no such key"})
        elif fault:
            self._say(fault, {"error": "not now"})
        else:
            self._say(200, self.server.answer(json.loads(body)))
        with self.server.lock:
            self.server.busy -= 1

    def _say(self, status: int, told: dict[str, Any]) -> None:
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def openai_server() -> Iterator[Server]:
    """The server, there while the block lasts."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
