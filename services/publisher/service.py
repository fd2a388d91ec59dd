"""The publisher's life: see whether the token may write, then look at every peer's newest checkpoint now and then.

checkpoints (disk) --found--> publisher.py --> build, upload: processes of their own, at the lowest priority
token --whoami--> account.py: may it write? no --> degraded, training goes on; asked again later

Nothing here is waited for by anybody, and it sends nothing on any stream: no round depends on it.
"""

from __future__ import annotations

import asyncio
import logging
import time

from services.publisher.account import Account
from services.publisher.found import newest
from services.publisher.hub import Hub
from services.publisher.publisher import HUB, Publisher
from services.publisher.settings import PublisherSettings
from shared.errors import SwarmError
from shared.runtime import Context

log = logging.getLogger(__name__)

LOOK_S = 5.0  # between two looks for checkpoints
ASK_S = 600.0  # between two questions whether the token may write, after it might not
PATIENCE_S = 10.0  # for the hub's answer to that


async def run(settings: PublisherSettings, context: Context) -> None:
    """Publish until told to stop."""
    if off := why_off(settings):
        log.info("nothing is published: %s", off)
        context.health.facts["publishes"] = off
        while await context.sleep(1.0):
            context.health.beat()
        return
    hub = Hub(settings.token.get_secret_value() if settings.token else "", PATIENCE_S)
    account = await _account(hub, settings.owner, context)
    if account is None:
        return
    context.health.facts["publishes"] = f"as {account.owner}"
    publishers: dict[str, Publisher] = {}
    while await context.sleep(LOOK_S):
        context.health.beat()
        for found in await asyncio.to_thread(newest, settings.state_dir):
            if found.key not in publishers:
                publishers[found.key] = Publisher(settings, context, hub, found, account.owner)
            await publishers[found.key].look(found)


def why_off(settings: PublisherSettings) -> str:
    """Why nothing is to be published; "": it is."""
    if not settings.enabled:
        return "PUBLISH is false"
    return "" if settings.token else "neither HF_TOKEN nor HUGGINGFACE_ACCESS_TOKEN is set"


async def _account(hub: Hub, owner: str | None, context: Context) -> Account | None:
    """Wait until the hub lets us write; None if told to stop before."""
    asked_at: float | None = None
    while not context.stop.is_set():
        context.health.beat()
        if asked_at is None or time.monotonic() - asked_at >= ASK_S:
            asked_at = time.monotonic()
            try:
                account = await asyncio.to_thread(hub.account, owner)
            except SwarmError as error:
                context.health.degrade(HUB, str(error))
            else:
                context.health.heal(HUB)
                return account
        await context.sleep(1.0)
    return None
