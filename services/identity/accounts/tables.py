"""The tables of accounts and signatures. Times are unix seconds; what a browser holds is kept as its sha256 only."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

METADATA = MetaData()


def _owned() -> Column[int]:
    return Column("owner_id", Integer, ForeignKey("owner.id", ondelete="CASCADE"), nullable=False)


# One household, one owner: the check makes a second row impossible.
OWNER = Table(
    "owner",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(100), nullable=False),
    Column("handle", LargeBinary(32), nullable=False),  # what passkeys know the owner by
    Column("created", Float, nullable=False),
    CheckConstraint("id = 1", name="only_one"),
)
# What stock RL Swarm nodes name themselves by when they call; there from the first start on.
HOUSEHOLD = Table(
    "household",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("org_id", String(36), nullable=False),
    CheckConstraint("id = 1", name="only_one_household"),
)
PASSWORDS = Table(
    "passwords",
    METADATA,
    Column("owner_id", Integer, ForeignKey("owner.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", String(255), nullable=False),  # argon2id, with its parameters and salt
    Column("changed", Float, nullable=False),
)
# The same key, encrypted once for each way to open it. What was replaced is kept: no key is ever lost by a click.
KEYSTORES = Table(
    "keystores",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("unlocker", String(16), nullable=False),  # file | passphrase
    Column("address", String(42), nullable=False),
    Column("json", Text, nullable=False),  # keystore v3
    Column("created", Float, nullable=False),
    Column("retired", Float, nullable=True),  # None: in use
    CheckConstraint("unlocker IN ('file', 'passphrase')", name="known_unlocker"),
    Index("one_in_use", "unlocker", unique=True, sqlite_where=text("retired IS NULL")),
)
PASSKEYS = Table(
    "passkeys",
    METADATA,
    Column("credential_id", LargeBinary, primary_key=True),
    _owned(),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", Integer, nullable=False),
    Column("label", String(60), nullable=False),
    Column("created", Float, nullable=False),
    Column("used", Float, nullable=True),
)
WALLETS = Table(
    "wallets",
    METADATA,
    Column("address", String(42), primary_key=True),  # with checksum
    _owned(),
    Column("created", Float, nullable=False),
    Column("used", Float, nullable=True),
)
SESSIONS = Table(
    "sessions",
    METADATA,
    Column("token_hash", String(64), primary_key=True),
    _owned(),
    Column("csrf", String(64), nullable=False),
    Column("created", Float, nullable=False),  # the login
    Column("seen", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("agent", String(120), nullable=False),  # as the browser calls itself
)
THROTTLE = Table(
    "throttle",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Float, nullable=False),
    Column("last", Float, nullable=False),
)
# What was asked of a passkey or a wallet: answered once, for what it was made, by the browser it was made for.
CHALLENGES = Table(
    "challenges",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("purpose", String(32), nullable=False),
    Column("browser", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("expires", Float, nullable=False),
)
SIGNATURES = Table(
    "signatures",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("chain_id", Integer, nullable=False),
    Column("nonce", Integer, nullable=False),
    Column("to", String(42), nullable=True),  # None: a contract was made
    Column("function", String(80), nullable=False),
    Column("data_hash", String(66), nullable=False),
    Column("transaction", String(66), nullable=False),
    Column("note", String(200), nullable=False, server_default=""),
    Index("signatures_at", "at"),
)
CHAINS = Table(
    "chains",
    METADATA,
    Column("chain_id", Integer, primary_key=True, autoincrement=False),
    Column("next_nonce", Integer, nullable=True),  # None: nothing was signed
)
CONTRACTS = Table(
    "contracts",
    METADATA,
    Column("chain_id", Integer, primary_key=True, autoincrement=False),
    Column("address", String(42), primary_key=True),
    Column("since", Float, nullable=False),
)
