"""Write the query that compares a snapshot with the tables of the last one, in the SQL of any warehouse.

Such a table has a user's ``user_id`` (with ``names_from`` also ``name``), ``change`` and ``row_count``. ``change`` is
``entered`` or ``left``, or the reason why rows have no valid id; ``row_count`` counts these rows. A row ``total`` has
the number of all rows, if that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from audience_sync.model import StateTable
from audience_sync.sources.warehouse.dialects.base import CheckedText, Dialect
from audience_sync.sql import Expression, Query, Relation

ENTERED, LEFT = "entered", "left"
#: The change of a row that has the number of all rows of the snapshot.
TOTAL = "total"
IS_USER = f"change in ('{ENTERED}', '{LEFT}')"


class ComparedColumns(Struct, frozen=True):
    """SQL for the user id of a row of the source, and for the audience's name, if there are names."""

    user_id: CheckedText
    name: CheckedText | None = None


class StateQuery(Struct, frozen=True):
    """A state's tables, and whether they have names. ``place``: what stands after FROM for a table's name."""

    dialect: Dialect
    place: Callable[[str], Relation]
    tables: Sequence[StateTable]
    has_names: bool

    @property
    def _keys(self) -> tuple[str, ...]:
        return ("user_id", "name") if self.has_names else ("user_id",)

    def columns(self, alias: str = "") -> str:
        return ", ".join(f"{alias}{each}" for each in self._keys)

    def same(self, one: str, other: str) -> str:
        """The condition that two rows are of one user, and of one audience."""
        return " and ".join(f"{one}.{key} = {other}.{key}" for key in self._keys)

    def members(self) -> Query:
        """A query for the users of the snapshot; it stands alone, or as one of several in ``with``.

        A full join is by hash or by merge in any engine. With another one PostgreSQL may compare each row of the base
        with each change, because it expects few of these.
        """
        base, *deltas = self.tables
        users = f"select {self.columns()} from {self._rows(base)} where change = '{ENTERED}'"
        if not deltas:
            return Query(users)
        changes = " union all ".join(
            f"select case when change = '{ENTERED}' then {2 * number + 1} else {2 * number} end as number, "
            f"{self.columns()} from {self._rows(each)} where {IS_USER}"
            for number, each in enumerate(deltas)
        )
        newest = f"select {self.columns()}, mod(max(number), 2) as present from ({changes}) c group by {self.columns()}"
        either = ", ".join(f"coalesce(b.{key}, d.{key}) as {key}" for key in self._keys)
        return Query(
            f"select {either} from ({users}) b full join ({newest}) d on {self.same('b', 'd')} "
            "where d.user_id is null or d.present = 1"
        )

    def folded(self) -> Query:
        """A query for the rows of a new base that replaces all tables."""
        row = f"'{ENTERED}' as change, cast(1 as bigint) as row_count"
        return Query(f"select {self.columns('m.')}, {row} from ({self.members()}) m")

    def stored(self, table: str) -> Query:
        """A query for all rows of a table."""
        return Query(f"select {self.columns()}, change, row_count from {self.place(table)}")

    def counts(self, table: str) -> Query:
        """A query for the rows of a table, by name and change: their number, and the sum of ``row_count``."""
        name = "name" if self.has_names else "null"
        by = "name, change" if self.has_names else "change"
        place = self.place(table)
        return Query(f"select {name} as name, change, count(*) as n, sum(row_count) as m from {place} t group by {by}")

    def _rows(self, table: StateTable) -> str:
        place = self.place(table.name)
        if not (self.has_names and table.left_out):
            return place
        left_out = ", ".join(map(self.dialect.literal, table.left_out))
        return f"(select * from {place} t where t.name not in ({left_out}))"

    def comparison(self, query: str, columns: ComparedColumns, *, counts_rows: bool = False) -> Query:
        """A query for all changes since the snapshot of the tables, and for the rows without a valid id.

        It runs ``query`` once. Without tables, every user has entered. ``counts_rows``: add a row with the number of
        rows.
        """
        reason, extra = columns.user_id.reason, ""
        if columns.name is not None:
            reason, extra = f"coalesce({reason}, {columns.name.reason})", f", {columns.name.text} as name"
        rows = f"select {columns.user_id.text} as user_id, {reason} as reason{extra} from {subquery(query)}"
        keys = self.columns()
        new = (
            f"select {keys}, reason, case when reason is null then user_id end as valid_id, count(*) as row_count "
            f"from ({rows}) r group by {keys}, reason"
        )
        change = f"case when n.row_count is null then '{LEFT}' when n.reason is null then '{ENTERED}' else n.reason end"
        number = ", ".join("null" for _ in self._keys) + f", '{TOTAL}', coalesce(sum(n.row_count), 0)"
        if not self.tables:
            found = f"select {self.columns('n.')}, {change} as change, n.row_count from "
            return with_total(found, "", new, number) if counts_rows else Query(f"{found}({new}) n")
        name = " and n.name = o.name" if self.has_names else ""
        either = ", ".join(f"coalesce(n.{key}, o.{key}) as {key}" for key in self._keys)
        found = f"select {either}, {change} as change, coalesce(n.row_count, 1) as row_count from "
        joined = (
            f" full join ({self.members()}) o on n.valid_id = o.user_id{name} "
            "where n.valid_id is null or o.user_id is null"
        )
        return with_total(found, joined, new, number) if counts_rows else Query(f"{found}({new}) n{joined}")


def with_total(select: str, joined: str, new: str, number: str) -> Query:
    """A comparison, and a row of ``number``, an aggregate over the new rows ``n``, which both read."""
    return Query(f"with n as ({new}) {select}n{joined} union all select {number} from n")


def column_of(dialect: Dialect, name: str) -> Expression:
    """A column of ``subquery``: in ClickHouse an alias of this name would come before it if it were not qualified."""
    return Expression(f"q.{dialect.quote(name)}")


def subquery(query: str) -> Relation:
    """A query that a person wrote, on lines of its own: its last may be a comment."""
    return Relation(f"(\n{query.rstrip().rstrip(';')}\n) q")
