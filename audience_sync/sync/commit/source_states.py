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

    ``kept``: see ``RunPlan``. ``compared``: by key, the tables of the accepted audiences and computed traits.
    """
    if kept is not None:
        keep_states(connection, kept)
    by_subject: dict[str, dict[str, ComparedState]] = {}
    for key, state in compared.items():
        by_subject.setdefault(state.subject, {})[key] = state
    stored = [each for each in read_properties(connection).values() if not each.retired] if by_subject else []
    for subject, states in by_subject.items():
        state = next(iter(states.values()))
        if state.traits:
            _save_traits(connection, state, accepted=states.keys())
        else:
            audiences = [each for each in stored if each.subject == subject]
            accepted = [each for each in audiences if each.key in states]
            _save_audiences(connection, state, accepted, is_whole=accepted == audiences)


def _save_audiences(
    connection: Connection, state: ComparedState, accepted: Collection[Property], *, is_whole: bool
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
    save_state(connection, state.subject, state.source, tables)


def _save_traits(connection: Connection, state: ComparedState, *, accepted: Collection[str]) -> None:
    """Store the tables of one entry. Users in a table that was not accepted for each trait are compared again.

    A first table needs all traits of the entry: stored values of the others may not be those of the snapshot. Without
    it the state is forgotten, because the values of accepted traits are no longer those of the former one.
    """
    left_out = tuple(key for key in state.traits if key not in accepted)
    tables = [
        each._replace(left_out=tuple(key for key in each.left_out if key not in accepted), reread=())
        for each in state.before
    ]
    if state.new is not None:
        tables.append(state.new._replace(left_out=left_out))
    if tables and (state.before or not left_out):
        tables[-1] = tables[-1]._replace(reread=state.reread)
    else:
        tables = []
    save_state(connection, state.subject, state.source, tables)
