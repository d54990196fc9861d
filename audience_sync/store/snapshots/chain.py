"""A stored snapshot is a chain of a base and its deltas: query its rows, and write its next file in the workspace.

Each file is Parquet, sorted by user id. ``files`` stores them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.model import PropertyKind, RunId
from audience_sync.sql import Condition, Expression, Relation, quote_identifier, quote_literal
from audience_sync.workspace import ROWS_PER_GROUP, Workspace

BASE, DELTA = "base", "delta"


class SnapshotFile(Struct, frozen=True):
    """A Parquet file in the workspace: ``user_id``, ``run_id`` and ``present`` or one column per trait.

    ``object_url``: the object in a bucket that has the same bytes, if it was put there.
    """

    kind: str
    path: Path
    rows: int
    object_url: str | None = None


class DeltaCount(NamedTuple):
    """The number of a chain's deltas, and of all their rows."""

    deltas: int
    rows: int


NO_DELTAS = DeltaCount(0, 0)


class Chain(Struct, frozen=True, kw_only=True):
    """A stored snapshot: one audience's members, or the values of the traits created together.

    ``id`` is None until the first commit. ``keys`` are the audience or the traits in it. ``rebuilt``: its stored
    files were damaged, and these were made from other tables. ``changed``: the last run that changed its users, or
    who is held out of it. ``unfetched``: the deltas among its stored files, if those are not in ``files``. ``within``:
    a condition on ``user_id``, for queries about some users only.
    """

    id: int | None
    kind: PropertyKind
    keys: tuple[str, ...]
    user_count: int
    files: tuple[SnapshotFile, ...] = ()
    rebuilt: bool = False
    changed: int = 0
    unfetched: DeltaCount | None = None
    within: Condition | None = None

    @property
    def deltas(self) -> tuple[SnapshotFile, ...]:
        return tuple(file for file in self.files if file.kind == DELTA)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns other than ``user_id`` and ``run_id``, quoted."""
        if self.kind is PropertyKind.AUDIENCE:
            return ("present",)
        return tuple(trait_column(key) for key in self.keys)

    @property
    def delta_count(self) -> DeltaCount:
        before = self.unfetched or NO_DELTAS
        return DeltaCount(before.deltas + len(self.deltas), before.rows + sum(each.rows for each in self.deltas))

    def with_delta(self, delta: SnapshotFile, users: int) -> Chain:
        return replace(self, files=(*self.files, delta), user_count=users)

    def with_base(self, base: SnapshotFile, users: int) -> Chain:
        return replace(self, files=(base,), user_count=users, rebuilt=False)


def new_digest() -> hashlib.blake2b:
    """The digest whose text is the checksum of a file."""
    return hashlib.blake2b(digest_size=16)


def trait_name(key: str) -> str:
    """The name of a trait's column in a snapshot file. The prefix keeps it apart from ``user_id`` and ``run_id``."""
    return f"trait_{key}"


def trait_column(key: str) -> Expression:
    """The same as an SQL identifier."""
    return quote_identifier(trait_name(key))


def current_rows_query(chain: Chain) -> str:
    """A query for the current rows of a chain: one row a user, with the run that last changed it.

    The row in a user's newest file counts. (A run may write two files, for several sources of traits.) Users who
    left, or lost all their traits, are not in it.
    """
    if not chain.deltas:
        return base_rows_query(chain)
    columns = ", ".join(("user_id", "run_id", *chain.columns))
    return (
        f"with newest as materialized ({newest_rows_query(chain)}) "
        f"select {columns} from ({base_rows_query(chain)}) anti join newest using (user_id) "
        f"union all select {columns} from newest where {_is_present(chain)}"
    )


def base_rows_query(chain: Chain) -> str:
    """A query for the rows of a chain's base."""
    _require_files(chain)
    if not any(file.kind == BASE for file in chain.files):
        return _empty_query(chain)
    rows = f"select {', '.join(('user_id', 'run_id', *chain.columns))} from read_parquet({_paths(chain, BASE)})"
    return f"{rows} where {chain.within}" if chain.within else rows


def newest_rows_query(chain: Chain) -> str:
    """A query for the newest rows of users in a chain's deltas, who may have left since."""
    _require_files(chain)
    if not chain.deltas:
        return _empty_query(chain)
    deltas = _paths(chain, DELTA)
    return (
        f"select {', '.join(('user_id', 'run_id', *chain.columns))} from read_parquet({deltas}, filename = true) "
        f"{f'where {chain.within} ' if chain.within else ''}"
        f"qualify row_number() over (partition by user_id order by list_position({deltas}, filename) desc) = 1"
    )


def _require_files(*chains: Chain) -> None:
    """A query of a chain without its files would find no user."""
    assert not any(each.unfetched for each in chains), "the files of the chain were not fetched"


def rows_of(file: SnapshotFile) -> Relation:
    return Relation(f"read_parquet({quote_literal(str(file.path))})")


def row_groups(workspace: Workspace, chain: Chain) -> list[tuple[str | None, int]]:
    """The first user id of each row group of a chain's base, in order, and the bytes of its ids.

    A group of very long ids may have no first one.
    """
    if not any(file.kind == BASE for file in chain.files):
        return []
    return workspace.all(
        f"select stats_min_value, total_uncompressed_size from parquet_metadata({_paths(chain, BASE)}) "
        "where path_in_schema = 'user_id' order by row_group_id"
    )


def check_users(workspace: Workspace, file: SnapshotFile, is_valid: str = "user_id is not null") -> tuple[int, bool]:
    """The number of rows of a sorted file that are not valid (an SQL condition), and whether each user has one row.

    Each id has to be greater than the one that was read before it: then none comes twice, in any order in which they
    are read. Of a large file both halves, which have no id in common, are read at the same time.
    """
    parts = ["true"]
    if file.rows > ROWS_PER_GROUP:
        firsts = workspace.all(
            f"select stats_min_value from parquet_metadata({quote_literal(str(file.path))}) "
            "where path_in_schema = 'user_id' and stats_min_value is not null order by row_group_id"
        )
        middle = quote_literal(firsts[len(firsts) // 2][0]) if firsts else "''"
        parts = [f"user_id < {middle}", f"(user_id >= {middle} or user_id is null)"]
    rows = " union all ".join(
        f"select {is_valid} as is_valid, user_id > lag(user_id) over () as is_greater from {rows_of(file)} where {part}"
        for part in parts
    )
    invalid, is_each_once = workspace.one(
        f"select count(*) filter (where not is_valid), coalesce(bool_and(is_greater), true) from ({rows})"
    )
    return invalid, is_each_once


def _paths(chain: Chain, kind: str) -> str:
    """The files in the order they were written, as an SQL list."""
    return f"[{', '.join(quote_literal(str(file.path)) for file in chain.files if file.kind == kind)}]"


def _empty_query(chain: Chain) -> str:
    kind = "boolean" if chain.kind is PropertyKind.AUDIENCE else "varchar"
    nulls = "".join(f", null::{kind} as {column}" for column in chain.columns)
    return f"select null::varchar as user_id, null::integer as run_id{nulls} where false"


def _is_present(chain: Chain) -> str:
    if chain.kind is PropertyKind.AUDIENCE:
        return "present"
    return f"coalesce({', '.join(chain.columns)}) is not null"


def members_query(chains: Sequence[Chain]) -> str:
    """A query for the members of several audiences: ``audience`` (the index of the chain, from 0) and ``user_id``."""
    _require_files(*chains)
    base, deltas = _numbered_rows_query(chains, BASE), _numbered_rows_query(chains, DELTA)
    if deltas is None:
        return f"select audience, user_id from ({base})"
    newest = f"{deltas} qualify row_number() over (partition by audience, user_id order by number desc) = 1"
    older = (
        f"select audience, user_id from ({base}) anti join newest using (audience, user_id) union all " if base else ""
    )
    return f"with newest as materialized ({newest}) {older}select audience, user_id from newest where present"


def _numbered_rows_query(chains: Sequence[Chain], kind: str) -> str | None:
    """A query for the rows of all files of a kind; ``number`` is the position of the file in its chain."""
    found = [
        (audience, number, quote_literal(str(each.path)))
        for audience, chain in enumerate(chains)
        for number, each in enumerate(chain.files)
        if each.kind == kind
    ]
    if not found:
        return None
    paths = ", ".join(path for _, _, path in found)
    known = ", ".join(f"({path}, {audience}, {number})" for audience, number, path in found)
    return (
        f"select audience, number, user_id, present from read_parquet([{paths}], filename = true) "
        f"join (values {known}) files(filename, audience, number) using (filename)"
    )


def write_snapshot_file(workspace: Workspace, kind: str, query: str) -> SnapshotFile:
    """Write the rows of a query to a new file in the workspace, sorted by user id."""
    return _write_sorted(workspace, kind, f"{query} order by user_id")


def write_first_base(workspace: Workspace, users: str, run: RunId) -> SnapshotFile:
    """Write a query of users as the first base of an audience, with all their rows.

    Only ids are sorted. Both processors merge and write them, as nothing compares a row with the one before it.
    """
    ids = f"select user_id from ({users}) order by user_id"
    return _write_sorted(workspace, BASE, f"select user_id, {run} as run_id, true as present from ({ids})")


def write_each_user_once(workspace: Workspace, file: SnapshotFile) -> SnapshotFile:
    """Write a sorted first base again, with one row a user and none without a user id.

    Equal ids are neighbours, so nothing is sorted again. A check shows that DuckDB has read the rows in their order.
    """
    rows = f"select *, lag(user_id) over () as before from {rows_of(file)} where user_id is not null"
    each = f"select * exclude (before) from ({rows}) where user_id is distinct from before"
    written = _write_sorted(workspace, file.kind, each)
    assert check_users(workspace, written) == (0, True), written
    return written


def _write_sorted(workspace: Workspace, kind: str, query: str) -> SnapshotFile:
    path = workspace.path(".parquet")
    (rows,) = workspace.one(
        f"copy ({query}) to {quote_literal(str(path))} (format parquet, compression zstd, compression_level 1)"
    )
    return SnapshotFile(kind, path, rows)
