"""One peer's model, from its checkpoints to the hub: what `look` does next follows from a file, so a restart goes on.

    due? --build (a process)--> score --better than what is there?--> pending --upload (a process)--> published
                                            | no: what is there stays

<state>/publisher/<peer>/<model>/course.json, and the folder of what is pending, or was uploaded last
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time

from pydantic import ValidationError

from services.publisher import metrics
from services.publisher.account import Refused
from services.publisher.child import Ended, run_child
from services.publisher.found import Found
from services.publisher.hub import Away, Hub
from services.publisher.names import repositories
from services.publisher.publication import Publication, read_publication
from services.publisher.schedule import Course, Pending
from services.publisher.settings import PublisherSettings
from shared.errors import SwarmError
from shared.names import name_of
from shared.runtime import Context

log = logging.getLogger(__name__)

BUILD_LIMIT_S, UPLOAD_LIMIT_S = 3 * 3600.0, 12 * 3600.0
HUB, BUILD = "hub", "checkpoint"  # parts of the health report


class Publisher:
    """Looks after one peer and model."""

    def __init__(self, settings: PublisherSettings, context: Context, hub: Hub, found: Found, owner: str) -> None:
        self._settings, self._context, self._hub, self._owner = settings, context, hub, owner
        self._name = name_of(found.peer)
        self._folder = settings.state_dir / "publisher" / found.key
        self._path = self._folder / "course.json"
        self._course = self._read(found)

    async def look(self, found: Found) -> None:
        """Do what is due; at most one build and one upload."""
        settings = self._settings
        if self._course.is_due(found.standing.round, time.time(), settings.every_rounds, settings.every_minutes):
            await self._build(found)
        if self._course.pending is not None and time.time() >= self._course.retry_at:
            await self._upload(self._course.pending)

    async def _build(self, found: Found) -> None:
        if not self._course.repository and not await self._settle(found):
            return
        folder = f"round-{found.standing.round}"
        told = ["--peer", found.peer, "--out", str(self._folder / folder), "--repository", self._course.repository]
        ended = await run_child(self._context, "services.publisher.build", told, BUILD_LIMIT_S)
        if ended.code is None:
            return
        published = read_publication(self._folder / folder) if ended.code == 0 else None
        if published is None:
            metrics.CHECKPOINTS.labels("failed").inc()
            self._context.health.degrade(BUILD, ended.complaint or "its folder could not be made")
            self._keep(self._course.looked(found.standing.round, time.time()))
            return
        self._context.health.heal(BUILD)
        self._choose(published, folder)

    async def _settle(self, found: Found) -> bool:
        """A name on the hub that no other peer has; True if there is one."""
        names = repositories(self._owner, found.origin.model, self._settings.infix, found.peer)
        try:
            name = await asyncio.to_thread(self._hub.settle, names, found.peer)
        except SwarmError as error:
            self._context.health.degrade(HUB, str(error))
            return False
        self._keep(self._course.model_copy(update={"repository": name}))
        return True

    def _choose(self, published: Publication, folder: str) -> None:
        """The candidate takes the place of what is there if it is better."""
        metrics.SCORE.set(published.score or 0.0)
        better = self._course.is_better(published.score)
        metrics.CHECKPOINTS.labels("better" if better else "not_better").inc()
        shown = "not evaluated" if published.score is None else f"mean reward {published.score:.3f}"
        log.info("%s, round %d: %s%s", self._name, published.round, shown, "" if better else "; what is there stays")
        course = self._course.looked(published.round, time.time())
        if better:
            pending = Pending(round=published.round, score=published.score, folder=folder)
            course = course.model_copy(update={"pending": pending, "retry_at": 0.0})
        self._keep(course)
        kept = folder if better else self._course.pending.folder if self._course.pending else ""
        for other in self._folder.glob("round-*"):
            if other.name != kept:
                shutil.rmtree(other, ignore_errors=True)

    async def _upload(self, pending: Pending) -> None:
        told = [str(self._folder / pending.folder), "--repository", self._course.repository]
        ended = await run_child(self._context, "services.publisher.upload", told, UPLOAD_LIMIT_S)
        if ended.code is None:
            return
        if ended.code:
            self._fail(ended)
            return
        done = json.loads(ended.said.splitlines()[-1])
        metrics.UPLOADS.labels("done").inc()
        metrics.PUBLISHED_AT.set(time.time())
        self._context.health.heal(HUB)
        self._context.health.facts["repository"] = done["repository"]
        log.info("%s is published: %s, commit %s", self._name, done["repository"], done["commit"][:12])
        self._keep(self._course.done(done["commit"], time.time()))

    def _fail(self, ended: Ended) -> None:
        outcome = {Refused.exit_code: "refused", Away.exit_code: "away"}.get(ended.code or 0, "failed")
        metrics.UPLOADS.labels(outcome).inc()
        self._context.health.degrade(HUB, ended.complaint or "the upload failed")
        self._keep(self._course.failed(time.time()))

    def _read(self, found: Found) -> Course:
        try:
            return Course.model_validate_json(self._path.read_text())
        except FileNotFoundError:
            log.info("%s is published from now on", self._name)
        except (OSError, ValidationError) as error:
            log.warning("%s cannot be read (%s): publishing begins anew", self._path, error)
        fresh = Course(looked_round=found.standing.round, looked_at=time.time())
        self._keep(fresh)
        return fresh

    def _keep(self, course: Course) -> None:
        """Remember, through kill -9; a full disk costs what a restart would know."""
        self._course = course
        partial = self._path.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(course.model_dump_json(indent=1))
            partial.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)
