"""Tables, the same for SQLite and PostgreSQL. Times are microseconds since 1970 (UTC)."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, Table, Text

__all__ = [
    "channels",
    "device_secrets",
    "devices",
    "documents",
    "metadata",
    "recordings",
    "shared_ids",
    "timeline",
]

metadata = MetaData()

devices = Table(
    "devices",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("transport", Text),
    Column("host", Text),
    Column("port", Integer),
    Column("local_host", Text),
    Column("local_port", Integer),
    Column("contact", Text, nullable=False),
    Column("offline_reason", Text),
    Column("status_since", BigInteger),
    Column("registered_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("last_keepalive_at", BigInteger),
    Column("call_id", Text, nullable=False),
    Column("gb_version", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("manufacturer", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("firmware", Text, nullable=False),
    Column("catalog_at", BigInteger),
    Column("media_transport", Text),
    Column("charset", Text),
    Column("follow_address", Boolean, nullable=False),
    Column("keepalive_interval", Float),
    Column("keepalive_misses", Integer),
)

device_secrets = Table(
    "device_secrets",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("algorithm", Text, primary_key=True),
    Column("realm", Text, nullable=False),
    Column("ha1", Text, nullable=False),
)

channels = Table(
    "channels",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("channel_id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("manufacturer", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("civil_code", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("parent_ids", Text, nullable=False),
    Column("business_group_id", Text, nullable=False),
    Column("online", Boolean, nullable=False),
    Column("status_text", Text, nullable=False),
    Column("longitude", Float),
    Column("latitude", Float),
    Column("secrecy", Integer, nullable=False),
    Column("ptz_type", Integer),
    Column("extra", Text, nullable=False),
    sqlite_with_rowid=False,
)

timeline = Table(
    "timeline",
    metadata,
    Column("device_id", Text, primary_key=True),
    # sequence modulo the number kept: a new entry takes the oldest one's place, nothing need be pruned.
    Column("slot", Integer, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("first_at", BigInteger),
    sqlite_with_rowid=False,
)

documents = Table(
    "documents",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    # JSON in ASCII: escapes carry NUL and lone surrogates too.
    Column("body", Text, nullable=False),
)

shared_ids = Table(
    "shared_ids",
    metadata,
    Column("platform_id", Text, primary_key=True),
    Column("shared_id", Text, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("channel_id", Text, nullable=False),
    sqlite_with_rowid=False,
)

recordings = Table(
    "recordings",
    metadata,
    Column("file_id", Text, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("stream", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("begins_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("locked", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("mime", Text, nullable=False),
    Column("head", Text, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Index("recordings_of_channel", "device_id", "channel_id", "begins_at"),
    Index("recordings_by_age", "locked", "begins_at"),
    Index("recordings_by_state", "state", "sha256"),
)
