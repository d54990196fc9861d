"""Erase users from the store, history included, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import Connection, delete, select, update

from audience_sync.errors import StoreError
from audience_sync.model import ALIAS_KEY
from audience_sync.sql import quote_literal
from audience_sync.store.audiences.properties import read_chains, read_properties
from audience_sync.store.audiences.source_states import forget_states
from audience_sync.store.audiences.suppressions import add_tombstones
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import Lease, acquire
from audience_sync.store.maintenance.grants import is_owner
from audience_sync.store.runs.decisions import Decision, forget_users, record_decision
from audience_sync.store.snapshots.chain import (
    Chain,
    SnapshotFile,
    current_rows_query,
    trait_column,
    write_snapshot_file,
)
from audience_sync.store.snapshots.files import download_chain, replace_file
from audience_sync.store.tables import (
    absences,
    changes,
    claimed_users,
    delivered_ranges,
    delivery_requests,
    held_out_users,
    hold_samples,
    installation,
    members,
    open_refusals,
    past_suppressions,
    refused_values,
    request_attempts,
    run_invalid_rows,
    snapshot_chains,
    suppressions,
    unaccepted_calls,
    user_traits,
    withheld_values,
)
from audience_sync.text import form, pluralize
from audience_sync.workspace import Workspace

#: Tables with rows about single users.
USER_TABLES = (
    *(absences, changes, members, refused_values, open_refusals, unaccepted_calls, run_invalid_rows, hold_samples),
    *(held_out_users, claimed_users, withheld_values, suppressions, past_suppressions, user_traits),
)


def erase(store: Store, users: Sequence[str], memory_limit: int, *, reason: str | None = None) -> int:
    """Remove users everywhere and add a tombstone for each; returns how many the store contained.

    ``reason``: why, in a person's words; recorded without the users. Raises RunInProgressError and StoreError, also for
    a PostgreSQL role that may not vacuum the tables.
    """
    with store.reading() as connection:
        if not is_owner(connection):
            raise StoreError(
                f"Only the owner of the store {store.label} can erase: other roles can't remove deleted rows from "
                "PostgreSQL's files. Nothing was erased. Run it as the owner."
            )
    with acquire(store) as lease, Workspace(memory_limit) as workspace:
        given = len(users)
        with lease.reading() as connection:
            chains = read_chains(connection, read_properties(connection).values()).values()
            stored = [download_chain(connection, workspace, chain) for chain in chains]
            users = _with_aliases(workspace, stored, users)
            known = {user for user in users if _is_stored(connection, workspace, stored, user)}
        rewritten = [_rewritten_files(lease, workspace, chain, users) for chain in stored]
        with lease.transaction() as connection:
            for chain, files in zip(stored, rewritten, strict=True):
                _replace_files(connection, workspace, chain, files, users)
            for user in users:
                _rename_range_bounds(connection, workspace, stored, user)
            for table in USER_TABLES:
                for user in users:
                    connection.execute(delete(table).where(table.c.user_id == user))
            forget_states(connection)  # their tables may have the ids
            new = add_tombstones(connection, users)
            forget_users(connection, users)
            if new or known:
                record_decision(connection, Decision("erase", pluralize(given, "user"), reason), (), users)
        problem = _delete_objects(lease)
    removed = f"{pluralize(len(users), 'user')} {form(len(users), 'was')} removed from every table of {store.label}"
    try:
        store.compact()
    except StoreError as error:
        raise StoreError(
            f"{removed}, but the deleted rows can still be read in its file: {error} "
            "To remove them there too, run the same erase again."
        ) from None
    if problem is not None:
        raise StoreError(
            f"{removed}, but objects with earlier snapshots are still in the bucket: {problem} "
            "To delete them there too, run the same erase again."
        )
    return len(known)


def _delete_objects(lease: Lease) -> StoreError | None:
    """Delete the objects that were replaced, now or by an earlier run. Returns the error, if there is one."""
    with lease.reading() as connection:
        if connection.execute(select(installation.c.state_folders)).scalar() is None:
            return None
    from audience_sync.store.maintenance.state import delete_all_unused

    try:
        delete_all_unused(lease)
    except StoreError as error:
        return error
    return None


def _with_aliases(workspace: Workspace, stored: Sequence[Chain], users: Sequence[str]) -> list[str]:
    """The ids of these users, with all their previous and current ids."""
    found = set(users)
    for chain in stored:
        if chain.keys == (ALIAS_KEY,):
            ids = f"""list_append(from_json({trait_column(ALIAS_KEY)}, '["VARCHAR"]'), user_id)"""
            mine = f"select {ids} as ids from ({current_rows_query(chain)})"
            for (each,) in workspace.all(f"from ({mine}) where list_has_any(ids, [{_sql_list(users)}])"):
                found.update(each)
    return sorted(found)


def _sql_list(texts: Sequence[str]) -> str:
    return ", ".join(map(quote_literal, texts))


def _is_stored(connection: Connection, workspace: Workspace, stored: Sequence[Chain], user: str) -> bool:
    queries = (select(table.c.user_id).where(table.c.user_id == user).limit(1) for table in USER_TABLES)
    in_rows = any(connection.execute(query).first() for query in queries)
    return in_rows or any(_count_rows(workspace, file.path, [user]) for chain in stored for file in chain.files)


def _count_rows(workspace: Workspace, path: Path, users: Sequence[str]) -> int:
    query = f"select count(*) from read_parquet({quote_literal(str(path))}) where user_id in ({_sql_list(users)})"
    return int(workspace.one(query)[0])


def _rewritten_files(lease: Lease, workspace: Workspace, chain: Chain, users: Sequence[str]) -> dict[int, SnapshotFile]:
    """By index, files without these users for those of a chain that have them: in the bucket, if they were there."""
    found = {}
    for index, file in enumerate(chain.files):
        if _count_rows(workspace, file.path, users):
            path = quote_literal(str(file.path))
            rest = f"select * from read_parquet({path}) where user_id not in ({_sql_list(users)})"
            found[index] = replace(write_snapshot_file(workspace, file.kind, rest), object_url=file.object_url)
    if objects := [index for index, file in found.items() if file.object_url is not None]:
        from audience_sync.store.maintenance.state import put_again

        found |= zip(objects, put_again(lease, [found[index] for index in objects]), strict=True)
    return found


def _replace_files(
    connection: Connection, workspace: Workspace, chain: Chain, files: Mapping[int, SnapshotFile], users: Sequence[str]
) -> None:
    if not files:
        return
    gone = workspace.one(f"select count(*) from ({current_rows_query(chain)}) where user_id in ({_sql_list(users)})")[0]
    mine = update(snapshot_chains).filter_by(id=chain.id)
    connection.execute(mine.values(user_count=snapshot_chains.c.user_count - gone))
    for index, file in files.items():
        replace_file(connection, chain, index, file)


def _rename_range_bounds(connection: Connection, workspace: Workspace, stored: Sequence[Chain], user: str) -> None:
    """Replace the user as a bound of delivered ranges and requests by the user before them in the order of ids.

    Only users who are new later can lie between the two, and their changes are newer than both.
    """
    before = _previous_user(workspace, stored, user)
    ends_here = (delivered_ranges.c.through_user == user) & (delivered_ranges.c.after_user >= before)
    connection.execute(delete(delivered_ranges).where(ends_here))
    for table in (delivered_ranges, delivery_requests, request_attempts):
        for column in ("after_user", "through_user"):
            connection.execute(update(table).where(table.c[column] == user).values({column: before}))


def _previous_user(workspace: Workspace, stored: Sequence[Chain], user: str) -> str:
    paths = [str(file.path) for chain in stored for file in chain.files]
    if not paths:
        return ""
    files = f"read_parquet([{_sql_list(paths)}], union_by_name = true)"
    return str(workspace.one(f"select max(user_id) from {files} where user_id < {quote_literal(user)}")[0] or "")
