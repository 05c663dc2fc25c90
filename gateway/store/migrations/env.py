"""Alembic's entry: runs the revisions on the connection it is given."""

from alembic import context

from gateway.store.schema import metadata

# Always a connection: revisions run inside the gateway, not from a command line.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
