"""Check that a destination's cursor in the store is never ahead of what its receiver got."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import create_engine, text

from .receiver import Belief

#: The newest change of each user and key, and the newest start of a membership.
CHANGES = """
select c.user_id, p.key, p.id as property, c.run_id, c.value, r.started_at
from changes c join properties p on p.id = c.property_id join runs r on r.id = c.run_id
union all
select m.user_id, p.key, p.id, m.run_id, 'true', r.started_at
from members m join properties p on p.id = m.property_id join runs r on r.id = m.run_id
order by 4
"""
CURSORS = """
select c.id, c.position, c.seeded_property_id
from delivery_cursors c join delivery_destinations d on d.id = c.destination_id
where d.name = 'receiver'
"""
RANGES = "select cursor_id, after_user, through_user, run_id from delivered_ranges"
SUBSCRIBED = """
select s.property_id from subscriptions s join delivery_destinations d on d.id = s.destination_id
where d.name = 'receiver' and s.ended_run is null
"""


def ahead_of_the_answers(url: str, belief: Belief) -> list[str]:
    """The changes that the store counts as sent to the destination `receiver`, and that it has not received."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            changes, cursors, ranges, subscribed = (
                connection.execute(text(query)).all() for query in (CHANGES, CURSORS, RANGES, SUBSCRIBED)
            )
    finally:
        engine.dispose()
    kept, main = (
        {each.property_id for each in subscribed},
        [each for each in cursors if each.seeded_property_id is None],
    )
    seeding = {each.seeded_property_id: each for each in cursors if each.seeded_property_id is not None}
    newest: dict[tuple[str, str], Any] = {}
    for each in changes if main else ():
        cursor = seeding.get(each.property, main[0])
        if each.property in kept and each.run_id <= _sent_through(cursor, ranges, each.user_id):
            newest[each.user_id, each.key] = each
    return [f"not received: {who}, run {each.run_id}" for who, each in newest.items() if not _received(belief, each)]


def _sent_through(cursor: Any, ranges: Any, user: str) -> int:
    mine = (each for each in ranges if each.cursor_id == cursor.id)
    within = (each.run_id for each in mine if each.after_user < user <= each.through_user)
    position: int = next(within, cursor.position)
    return position


def _received(belief: Belief, change: Any) -> bool:
    """Whether this change or a newer one arrived, or the receiver already has its value (it changed back)."""
    sent = belief.newest.get((change.user_id, change.key))
    value = None if change.value is None else json.loads(change.value)
    if sent is None:
        return value in (None, False)
    return sent >= _milliseconds(change.started_at) or belief.users[change.user_id][change.key] == value


def _milliseconds(moment: datetime | str) -> str:
    """Format a time of the store as in identify calls."""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    aware = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
