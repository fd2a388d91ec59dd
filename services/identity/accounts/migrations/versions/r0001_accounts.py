"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Make them."""
    _owner()
    _logins()
    _doors()
    _signatures()


def _owner() -> None:
    op.create_table(
        "owner",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("handle", sa.LargeBinary(32), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.CheckConstraint("id = 1", name="only_one"),
    )
    op.create_table(
        "household",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("org_id", sa.String(36), nullable=False),
        sa.CheckConstraint("id = 1", name="only_one_household"),
    )
    op.create_table(
        "keystores",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("unlocker", sa.String(16), nullable=False),
        sa.Column("address", sa.String(42), nullable=False),
        sa.Column("json", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("retired", sa.Float, nullable=True),
        sa.CheckConstraint("unlocker IN ('file', 'passphrase')", name="known_unlocker"),
    )
    op.create_index("one_in_use", "keystores", ["unlocker"], unique=True, sqlite_where=sa.text("retired IS NULL"))


def _owned() -> sa.Column[int]:
    return sa.Column("owner_id", sa.Integer, sa.ForeignKey("owner.id", ondelete="CASCADE"), nullable=False)


def _logins() -> None:
    op.create_table(
        "passwords",
        sa.Column("owner_id", sa.Integer, sa.ForeignKey("owner.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("hash", sa.String(255), nullable=False),
        sa.Column("changed", sa.Float, nullable=False),
    )
    op.create_table(
        "passkeys",
        sa.Column("credential_id", sa.LargeBinary, primary_key=True),
        _owned(),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.Integer, nullable=False),
        sa.Column("label", sa.String(60), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("used", sa.Float, nullable=True),
    )
    op.create_table(
        "wallets",
        sa.Column("address", sa.String(42), primary_key=True),
        _owned(),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("used", sa.Float, nullable=True),
    )


def _doors() -> None:
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        _owned(),
        sa.Column("csrf", sa.String(64), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("seen", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Column("agent", sa.String(120), nullable=False),
    )
    op.create_table(
        "throttle",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.Float, nullable=False),
        sa.Column("last", sa.Float, nullable=False),
    )
    op.create_table(
        "challenges",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("browser", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )


def _signatures() -> None:
    op.create_table(
        "signatures",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("chain_id", sa.Integer, nullable=False),
        sa.Column("nonce", sa.Integer, nullable=False),
        sa.Column("to", sa.String(42), nullable=True),
        sa.Column("function", sa.String(80), nullable=False),
        sa.Column("data_hash", sa.String(66), nullable=False),
        sa.Column("transaction", sa.String(66), nullable=False),
        sa.Column("note", sa.String(200), nullable=False, server_default=""),
    )
    op.create_index("signatures_at", "signatures", ["at"])
    op.create_table(
        "chains",
        sa.Column("chain_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next_nonce", sa.Integer, nullable=True),
    )
    op.create_table(
        "contracts",
        sa.Column("chain_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("address", sa.String(42), primary_key=True),
        sa.Column("since", sa.Float, nullable=False),
    )
