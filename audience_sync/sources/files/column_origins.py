"""Define the origins of columns: of a table, of an answer, and of the names at one level of a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import zip_longest

from msgspec import Struct, field

#: Table and column, both in lower case, as SQL compares them.
Origin = tuple[str, str]
Origins = frozenset[Origin]
NO_ORIGINS: Origins = frozenset()


class ColumnOrigins(Struct, frozen=True):
    """The origins of each column of a table or answer; ``rest`` has the origins of any other name."""

    columns: tuple[tuple[str, Origins], ...] = ()
    rest: Origins = NO_ORIGINS

    @property
    def all_origins(self) -> Origins:
        return union_of([origins for _, origins in self.columns], self.rest)

    def column(self, name: str) -> Origins | None:
        """The origins of this column, or None if there is no such column."""
        found = [origins for own, origins in self.columns if own == name.lower()]
        return union_of(found) if found else None

    def origins(self, name: str) -> Origins:
        found = self.column(name)
        return self.rest if found is None else found

    def renamed(self, names: Sequence[str]) -> ColumnOrigins:
        """The relation with new names for its first columns."""
        columns = [(name.lower(), self._at(index)) for index, name in enumerate(names)]
        return ColumnOrigins((*columns, *self.columns[len(names) :]), self.rest)

    def _at(self, index: int) -> Origins:
        return self.columns[index][1] if index < len(self.columns) else self.rest

    def union(self, other: ColumnOrigins) -> ColumnOrigins:
        """The columns of two answers combined by position."""
        pairs = enumerate(zip_longest(self.columns, other.columns))
        columns = [((first or second)[0], self._at(index) | other._at(index)) for index, (first, second) in pairs]
        return ColumnOrigins(tuple(columns), self.rest | other.rest)

    def union_by_name(self, other: ColumnOrigins) -> ColumnOrigins:
        names = dict.fromkeys(name for name, _ in (*self.columns, *other.columns))
        columns = [(name, self.origins(name) | other.origins(name)) for name in names]
        return ColumnOrigins(tuple(columns), self.rest | other.rest)


class Scope(Struct, frozen=True):
    """The names at one level of a query: tables by alias, CTEs, column aliases, and the outer scope."""

    tables: tuple[tuple[str, ColumnOrigins], ...] = ()
    ctes: Mapping[str, ColumnOrigins] = field(default_factory=dict)
    aliases: Mapping[str, Origins] = field(default_factory=dict)
    outer: Scope | None = None

    def column(self, names: Sequence[str]) -> Origins:
        found = [
            origins
            for table, relation in self.tables
            for index in range(1, len(names))
            if names[index - 1].lower() == table
            if (origins := relation.origins(names[index]))
        ]
        found = found or [own for _, relation in self.tables if (own := relation.column(names[0])) is not None]
        if found:
            return union_of(found)
        if names[0].lower() in self.aliases:
            return self.aliases[names[0].lower()]
        whole = [relation.all_origins for table, relation in self.tables if table == names[-1].lower()]
        whole = whole or [relation.rest for _, relation in self.tables if relation.rest]
        if whole:
            return union_of(whole)
        return self.outer.column(names) if self.outer else NO_ORIGINS


def union_of(some: Iterable[Origins], more: Origins = NO_ORIGINS) -> Origins:
    return reduce(frozenset.union, some, more)
