"""Of runs whose counts are no longer kept the view says nothing, instead of zeros.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def sync_runs(audiences: str, destinations: str) -> str:
    """The view's query. What is looked up in the two tables goes through these two."""
    mine = "from run_audiences a where a.run_id = r.id"
    theirs = "from run_destinations d where d.run_id = r.id"
    count, entered, left, held, failed = (
        audiences.format(f"(select {what})")
        for what in (
            f"count(*) {mine}",
            f"coalesce(sum(a.entered), 0) {mine}",
            f'coalesce(sum(a."left"), 0) {mine}',
            f"count(*) {mine} and a.status = 'held'",
            f"count(*) {mine} and a.status = 'failed'",
        )
    )
    delivered, refused, pending = (
        destinations.format(f"(select coalesce(sum(d.{what}), 0) {theirs})")
        for what in ("delivered", "refused", "pending")
    )
    return (
        "select r.id as run, r.command, r.status, r.started_at, r.finished_at, r.seconds, "
        f'{count} as audiences, {entered} as entered, {left} as "left", {held} as held, {failed} as failed, '
        "coalesce(r.trait_users_changed, 0) as trait_users_changed, "
        f"{delivered} as delivered, {refused} as refused, {pending} as pending, r.error from runs r"
    )


def replace(query: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"create or replace view sync_runs as {query}")
    else:
        op.execute("drop view sync_runs")
        op.execute(f"create view sync_runs as {query}")


def upgrade() -> None:
    gone = "exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id)"
    unknown = f"case when {gone} then null else {{}} end"
    replace(sync_runs(unknown, unknown))


def downgrade() -> None:
    replace(sync_runs("{}", "{}"))
