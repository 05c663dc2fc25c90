"""Devices, their secrets and channels."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "devices",
        sa.Column("device_id", sa.Text, primary_key=True),
        sa.Column("transport", sa.Text),
        sa.Column("host", sa.Text),
        sa.Column("port", sa.Integer),
        sa.Column("local_host", sa.Text),
        sa.Column("local_port", sa.Integer),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("offline_reason", sa.Text),
        sa.Column("status_since", sa.BigInteger),
        sa.Column("registered_at", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("last_keepalive_at", sa.BigInteger),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("gb_version", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("manufacturer", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("firmware", sa.Text, nullable=False),
        sa.Column("catalog_at", sa.BigInteger),
        sa.Column("media_transport", sa.Text),
        sa.Column("charset", sa.Text),
        sa.Column("follow_address", sa.Boolean, nullable=False),
        sa.Column("keepalive_interval", sa.Float),
        sa.Column("keepalive_misses", sa.Integer),
    )
    op.create_table(
        "device_secrets",
        sa.Column("device_id", sa.Text, primary_key=True),
        sa.Column("algorithm", sa.Text, primary_key=True),
        sa.Column("realm", sa.Text, nullable=False),
        sa.Column("ha1", sa.Text, nullable=False),
    )
    op.create_table(
        "channels",
        sa.Column("device_id", sa.Text, primary_key=True),
        sa.Column("channel_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("manufacturer", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("civil_code", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("parent_ids", sa.Text, nullable=False),
        sa.Column("business_group_id", sa.Text, nullable=False),
        sa.Column("online", sa.Boolean, nullable=False),
        sa.Column("status_text", sa.Text, nullable=False),
        sa.Column("longitude", sa.Float),
        sa.Column("latitude", sa.Float),
        sa.Column("secrecy", sa.Integer, nullable=False),
        sa.Column("ptz_type", sa.Integer),
        sa.Column("extra", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("channels")
    op.drop_table("device_secrets")
    op.drop_table("devices")
