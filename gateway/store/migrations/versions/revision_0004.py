"""Files of the recordings."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and what it is searched by."""
    op.create_table(
        "recordings",
        sa.Column("file_id", sa.Text, primary_key=True),
        sa.Column("device_id", sa.Text, nullable=False),
        sa.Column("channel_id", sa.Text, nullable=False),
        sa.Column("stream", sa.Integer, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("begins_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("locked", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("mime", sa.Text, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
    )
    op.create_index("recordings_of_channel", "recordings", ["device_id", "channel_id", "begins_at"])
    op.create_index("recordings_by_age", "recordings", ["locked", "begins_at"])
    op.create_index("recordings_by_state", "recordings", ["state", "sha256"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("recordings")
