"""Write the queries that compare a snapshot of computed traits with the tables of the last one.

Such a table has the columns ``user_id``, ``change``, ``row_count`` and, with the types that they have in the source,
those of the traits: ``value_1``, ``value_2`` and so on. It has one row for each row of the source: a user may have
several. ``change`` is ``entered`` for a row that is new, ``left`` for one that is gone, or the reason why a row has no
valid id.

Two rows are equal if all their values have the same text. So a value is equal if a client reads the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import Struct

from audience_sync.model import StateTable
from audience_sync.sources.warehouse.comparison_sql import (
    ENTERED,
    IS_USER,
    LEFT,
    TOTAL,
    column_of,
    subquery,
    with_total,
)
from audience_sync.sources.warehouse.dialects.base import CheckedText, Dialect
from audience_sync.sql import Query, Relation

#: A row of a user of whom another row has changed; and a user in a table that was not accepted for every trait.
UNCHANGED, REPEATED = "unchanged", "repeated"
_ROW = "user_id, row_key"
_ONE_ROW = "cast(1 as bigint) as row_count"
#: The change of the row with the number of rows. DataFusion moves a condition on a constant below ``count``.
_IS_TOTAL = f"case when count(*) >= 0 then '{TOTAL}' end"


class TraitColumns(Struct, frozen=True):
    """SQL for the user id of a row of the source, and the columns of traits with their types."""

    user_id: CheckedText
    types: Mapping[str, str]


class TraitsState(Struct, frozen=True):
    """A state's tables, and the columns of their values. ``place``: what stands after FROM for a table's name."""

    dialect: Dialect
    place: Callable[[str], Relation]
    tables: Sequence[StateTable]
    columns: TraitColumns

    @property
    def values(self) -> Sequence[str]:
        """The names of the columns of values, in the order of the types."""
        return [f"value_{number}" for number, _ in enumerate(self.columns.types, 1)]

    @property
    def _nulls(self) -> str:
        return "".join(", null" for _ in self.values)

    def _selected(self, alias: str) -> str:
        return ", ".join(f"{alias}.{value}" for value in self.values)

    def _key(self, columns: Sequence[str]) -> str:
        """All values of a row as one text, each with its length before it: other values give another text."""
        text = self.dialect.text
        parts = (
            f"case when {column} is null then '-' else {text(f'length({value})', '')} || ':' || {value} end"
            for column, kind in zip(columns, self.columns.types.values(), strict=True)
            for value in (text(column, kind),)
        )
        return " || ".join(parts)

    def stored(self, table: str) -> Relation:
        """The rows of a table, with ``row_key``."""
        return self._with_key(self.place(table))

    def _with_key(self, rows: Relation) -> Relation:
        return Relation(f"(select t.*, {self._key(self.values)} as row_key from {rows} t)")

    def rows(self) -> Query:
        """A query for the rows of users in the snapshot of the tables.

        A full join is by hash or by merge in any engine: see ``StateQuery.members``.
        """
        base, *deltas = self.tables
        rows = f"select b.user_id, {self._selected('b')}, b.row_key from {self.stored(base.name)} b"
        rows += f" where b.change = '{ENTERED}'"
        if not deltas:
            return Query(rows)
        changes = " union all ".join(
            f"select {number} as number, c.* from {self.stored(each.name)} c where c.{IS_USER}"
            for number, each in enumerate(deltas)
        )
        ranked = f"rank() over (partition by {_ROW} order by number desc) as nth"
        return Query(
            f"select b.user_id, {self._selected('b')}, b.row_key from ({rows}) b "
            f"full join (select distinct {_ROW} from ({changes}) c) d "
            "on b.user_id = d.user_id and b.row_key = d.row_key where d.user_id is null "
            f"union all select e.user_id, {self._selected('e')}, e.row_key "
            f"from (select r.*, {ranked} from ({changes}) r) e where e.nth = 1 and e.change = '{ENTERED}'"
        )

    def folded(self) -> Query:
        """A query for the rows of a new base that replaces all tables."""
        return Query(
            f"select m.user_id, '{ENTERED}' as change, {_ONE_ROW}, {self._selected('m')} from ({self.rows()}) m"
        )

    def comparison(self, query: str, *, counts_rows: bool = False) -> Query:
        """A query for the rows that are new or gone since the snapshot of the tables, and those without a valid id.

        It runs ``query`` once. Without tables, every row is new. ``counts_rows``: add a row with the number of
        all rows.
        """
        names = [self.dialect.stored(column_of(self.dialect, name), kind) for name, kind in self.columns.types.items()]
        values = "".join(f", {name} as {value}" for name, value in zip(names, self.values, strict=True))
        new = (
            f"select {self.columns.user_id.text} as user_id, {self.columns.user_id.reason} as reason{values}, "
            f"{self._key(names)} as row_key from {subquery(query)}"
        )
        number = f"null, {_IS_TOTAL}, cast(count(*) as bigint){self._nulls}"
        new = f"select r.*, case when r.reason is null then r.user_id end as valid_id from ({new}) r"
        if not self.tables:
            change = f"case when n.reason is null then '{ENTERED}' else n.reason end"
            found = f"select n.user_id, {change} as change, {_ONE_ROW}, {self._selected('n')} from "
            return with_total(found, "", new, number) if counts_rows else Query(f"{found}({new}) n")
        change = f"case when n.row_key is null then '{LEFT}' when n.reason is null then '{ENTERED}' else n.reason end"
        either = ", ".join(
            f"case when n.row_key is null then o.{value} else n.{value} end as {value}" for value in self.values
        )
        found = f"select coalesce(n.user_id, o.user_id) as user_id, {change} as change, {_ONE_ROW}, {either} from "
        joined = (
            f" full join ({self.rows()}) o on n.valid_id = o.user_id and n.row_key = o.row_key "
            "where n.valid_id is null or o.user_id is null"
        )
        return with_total(found, joined, new, number) if counts_rows else Query(f"{found}({new}) n{joined}")

    def changes(self, table: Relation, reread: Collection[str]) -> Query:
        """A query for what a run reads, of a table with a comparison, or of the name of one in ``with``.

        All rows of each user with a changed row, ``entered`` or ``unchanged``; ``left`` for a user of whom no row is
        new; and the number of rows without a valid id, by id and reason. Users in tables that were not accepted for
        every trait are ``repeated``, with all their rows. ``reread``: further users whose rows are read.
        """
        is_new = f"max(case when l.change = '{ENTERED}' then 1 else 0 end)"
        found = (
            f"select n.user_id, n.change, n.row_count, {self._selected('n')} from {table} n "
            f"where n.change = '{ENTERED}' "
            f"union all select g.user_id, '{LEFT}', 1{self._nulls} from (select l.user_id from {table} l "
            f"where l.{IS_USER} group by l.user_id having {is_new} = 0) g "
            f"union all select i.user_id, i.change, i.row_count{self._nulls} from ("
            f"select l.user_id, l.change, sum(l.row_count) as row_count from {table} l where not l.{IS_USER} "
            "group by l.user_id, l.change) i"
        )
        if not self.tables:
            return Query(found)
        touched = [
            f"select c.user_id from {each} c where c.{IS_USER}"
            for each in (table, *(self.place(each.name) for each in self.tables if each.left_out))
        ]
        if opened := touched[1:]:
            repeated = f"select distinct r.user_id from ({' union all '.join(opened)}) r"
            found += f" union all select r.user_id, '{REPEATED}', 1{self._nulls} from ({repeated}) r"
        if reread:
            touched.append(
                f"select u.user_id from ({self.rows()}) u where u.user_id in ({_listed(reread, self.dialect.literal)})"
            )
        changed = f"select distinct {_ROW}, 1 as is_changed from {self._with_key(table)} k where k.{IS_USER}"
        return Query(
            f"{found} union all select o.user_id, '{UNCHANGED}', 1, {self._selected('o')} "
            f"from (select r.*, 1 as is_row from ({self.rows()}) r) o "
            f"full join ({changed}) d on o.user_id = d.user_id and o.row_key = d.row_key "
            f"full join (select distinct user_id, 1 as is_touched from ({' union all '.join(touched)}) t) u "
            "on o.user_id = u.user_id "
            "where coalesce(o.is_row, 0) = 1 and coalesce(d.is_changed, 0) = 0 and coalesce(u.is_touched, 0) = 1"
        )

    def user_count(self) -> Query:
        """A query for the number of users in the snapshot of the tables."""
        return Query(f"select count(distinct u.user_id) from ({self.rows()}) u")


def _listed(users: Collection[str], literal: Callable[[str], str]) -> str:
    return ", ".join(map(literal, users))
