"""The household's own queue, and what its services say of themselves in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from services.doctor.chain import away, bad
from services.doctor.check import Check
from services.doctor.web import shown
from shared.household import ServiceState, SwarmState, bootnodes, service_states, swarm_state
from shared.queue.redis import RedisError, RedisStore, connect

OLDEST = (6, 2)  # of Redis
NEARLY_FULL = 0.9
WRONG = ("WRONGPASS", "NOAUTH", "invalid username-password", "Authentication required", "invalid password")


@dataclass(frozen=True)
class Seen:
    """What stands in the queue."""

    chain: SwarmState | None = None
    bootnodes: tuple[str, ...] = ()
    services: tuple[ServiceState, ...] = ()


def household(url: str, password: str | None, patience_s: float, *, started: bool) -> tuple[list[Check], Seen]:
    """Redis and the services."""
    where = f"at {shown(url)}"
    try:
        told, seen = asyncio.run(asyncio.wait_for(_look(url, password), patience_s))
    except (RedisError, OSError, ValueError) as error:  # TimeoutError is an OSError; ValueError: no address of a Redis
        words = str(error) or f"no answer within {patience_s:g} s"
        if any(wrong in words for wrong in WRONG):
            return [
                bad("redis", f"the Redis {where} wants another password", "see REDIS_PASSWORD_FILE and REDIS_URL")
            ], Seen()
        return [
            away("redis", f"no Redis answers {where}: {words}", "see that it runs, and REDIS_URL", url, started)
        ], Seen()
    return [_redis(told, where), *map(_service, seen.services)], seen


async def _look(url: str, password: str | None) -> tuple[dict[str, Any], Seen]:
    client = connect(url, password, retries=0)
    try:
        told: dict[str, Any] = await client.info()
        store = RedisStore(client)
        seen = Seen(await swarm_state(store), tuple(await bootnodes(store)), tuple(await service_states(store)))
        return told, seen
    finally:
        await client.aclose()


def _redis(told: dict[str, Any], where: str) -> Check:
    version = str(told.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < OLDEST:
        return bad("redis", f"the Redis {where} is {version}", "install 6.2 or later")
    used, most = int(told.get("used_memory", 0)), int(told.get("maxmemory", 0))
    if most and used > NEARLY_FULL * most:
        cause = f"the Redis {where} is full: {used / 2**20:.0f} of {most / 2**20:.0f} MiB"
        return bad("redis", cause, "raise REDIS_MAXMEMORY; see who does not read: rlswarm status")
    return Check("redis", True, f"{version} {where}", part="around")


def _service(state: ServiceState) -> Check:
    """What a service that runs says of itself."""
    of_many = state.instance != "one"
    name = (
        state.instance if state.instance.startswith(state.service) else state.service + f" {state.instance}" * of_many
    )
    if state.status == "stuck":
        cause = f"{name} has not got on for {state.progress_age_s:.0f} s"
        return bad("service", cause, f"see its log: rlswarm logs {state.service}")
    if state.degraded:
        part, reason = next(iter(state.degraded.items()))
        cause, _, remedy = reason.rstrip(".").partition(". ")
        return Check("service", None, f"{name} goes on without {part}: {cause}", remedy, "around")
    return Check("service", True, f"{name} gets on", part="around")
