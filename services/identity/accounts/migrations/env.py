"""Alembic's entry: the migrations run on the connection that db.py gives."""

from __future__ import annotations

from alembic import context

from services.identity.accounts.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite alters a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
