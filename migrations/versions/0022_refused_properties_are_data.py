"""A call that was sent without some of its properties names them.

Revision ID: 0022
Revises: 0021
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

#: What is refused now: the last refusal of each user, and the properties that it is about.
OPEN = """
    select u.request_id, u.user_id, v.property_id
    from untaken_calls u
    join requests q on q.id = u.request_id
    join open_refusals o on o.destination_id = q.destination_id and o.user_id = u.user_id and o.run_id = q.run_id
    join refused_values v on v.destination_id = q.destination_id and v.user_id = u.user_id
    where u.reason is not null and u.accepted_run is null
    order by u.request_id, u.user_id, v.property_id"""
SET = "update untaken_calls set refused_properties = :ids where request_id = :request and user_id = :user"


def upgrade() -> None:
    what = "Their ids (JSON), where the rest was sent; NULL = the whole call"
    op.add_column("untaken_calls", sa.Column("refused_properties", sa.Text(), nullable=True, comment=what))
    found: dict[tuple[int, str], list[int]] = {}
    for request, user, property_id in op.get_bind().execute(sa.text(OPEN)):
        found.setdefault((request, user), []).append(property_id)
    rows = [{"request": request, "user": user, "ids": json.dumps(ids)} for (request, user), ids in found.items()]
    if rows:
        op.get_bind().execute(sa.text(SET), rows)


def downgrade() -> None:
    op.drop_column("untaken_calls", "refused_properties")
