"""Check that the stored snapshots are undamaged, and that the members table equals them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, case, func, select

from audience_sync.errors import ObjectDamagedError, ObjectMissingError, StoreDamagedError
from audience_sync.model import PropertyKind
from audience_sync.sql import quote_literal
from audience_sync.store.audiences.properties import Property
from audience_sync.store.integrity.result import RESYNC, CheckResult, check_result
from audience_sync.store.snapshots.chain import BASE, Chain, current_rows_query
from audience_sync.store.snapshots.files import download_chain
from audience_sync.store.tables import absences, claimed_users, held_out_users, snapshot_file_chunks, snapshot_files
from audience_sync.store.tables import members as members_table
from audience_sync.text import pluralize
from audience_sync.workspace import Workspace

REBUILD = "One run with `members_table: false` and another with `true` rebuild it"


def download_chains(
    connection: Connection, workspace: Workspace, chains: Mapping[int, Chain], *, raises_missing: bool = False
) -> tuple[dict[int, Chain], list[str]]:
    """The undamaged chains with their files, and a message for each damaged one.

    ``raises_missing``: raise ObjectMissingError for an object that is missing.
    """
    found, damaged = {}, []
    for chain_id, chain in chains.items():
        try:
            found[chain_id] = download_chain(connection, workspace, chain)
        except ObjectDamagedError as error:
            if raises_missing and isinstance(error, ObjectMissingError):
                raise
            damaged.append(f"the snapshot of {', '.join(chain.keys)} is damaged: the object {error.url} {error.what}")
        except StoreDamagedError:
            damaged.append(f"the snapshot of {', '.join(chain.keys)} is damaged (its checksum does not match)")
    return found, damaged


def check_snapshots(
    connection: Connection, workspace: Workspace, chains: Mapping[int, Chain], damaged: Sequence[str]
) -> CheckResult:
    files = [file for chain in chains.values() for file in chain.files]
    objects = sum(file.object_url is not None for file in files)
    problems = [*damaged, *_size_problems(connection)]
    for chain in chains.values():
        problems += _chain_problems(workspace, chain)
    in_bucket = f" ({objects:,} in a bucket)" if objects else ""
    good = f"{pluralize(len(chains), 'snapshot')}, {pluralize(len(files), 'file')}{in_bucket}: all checksums match"
    return check_result("snapshots", problems, good, RESYNC)


def _chain_problems(workspace: Workspace, chain: Chain) -> Iterator[str]:
    keys = ", ".join(chain.keys)
    if any(each.kind == BASE for each in chain.files[1:]):
        yield f"the snapshot of {keys} has a base that is not its first file"
    for each in chain.files:
        rows = workspace.one(f"select count(*) from read_parquet({quote_literal(str(each.path))})")[0]
        if rows != each.rows:
            yield f"a file of {keys} has {rows:,} rows instead of {each.rows:,}"
    users = workspace.one(f"select count(*) from ({current_rows_query(chain)})")[0]
    if users != chain.user_count:
        yield f"the snapshot of {keys} has {users:,} users instead of {chain.user_count:,}"


def _size_problems(connection: Connection) -> Iterator[str]:
    size = func.coalesce(func.sum(func.length(snapshot_file_chunks.c.content)), 0)
    file = snapshot_files.c
    expected = case((file.object_url.is_(None), file.bytes), else_=0)
    query = select(file.id, expected, size).join(snapshot_file_chunks, isouter=True).group_by(file.id)
    for file_id, right, found in connection.execute(query):
        if right != found:
            yield f"snapshot file {file_id} has {found:,} bytes instead of {right:,}"


def load_non_members(connection: Connection, workspace: Workspace) -> tuple[str, str, str]:
    """Load the missing members who stay, the held-out users, and those whom an earlier audience of a group claims.

    Returns the three tables in the workspace.
    """
    columns = {"property_id": "integer", "user_id": "varchar"}
    absent, held_out, claimed = (
        workspace.load(columns, connection.execute(select(table.c.property_id, table.c.user_id)).partitions(10_000))
        for table in (absences, held_out_users, claimed_users)
    )
    return absent, held_out, claimed


def check_members(
    connection: Connection,
    workspace: Workspace,
    known: Mapping[str, Property],
    chains: Mapping[int, Chain],
    others: tuple[str, str, str],
    *,
    kept: bool,
) -> CheckResult:
    """Compare the members table with the snapshots. Missing members have to be members, held-out users must not be.

    ``others``: see ``load_non_members``. ``kept``: the store has a members table.
    """
    problems: list[str] = []
    rows = 0
    for each in known.values():
        if each.kind is not PropertyKind.AUDIENCE or each.chain_id not in chains:
            continue
        snapshot = f"select user_id from ({current_rows_query(chains[each.chain_id])})"
        problems += _non_member_problems(workspace, each, snapshot, others)
        if kept:
            table = _load_members(connection, workspace, each)
            rows += workspace.one(f"select count(*) from {table}")[0]
            problems += _table_problems(workspace, each, snapshot, table)
            workspace.run(f"drop table {table}")
    good = (
        f"{pluralize(rows, 'row')} match the snapshots"
        if kept
        else "the table of members is not stored (`members_table: false`)"
    )
    return check_result("members", problems, good, REBUILD)


def _non_member_problems(
    workspace: Workspace, audience: Property, snapshot: str, others: tuple[str, str, str]
) -> Iterator[str]:
    missing, held_out, claimed = (f"select user_id from {table} where property_id = {audience.id}" for table in others)
    strangers = workspace.one(f"select count(*) from ({missing}) anti join ({snapshot}) using (user_id)")[0]
    if strangers:
        yield f"{audience.key}: {pluralize(strangers, 'missing user')} stay for now without being members"
    both = workspace.one(f"select count(*) from ({held_out}) semi join ({snapshot}) using (user_id)")[0]
    if both:
        yield f"{audience.key}: {pluralize(both, 'user')} are members and held out at once"
    mine = f"select user_id from ({snapshot}) union all select user_id from ({held_out})"
    both = workspace.one(f"select count(*) from ({claimed}) semi join ({mine}) using (user_id)")[0]
    if both:
        yield f"{audience.key}: {pluralize(both, 'user')} are in it and in an earlier audience of its priority group"


def _load_members(connection: Connection, workspace: Workspace, audience: Property) -> str:
    query = select(members_table.c.user_id).where(members_table.c.property_id == audience.id)
    result = connection.execute(query.execution_options(yield_per=10_000))
    return workspace.load({"user_id": "varchar"}, result.partitions())


def _table_problems(workspace: Workspace, audience: Property, snapshot: str, table: str) -> Iterator[str]:
    extra = workspace.one(f"select count(*) from {table} anti join ({snapshot}) using (user_id)")[0]
    missing = workspace.one(f"select count(*) from ({snapshot}) anti join {table} using (user_id)")[0]
    if extra or missing:
        yield f"{audience.key}: the table has {extra:,} members too many and lacks {missing:,}"
