"""A run's folder: where everything of one local swarm lies, and the plan that a restart follows.

runs/<name>/
    plan.json         peers, rounds, model, ports: what was asked for and what was found
    logs/             one file a program, supervisord.log, restarts.log
    state/            identities, checkpoints, keys: what must never be lost
    redis/  chain/    the embedded store's and the embedded chain's files
    summary.json      written when the swarm is through
    published/        models with their cards, as the hub would have them
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import SwarmError

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"  # also a valid swarm name
MARK = "RLSWARM_RUN"  # environment variable by which every process of a run can be told
_SOCKET_BOUND = 90  # characters; the system allows 107, and supervisord adds its pid while it makes the socket


class Plan(BaseModel):
    """What a run was asked for, and the addresses it was given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    peers: int = Field(ge=1)
    rounds: int | None  # None: until stopped
    model: str | None  # None: the trainer's default
    ports: dict[str, int]  # see ports.py
    own_redis: bool  # False: REDIS_URL named one that runs already
    own_chain: bool  # False: CHAIN_URL named one
    ledger: bool = False  # there is no chain, see services/coordinator/ledger.py
    started_at: float  # unix seconds of the run's first start; 0: it is founded, and was not started yet
    chain_url: str | None = None  # of a chain that is not ours, by the environment or the invite
    chain_id: int | None = None  # as CHAIN_ID said at the last start that had it; None: it never did
    invite: str | None = None  # by which this run takes part in a swarm; None: it founded its own
    host: str | None = None  # name or address of this machine for others; None: they are not let in


class RunFolder:
    """Paths of one run; `root` is made absolute, as all its processes must mean the same place."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.logs = self.root / "logs"
        self.state = self.root / "state"
        self.redis = self.root / "redis"
        self.signing_token = self.root / "keys" / "signing"  # by which identity knows the coordinator
        self.passphrase = self.root / "keys" / "passphrase"  # of the household's key
        self.chain_state = self.root / "chain" / "state.json"
        self.plan = self.root / "plan.json"
        self.summary = self.root / "summary.json"
        self.published = self.root / "published"  # repositories' folders, as `rlswarm publish` makes them
        self.pids = self.root / "pids.json"
        self.lock = self.root / "up.lock"
        self.stopping = self.root / "stopping"  # exists while the run is being stopped on purpose
        self.supervisor_conf = self.root / "supervisord.conf"
        self.supervisor_pid = self.root / "supervisord.pid"
        self.supervisor_log = self.logs / "supervisord.log"
        self.restarts = self.logs / "restarts.log"

    @property
    def socket(self) -> Path:
        """Supervisord's socket; under the system's folder for temporary files if the run's own path is too long."""
        here = self.root / "supervisor.sock"
        if len(str(here)) <= _SOCKET_BOUND:
            return here
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir(), f"rlswarm-{os.getuid()}-{digest}", "s.sock")

    def log_of(self, program: str) -> Path:
        """A program's log file."""
        return self.logs / f"{program}.log"

    def create(self) -> None:
        """Make what has to exist before anything starts; raises SwarmError if this is no place for a run."""
        if any(sign in str(self.root) for sign in ('"', "\n", " ;", " #")):
            raise SwarmError(f"the path {self.root} has a sign that supervisord cannot read", "choose another folder")
        try:
            for folder in (self.logs, self.state, self.redis, self.chain_state.parent):
                folder.mkdir(parents=True, exist_ok=True)
            self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SwarmError(
                f"the run's folder {self.root} cannot be made ({error.strerror})", "make it writable or set RUNS_DIR"
            ) from error
        if self.socket.parent.stat().st_uid != os.getuid():
            raise SwarmError(f"{self.socket.parent} belongs to another user", "set RUNS_DIR to a shorter path")

    def read_plan(self) -> Plan | None:
        """The saved plan; None if this run has never been started."""
        try:
            return Plan.model_validate_json(self.plan.read_text())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise SwarmError(f"{self.plan} cannot be read", "choose another --name, or remove that folder") from error

    def write_plan(self, plan: Plan) -> None:
        """Save the plan for the next start."""
        write_whole(self.plan, plan.model_dump_json(indent=1))


def write_whole(target: Path, text: str) -> None:
    """Replace a file in one step: a reader, or a kill, sees the old text or the new."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    partial.write_text(text)
    partial.replace(target)


def find_run(runs: Path, name: str | None) -> RunFolder:
    """The named run, or the one started last; raises SwarmError if there is none."""
    if name is not None:
        folder = RunFolder(runs / name)
        if not folder.plan.exists():
            raise SwarmError(f"there is no run {name} in {runs}", "see the folders there, or start it: rlswarm up")
        return folder
    plans = sorted(runs.glob("*/plan.json"), key=lambda path: path.stat().st_mtime)
    if not plans:
        raise SwarmError(f"there is no run in {runs}", "start one: rlswarm up --local")
    return RunFolder(plans[-1].parent)
