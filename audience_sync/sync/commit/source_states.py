"""Let the tables of snapshots that warehouses have compared count from this run on."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection

from audience_sync.sources.base import ComparedState
from audience_sync.store.audiences.properties import Property, read_properties
from audience_sync.store.audiences.source_states import keep_states, save_state


def save_source_states(
    connection: Connection, kept: Collection[str] | None, compared: Mapping[str, ComparedState]
) -> None:
    """Forget the tables that no longer count, and store the new ones.

    ``kept``: see ``RunPlan``. ``compared``: by key, the tables of the accepted audiences.
    """
    if kept is not None:
        keep_states(connection, kept)
    subjects: dict[str, list[Property]] = {}
    for each in read_properties(connection).values():
        if not each.retired:
            subjects.setdefault(each.subject, []).append(each)
    for subject, audiences in subjects.items():
        accepted = [each for each in audiences if each.key in compared]
        if accepted:
            _save_accepted(connection, subject, compared[accepted[0].key], accepted, is_whole=accepted == audiences)


def _save_accepted(
    connection: Connection, subject: str, state: ComparedState, accepted: Collection[Property], *, is_whole: bool
) -> None:
    """Store the tables of one entry. Rows of audiences that were not accepted are left out of the new table.

    A first table needs all audiences of the entry: members of the others may not be those of the snapshot.
    """
    if not state.before and not is_whole:
        return
    tables, names = list(state.before), {each.name for each in accepted}
    if state.new is not None and not (state.before and state.names and names.isdisjoint(state.names)):
        left_out = tuple(name for name in state.names if name not in names)
        tables.append(state.new._replace(left_out=left_out))
    save_state(connection, subject, state.source, tables)
