"""The stored members of an audience are what was written, byte for byte."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, func, select, update

from audience_sync.errors import StoreDamagedError
from audience_sync.model import PropertyKind, RunId
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots import files
from audience_sync.store.snapshots.chain import (
    BASE,
    DELTA,
    Chain,
    check_users,
    current_rows_query,
    trait_column,
    write_first_base,
    write_snapshot_file,
)
from audience_sync.store.tables import snapshot_chains as chains_table
from audience_sync.store.tables import snapshot_file_chunks, snapshot_files
from audience_sync.workspace import Workspace

from .examples import a_store_with, add_run, base, delta, fetch, members, save, the_audience

#: In the order of their bytes, which is nobody's alphabet.
HOSTILE_ORDER = ["", "10", "9", "A b", "B", "Z", "_", "a", "b", "é", "\uffff", "\U0001f600"][1:]


#: The ids of three row groups, each once.
ONCE = "select printf('%07d', range) as user_id from range(300_000)"


class TestMembers:
    def test_of_a_base_are_its_users(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(users=2), base(workspace, 1, ["ben", "ann"])))
        assert members(store, workspace, chain) == [("ann", 1), ("ben", 1)]

    def test_of_an_audience_without_snapshot_files_are_none(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience()))
        assert members(store, workspace, chain) == []

    def test_of_an_empty_base_are_nobody(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, [])))
        assert members(store, workspace, chain) == []

    def test_are_moved_by_a_delta(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store, runs_so_far=2)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann", "ben"])))
        save(store, chain, delta(workspace, 2, {"ann": False, "cid": True}), run=2)
        assert members(store, workspace, chain) == [("ben", 1), ("cid", 2)]

    @pytest.mark.parametrize(
        ("deltas", "expected"),
        [
            ([{"ann": False}], []),
            ([{"ann": False}, {"ann": True}], [("ann", 3)]),
            ([{"ann": False}, {"ann": True}, {"ann": False}], []),
            ([{"ann": False}, {"ben": True}, {"ann": True}], [("ann", 4), ("ben", 3)]),
        ],
        ids=["left", "left and entered again", "left twice", "another one between"],
    )
    def test_are_as_the_newest_delta_says(
        self,
        store: Store,
        workspace: Workspace,
        deltas: list[dict[str, bool]],
        expected: list[tuple[str, int]],
    ) -> None:
        a_store_with(store, runs_so_far=4)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann"])))
        for run, changed in enumerate(deltas, 2):
            save(store, chain, delta(workspace, run, changed), run=run)
        assert members(store, workspace, chain) == expected

    def test_of_one_audience_are_not_anothers(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store)
        vip = the_audience("vip", id=save(store, the_audience("vip"), base(workspace, 1, ["ann"])))
        new = the_audience("new", id=save(store, the_audience("new"), base(workspace, 1, ["ben"])))
        assert members(store, workspace, vip) == [("ann", 1)]
        assert members(store, workspace, new) == [("ben", 1)]

    def test_are_ordered_by_their_bytes(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, HOSTILE_ORDER[::-1])))
        stored = fetch(store, workspace, chain).files[0]
        rows = workspace.all(
            f"select user_id from read_parquet('{stored.path}', file_row_number = true) order by file_row_number"
        )
        assert [user for (user,) in rows] == HOSTILE_ORDER


class TestTraitValues:
    CHAIN = Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=("rev_180", "Plan"), user_count=2)

    def values(self, workspace: Workspace, rows: str) -> str:
        columns = ", ".join(("user_id", "run_id", trait_column("rev_180"), trait_column("Plan")))
        return f"select * from (values {rows}) as t({columns})"

    def test_are_those_of_the_newest_row_and_gone_when_all_are(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store, runs_so_far=2)
        first = write_snapshot_file(
            workspace, BASE, self.values(workspace, "('ann', 1, '7', '\"a\"'), ('ben', 1, '8', null)")
        )
        then = write_snapshot_file(
            workspace, DELTA, self.values(workspace, "('ann', 2, '9', '\"a\"'), ('ben', 2, null, null)")
        )
        chain = replace(self.CHAIN, id=save(store, self.CHAIN, first))
        save(store, chain, then, run=2)
        now = workspace.all(current_rows_query(fetch(store, workspace, chain)))
        assert now == [("ann", 2, "9", '"a"')]


class TestADamagedSegment:
    """Every snapshot file is checked when it is read; a run stops before it sends anything."""

    def damage(self, store: Store) -> bytes:
        with store.writing() as connection:
            body: bytes = connection.execute(select(snapshot_file_chunks.c.content)).scalar_one()
            damaged = body[:50] + bytes([body[50] ^ 1]) + body[51:]
            connection.execute(update(snapshot_file_chunks).values(content=damaged))
        return body

    def test_is_noticed_by_one_changed_byte(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann"])))
        self.damage(store)
        with pytest.raises(StoreDamagedError) as caught:
            fetch(store, workspace, chain)
        assert "The store is damaged: the checksum of snapshot file 1 of audience vip does not match" in str(
            caught.value
        )
        assert "nothing was changed or sent" in str(caught.value)
        assert str(caught.value).endswith("audience-sync resync vip")

    def test_is_noticed_by_a_missing_part(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann"])))
        with store.writing() as connection:
            connection.execute(delete(snapshot_file_chunks))
        with pytest.raises(StoreDamagedError):
            fetch(store, workspace, chain)

    def test_of_traits_names_all_of_them(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store)
        chain = replace(TestTraitValues.CHAIN, id=save(store, TestTraitValues.CHAIN, base(workspace, 1, ["ann"])))
        self.damage(store)
        with pytest.raises(StoreDamagedError, match="of computed traits rev_180, Plan does not match"):
            fetch(store, workspace, chain)


class TestALargeSegment:
    def test_is_stored_in_parts_and_comes_back_whole(
        self, store: Store, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "CHUNK_BYTES", 1_000)
        a_store_with(store)
        segment = write_snapshot_file(
            workspace, BASE, "select md5(i::varchar) as user_id, 1 as run_id, true as present from range(1000) t(i)"
        )
        chain = the_audience(id=save(store, the_audience(users=1000), segment))
        with store.reading() as connection:
            sizes = connection.execute(
                select(func.length(snapshot_file_chunks.c.content)).order_by(snapshot_file_chunks.c.number)
            ).scalars()
            assert set(list(sizes)[:-1]) == {1_000}
        assert fetch(store, workspace, chain).files[0].path.read_bytes() == segment.path.read_bytes()

    def test_is_read_a_part_at_a_time(self, store: Store, workspace: Workspace) -> None:
        """The options of one statement must not stay with the connection: inserts after it have other ones."""
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann"])))
        with store.writing() as connection:
            files.download_chain(connection, workspace, chain)
            assert "yield_per" not in connection.get_execution_options()
            add_run(connection, 2)


class TestSaving:
    def test_a_delta_keeps_what_is_there(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store, runs_so_far=2)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann"])))
        save(store, chain, delta(workspace, 2, {"ben": True, "cid": True}), run=2)
        assert self.stored(store) == [("base", 1, 1), ("delta", 2, 2)]

    def test_a_new_base_replaces_what_is_there(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store, runs_so_far=3)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann"])))
        save(store, chain, delta(workspace, 2, {"ben": True}), run=2)
        save(store, chain, base(workspace, 3, ["ann", "ben"]), run=3)
        assert self.stored(store) == [("base", 3, 2)]
        assert self.part_count(store) == 1

    def test_leaves_other_audiences_alone(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store)
        save(store, the_audience("vip"), base(workspace, 1, ["ann"]))
        other = the_audience("new", id=save(store, the_audience("new"), base(workspace, 1, ["ben"])))
        save(store, other, base(workspace, 1, ["ben", "cid"]))
        assert self.stored(store) == [("base", 1, 1), ("base", 1, 2)]

    def test_keeps_the_count_of_users(self, store: Store, workspace: Workspace) -> None:
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(users=1), base(workspace, 1, ["ann"])))
        save(store, replace(chain, user_count=42))
        with store.reading() as connection:
            assert connection.execute(select(chains_table.c.user_count)).scalar_one() == 42

    def stored(self, store: Store) -> list[tuple[object, ...]]:
        columns = (snapshot_files.c.kind, snapshot_files.c.run_id, snapshot_files.c.row_count)
        with store.reading() as connection:
            return [tuple(row) for row in connection.execute(select(*columns).order_by(snapshot_files.c.id))]

    def part_count(self, store: Store) -> int:
        with store.reading() as connection:
            return connection.execute(select(func.count()).select_from(snapshot_file_chunks)).scalar_one()


class TestUsersOfALargeFile:
    """Of several row groups, whose halves are read at the same time."""

    @pytest.mark.parametrize(
        ("users", "expected"),
        [
            (ONCE, (0, True)),
            *(
                (f"{ONCE} union all select '{twice:07}'", (0, False))
                for twice in (0, 1, 122_879, 122_880, 245_759, 245_760, 299_999)
            ),
            (f"{ONCE} union all select null from range(3)", (3, True)),
            (f"{ONCE} union all select '0150000' union all select null", (1, False)),
            ("select 'it''s\n' || printf('%07d', range) as user_id from range(300_000)", (0, True)),
            ("select repeat('x', 500) || printf('%07d', range // 2) as user_id from range(250_000)", (0, False)),
        ],
    )
    def test_are_checked(self, workspace: Workspace, users: str, expected: tuple[int, bool]) -> None:
        file = write_first_base(workspace, users, RunId(1))
        assert check_users(workspace, file) == expected
