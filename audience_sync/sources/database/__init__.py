"""Read snapshots from databases by SQLAlchemy."""
