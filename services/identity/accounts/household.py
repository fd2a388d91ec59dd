"""What stock RL Swarm nodes name themselves by when they call."""

from __future__ import annotations

import uuid

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from services.identity.accounts.db import Database
from services.identity.accounts.tables import HOUSEHOLD


def org_id(database: Database) -> str:
    """This household's ORG_ID: random, made at the first call, the same for ever."""
    with database.begin() as connection:
        row = {"id": 1, "org_id": str(uuid.uuid4())}
        connection.execute(insert(HOUSEHOLD).values(row).on_conflict_do_nothing())
        found: str = connection.execute(select(HOUSEHOLD.c.org_id)).scalar_one()
        return found
