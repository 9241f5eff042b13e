"""Run the migrations on the connection that the caller has opened, within its transaction."""

from alembic import context

from services.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
)
context.run_migrations()
