"""Keep the current values of computed traits as plain rows: a JSON object for each user and chain.

The view ``trait_values`` shows them. They are derived from the snapshots, up to a size that the config sets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, update

from audience_sync.model import ALIAS_KEY, PropertyKind
from audience_sync.sql import Expression, TableName, quote_literal
from audience_sync.store.connection.bulk import delete_users, row_groups
from audience_sync.store.snapshots.chain import (
    DELTA,
    Chain,
    SnapshotFile,
    current_rows_query,
    trait_column,
    write_snapshot_file,
)
from audience_sync.store.snapshots.files import download_chain
from audience_sync.store.tables import installation, user_traits
from audience_sync.workspace import ROWS_PER_GROUP, Workspace

#: Rows that are one text in memory without a look at the length of their values.
SHORT_PART = 2_000
#: The length of such a text in bytes, unless one row is longer.
PART_BYTES = 16_000_000
_COLUMNS = "user_id, chain_id, traits"


class TableStep(StrEnum):
    """What a run does with the table."""

    NONE = "none"  # it is off, and stays off
    FOLLOW = "follow"  # it gets the changes of the run
    FILL = "fill"  # it is filled from the snapshots
    EMPTY = "empty"  # it is emptied


def next_step(
    before: Iterable[Chain], changed: Sequence[Chain], *, was_kept: bool | None, option: bool | int
) -> tuple[TableStep, str | None]:
    """The step of a run, and a sentence for people where the size has decided it, which they did not ask for.

    ``before``: the stored chains. ``changed``: those that the run changes, as it leaves them. ``was_kept``: whether the
    table is filled; None in a store from before it. ``option``: `trait_values_table`.
    """
    stored = {chain.id: chain for chain in (*before, *changed) if chain.id is not None}
    values = count_values([*stored.values(), *(chain for chain in changed if chain.id is None)])
    keeps = option if isinstance(option, bool) else values <= option
    if keeps:
        step = TableStep.FOLLOW if was_kept else TableStep.FILL
    else:
        step = TableStep.EMPTY if was_kept else TableStep.NONE
    if isinstance(option, bool) or was_kept is None:
        return step, None
    return step, _step_message(step, option, values)


def _step_message(step: TableStep, option: int, values: int) -> str | None:
    size = f"{values:,} values (users times traits)"
    if step is TableStep.EMPTY:
        return (
            f"The view trait_values is empty from this run on: {size} are more than {option:,} "
            "(`trait_values_table`). Nothing else depends on it. To keep it at any size: trait_values_table: true"
        )
    if step is TableStep.FILL:
        return f"The view trait_values is filled: {size} are within {option:,} (`trait_values_table`)."
    return None


def has_values(chain: Chain) -> bool:
    """Whether the chain has computed traits of a config, so not `$alias`."""
    return chain.kind is PropertyKind.COMPUTED_TRAIT and chain.keys != (ALIAS_KEY,)


def count_values(chains: Iterable[Chain]) -> int:
    """Users times traits of these chains: at least the number of their values, and free to compute."""
    return sum(chain.user_count * len(chain.keys) for chain in chains if has_values(chain))


def empty_table(connection: Connection) -> None:
    connection.execute(delete(user_traits))
    connection.execute(update(installation).values(trait_values_table=False))


def fill_table(connection: Connection, workspace: Workspace, chains: Iterable[Chain]) -> None:
    """Fill the table from the stored snapshots."""
    connection.execute(delete(user_traits))
    for chain in filter(has_values, chains):
        rows = current_rows_query(download_chain(connection, workspace, chain))
        insert_values(connection, workspace, chain, write_snapshot_file(workspace, DELTA, rows))
    connection.execute(update(installation).values(trait_values_table=True))


def replace_values(connection: Connection, workspace: Workspace, chain: Chain, file: SnapshotFile) -> None:
    """Replace the rows of all users of a chain by those of its new base."""
    connection.execute(delete(user_traits).where(user_traits.c.chain_id == chain.id))
    insert_values(connection, workspace, chain, file)


def move_values(
    connection: Connection, workspace: Workspace, chain: Chain, file: SnapshotFile, log: TableName | None
) -> None:
    """Replace the rows of the users whom a run has changed.

    ``chain``: after the run. ``file``: its new file; if that is a base, the users are those of the run's ``log``.
    """
    if file.kind != DELTA:
        users = f"select distinct user_id from {log}"
        rows = f"select * from ({users}) left join ({current_rows_query(chain)}) using (user_id)"
        file = write_snapshot_file(workspace, DELTA, rows)
    delete_users(connection, workspace, user_traits, file.path, file.rows, audience=str(chain.id), column="chain_id")
    insert_values(connection, workspace, chain, file)


def insert_values(connection: Connection, workspace: Workspace, chain: Chain, file: SnapshotFile) -> None:
    """Insert a row for each user of a file of this chain who has a value.

    No value becomes a Python object of its own: DuckDB writes them as CSV for COPY, and as JSON for SQLite.
    """
    traits, has_value = traits_object(chain.keys), f"coalesce({', '.join(chain.columns)}) is not null"
    parts = row_groups(file.path, file.rows, _rows_per_part(workspace, file, chain))
    if connection.dialect.name == "postgresql":
        cursor: Any = connection.connection.cursor()
        with cursor, cursor.copy(f"copy user_traits ({_COLUMNS}) from stdin (format csv, encoding utf8)") as copy:
            for rows in parts:
                lines = workspace.path(".csv")
                query = f"select user_id, {chain.id}, {traits} from {rows} and {has_value}"
                workspace.run(f"copy ({query}) to {quote_literal(str(lines))} (format csv, header false)")
                copy.write(lines.read_bytes())
                lines.unlink()
        return
    statement = f"insert into user_traits ({_COLUMNS}) select key, {chain.id}, value from json_each(?)"
    for rows in parts:
        users = f"string_agg(to_json(user_id)::varchar || ':' || {traits}, ',')"
        (text,) = workspace.one(f"select '{{' || {users} || '}}' from {rows} and {has_value}")
        if text is not None:
            connection.exec_driver_sql(statement, (text,))


def traits_object(keys: Sequence[str]) -> Expression:
    """The SQL of a JSON object with the values of a file's row: by key, the text of a value's JSON.

    As texts they come out of any database's JSON functions as they went in: numbers with all their digits.
    """
    pairs = (
        f"case when {trait_column(key)} is not null "
        f"then {quote_literal(json.dumps(key) + ':')} || to_json({trait_column(key)})::varchar end"
        for key in keys
    )
    return Expression(f"'{{' || concat_ws(',', {', '.join(pairs)}) || '}}'")


def _rows_per_part(workspace: Workspace, file: SnapshotFile, chain: Chain) -> int:
    """Rows that are one text in memory: a row group, or fewer if the values are long."""
    if file.rows <= SHORT_PART:
        return SHORT_PART
    lengths = " + ".join(f"coalesce(sum(strlen({column})), 0)" for column in ("user_id", *chain.columns))
    (size,) = workspace.one(f"select {lengths} from read_parquet({quote_literal(str(file.path))})")
    names = file.rows * sum(len(key) + 6 for key in chain.keys)
    return max(1, min(ROWS_PER_GROUP, PART_BYTES * file.rows // (int(size) + names)))
