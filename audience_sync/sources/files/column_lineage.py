"""Find the columns of files that become an output column of a query, in DuckDB's syntax tree.

The tree is the result of ``json_serialize_sql``. A value flows through CTEs, subqueries, joins, unions and expressions.
Conditions of CASE, filters, partitions and orders select rows and contribute no value. A column that is compared with
a found one is found too, so that both sides of a join have the same type. If the exact origin is unclear, the result
has too many columns, never too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import zip_longest
from typing import Any

Node = Mapping[str, Any]
#: Table and column, both in lower case, as SQL compares them.
Origin = tuple[str, str]
Origins = frozenset[Origin]

NO_ORIGINS: Origins = frozenset()
#: The "table" of files that DuckDB opens itself, with guessed types. The "column" is a table's name, or a function's
#: name and the byte of the query at which its call begins.
GUESSED = ""
#: Functions that return their first argument only.
_FIRST_ARGUMENT_FUNCTIONS = frozenset(
    {"arg_max", "arg_min", "argmax", "argmin", "max_by", "min_by", "arg_max_null", "arg_min_null"}
)
_COUNTING_FUNCTIONS = frozenset(
    {"count", "count_star", "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile"}
) | {"typeof"}
#: Arguments by which a query sets the types that a function reads.
_TYPE_ARGUMENTS = frozenset({"all_varchar", "columns", "types", "dtypes", "column_types"})
_GUESSING_FUNCTIONS = ("read_csv", "read_json", "read_ndjson", "sniff_csv")
_BOOLEAN_EXPRESSIONS = ("COMPARE_", "OPERATOR_NOT", "OPERATOR_IS", "CONJUNCTION")


@dataclass(frozen=True, slots=True)
class Relation:
    """The origins of each column of a table or answer; ``rest`` has the origins of any other name."""

    columns: tuple[tuple[str, Origins], ...] = ()
    rest: Origins = NO_ORIGINS

    @property
    def all_origins(self) -> Origins:
        return _union([origins for _, origins in self.columns], self.rest)

    def column(self, name: str) -> Origins | None:
        """The origins of this column, or None if there is no such column."""
        found = [origins for own, origins in self.columns if own == name.lower()]
        return _union(found) if found else None

    def origins(self, name: str) -> Origins:
        found = self.column(name)
        return self.rest if found is None else found

    def renamed(self, names: Sequence[str]) -> Relation:
        """The relation with new names for its first columns."""
        columns = [(name.lower(), self._at(index)) for index, name in enumerate(names)]
        return Relation((*columns, *self.columns[len(names) :]), self.rest)

    def _at(self, index: int) -> Origins:
        return self.columns[index][1] if index < len(self.columns) else self.rest

    def union(self, other: Relation) -> Relation:
        """The columns of two answers combined by position."""
        pairs = enumerate(zip_longest(self.columns, other.columns))
        columns = [((first or second)[0], self._at(index) | other._at(index)) for index, (first, second) in pairs]
        return Relation(tuple(columns), self.rest | other.rest)

    def union_by_name(self, other: Relation) -> Relation:
        names = dict.fromkeys(name for name, _ in (*self.columns, *other.columns))
        columns = [(name, self.origins(name) | other.origins(name)) for name in names]
        return Relation(tuple(columns), self.rest | other.rest)


@dataclass(frozen=True, slots=True)
class Scope:
    """The names at one level of a query: tables by alias, CTEs, column aliases, and the outer scope."""

    tables: tuple[tuple[str, Relation], ...] = ()
    ctes: Mapping[str, Relation] = field(default_factory=dict)
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
            return _union(found)
        if names[0].lower() in self.aliases:
            return self.aliases[names[0].lower()]
        whole = [relation.all_origins for table, relation in self.tables if table == names[-1].lower()]
        whole = whole or [relation.rest for _, relation in self.tables if relation.rest]
        if whole:
            return _union(whole)
        return self.outer.column(names) if self.outer else NO_ORIGINS


def text_columns(tree: Node, tables: Mapping[str, Sequence[str]], ids: Iterable[str], texts: Iterable[str]) -> Origins:
    """The columns of ``tables`` that become one of the answer's ``ids``, or unchanged one of ``texts``."""
    everything = _LineageWalk(tables)
    answer = everything.statement(tree)
    found = _union([answer.origins(name) for name in ids])
    plain = _LineageWalk(tables, only_plain=True).statement(tree)
    return _with_compared(found, everything.pairs) | _union([plain.origins(name) for name in texts])


def _with_compared(found: Origins, pairs: Sequence[tuple[Origins, Origins]]) -> Origins:
    """The origins with all that are compared with them, directly or indirectly."""
    while more := _union([left | right for left, right in pairs if (left | right) & found]) - found:
        found |= more
    return found


def _union(some: Iterable[Origins], more: Origins = NO_ORIGINS) -> Origins:
    return reduce(frozenset.union, some, more)


class _LineageWalk:
    """One walk over a tree. ``pairs`` collects compared origins. ``only_plain``: an expression has no origins."""

    def __init__(self, tables: Mapping[str, Sequence[str]], *, only_plain: bool = False) -> None:
        self._tables = {name.lower(): columns for name, columns in tables.items()}
        self._only_plain = only_plain
        self.pairs: list[tuple[Origins, Origins]] = []

    def statement(self, tree: Node) -> Relation:
        return self.query(tree["statements"][0]["node"], Scope())

    def query(self, node: Node, around: Scope) -> Relation:
        ctes = dict(around.ctes)
        for each in node.get("cte_map", {}).get("map", []):
            made = self.query(each["value"]["query_node"], Scope(ctes=ctes, outer=around))
            ctes[each["key"].lower()] = made.renamed(each["value"].get("aliases", []))
        scope = Scope(ctes=ctes, outer=around)
        match node.get("type"):
            case "SELECT_NODE":
                return self._select(node, scope)
            case "SET_OPERATION_NODE":
                parts = [self.query(child, scope) for child in node["children"]]
                joined = Relation.union_by_name if "BY_NAME" in node.get("setop_type", "") else Relation.union
                return reduce(joined, parts)
            case "RECURSIVE_CTE_NODE":
                return self._recursive(node, scope)
            case _:
                return Relation(rest=self._all_columns(node))

    def _recursive(self, node: Node, scope: Scope) -> Relation:
        found = self.query(node["left"], scope).renamed(node.get("aliases", []))
        while True:
            within = Scope(ctes={**scope.ctes, node["cte_name"].lower(): found}, outer=scope.outer)
            more = found.union(self.query(node["right"], within))
            if more == found:
                return found
            found = more

    def _select(self, node: Node, scope: Scope) -> Relation:
        scope = Scope(tuple(self._from_tables(node.get("from_table") or {}, scope)), scope.ctes, outer=scope.outer)
        columns: list[tuple[str, Origins]] = []
        rest = NO_ORIGINS
        for item in node.get("select_list", []):
            if item.get("class") == "STAR":
                star = self._star(item, scope)
                columns += star.columns
                rest |= star.rest
                continue
            origins, name = self._value(item, scope), _output_name(item)
            self._conditions(item, scope)
            if name is None:
                rest |= origins
                continue
            columns.append((name, origins))
            aliases = {name: origins, **scope.aliases}
            scope = Scope(scope.tables, scope.ctes, aliases, scope.outer)
        for part in ("where_clause", "having", "qualify"):
            self._conditions(node.get(part), scope)
        return Relation(tuple(columns), rest)

    def _star(self, item: Node, scope: Scope) -> Relation:
        of = str(item.get("relation_name") or "").lower()
        tables = [relation for name, relation in scope.tables if of in ("", name)]
        excluded = {str(name).lower() for name in item.get("exclude_list", []) if isinstance(name, str)}
        new = {str(each["key"]).lower(): self._value(each["value"], scope) for each in item.get("replace_list", [])}
        renamed = {each["key"]["column"].lower(): each["value"].lower() for each in item.get("rename_list", [])}
        columns = [
            (renamed.get(name, name), new.get(name, origins))
            for relation in tables
            for name, origins in relation.columns
            if name not in excluded
        ]
        return Relation(tuple(columns), _union(relation.rest for relation in tables))

    def _from_tables(self, ref: Node, scope: Scope) -> Iterator[tuple[str, Relation]]:
        """The tables of FROM, each with its alias."""
        if ref.get("type") == "JOIN":
            yield from self._join(ref, scope)
            return
        relation = self._relation(ref, scope).renamed(ref.get("column_name_alias", []))
        yield str(ref.get("alias") or ref.get("table_name") or "").lower(), relation

    def _join(self, ref: Node, scope: Scope) -> list[tuple[str, Relation]]:
        left = list(self._from_tables(ref["left"], scope))
        right = list(self._from_tables(ref["right"], Scope((*scope.tables, *left), scope.ctes, outer=scope.outer)))
        names = ref.get("using_columns", [])
        if ref.get("ref_type") == "NATURAL":
            names = [name for _, relation in left for name, _ in relation.columns]
        for name in names:
            sides = [_union(relation.origins(name) for _, relation in side) for side in (left, right)]
            self.pairs.append((sides[0], sides[1]))
        both = Scope((*scope.tables, *left, *right), scope.ctes, outer=scope.outer)
        self._conditions(ref.get("condition"), both)
        return left + right

    def _relation(self, ref: Node, scope: Scope) -> Relation:
        match ref.get("type"):
            case "BASE_TABLE":
                return self._table(ref["table_name"].lower(), scope)
            case "SUBQUERY":
                return self.query(ref["subquery"]["node"], scope)
            case "TABLE_FUNCTION":
                return Relation(
                    rest=self._file_function(ref["function"], ref["query_location"])
                    or self._value(ref["function"], scope)
                )
            case "EXPRESSION_LIST":
                rows = [[self._value(value, scope) for value in row] for row in ref.get("values", [])]
                columns = [(f"col{index}", _union(each)) for index, each in enumerate(zip(*rows, strict=False))]
                return Relation(tuple(columns))
            case "PIVOT":
                tables = [relation for _, relation in self._from_tables(ref["source"], scope)]
                columns = [column for relation in tables for column in relation.columns]
                return Relation(tuple(columns), _union(relation.all_origins for relation in tables))
            case "EMPTY" | "SHOW_REF" | None:
                return Relation()
            case _:
                return Relation(rest=self._all_columns(ref))

    def _table(self, name: str, scope: Scope) -> Relation:
        if name in scope.ctes:
            return scope.ctes[name]
        if name in self._tables:
            return Relation(
                tuple((column.lower(), frozenset({(name, column.lower())})) for column in self._tables[name])
            )
        return Relation(rest=frozenset({(GUESSED, name)}))

    def _file_function(self, function: Node, start: int) -> Origins:
        name = function["function_name"].lower()
        given = {each.get("name") or _argument_name(each["expression"]) for each in function.get("arguments", [])}
        guesses = name.startswith(_GUESSING_FUNCTIONS) and not given & _TYPE_ARGUMENTS
        return frozenset({(GUESSED, f"{name} {start}")}) if guesses else NO_ORIGINS

    def _all_columns(self, node: Any) -> Origins:
        """All columns of all tables that the node names anywhere."""
        names = {each["table_name"].lower() for each in _descendants(node) if each.get("type") == "BASE_TABLE"}
        return frozenset((name, column.lower()) for name in names for column in self._tables.get(name, ()))

    def _value(self, item: Node, scope: Scope) -> Origins:
        """The origins of an expression's value."""
        kind = str(item.get("class"))
        if kind == "COLUMN_REF":
            return scope.column(item["column_names"])
        if self._only_plain:
            return NO_ORIGINS
        match kind:
            case "CASE":
                branches = [each["then_expr"] for each in item["case_checks"]]
                return _union(self._value(each, scope) for each in (*branches, item["else_expr"]))
            case "SUBQUERY":
                found = self.query(item["subquery"]["node"], scope)
                return found.all_origins if item.get("subquery_type") == "SCALAR" else NO_ORIGINS
            case "FUNCTION" | "WINDOW":
                return self._function_value(item, scope)
            case "STAR" | "POSITIONAL_REFERENCE":
                return _union(relation.all_origins for _, relation in scope.tables)
            case _ if str(item.get("type", "")).startswith(_BOOLEAN_EXPRESSIONS):
                return NO_ORIGINS
            case _:
                return _union(self._value(each, scope) for each in _children(item))

    def _function_value(self, item: Node, scope: Scope) -> Origins:
        name = str(item.get("function_name", "")).lower()
        arguments = (
            [each["expression"] for each in item.get("arguments", [])] if name not in _COUNTING_FUNCTIONS else []
        )
        if name == "if":
            arguments = arguments[1:]
        elif name in _FIRST_ARGUMENT_FUNCTIONS or name in ("nullif", "lag", "lead"):
            arguments = arguments[:1]
        return _union(self._value(each, scope) for each in arguments)

    def _conditions(self, item: Any, scope: Scope) -> None:
        """Record which origins are compared, in subqueries too."""
        if not isinstance(item, Mapping):
            for each in item if isinstance(item, list) else ():
                self._conditions(each, scope)
            return
        match item.get("class"):
            case "SUBQUERY":
                answer = self.query(item["subquery"]["node"], scope)
                if child := item.get("child"):
                    self.pairs.append((self._value(child, scope), answer.all_origins))
                    self._conditions(child, scope)
                return
            case "COMPARISON":
                self.pairs.append((self._value(item["left"], scope), self._value(item["right"], scope)))
            case "BETWEEN":
                sides = [self._value(item[name], scope) for name in ("input", "lower", "upper")]
                self.pairs += [(sides[0], sides[1]), (sides[0], sides[2])]
            case "OPERATOR" if str(item.get("type")).startswith("COMPARE_"):
                first, *others = (self._value(each, scope) for each in item["children"])
                self.pairs += [(first, other) for other in others]
        for part in item.values():
            self._conditions(part, scope)


def _output_name(item: Node) -> str | None:
    """The name of an output column; None if DuckDB derives it from the expression."""
    if item.get("alias"):
        return str(item["alias"]).lower()
    return str(item["column_names"][-1]).lower() if item.get("class") == "COLUMN_REF" else None


def _argument_name(argument: Node) -> str:
    """The name in an argument ``name = value``, or an empty text."""
    left = argument.get("left", {}) if argument.get("class") == "COMPARISON" else {}
    return str(left.get("column_names", [""])[0]).lower()


def _children(item: Node) -> Iterator[Node]:
    """The direct child expressions."""
    for part in item.values():
        for each in part if isinstance(part, list) else [part]:
            if isinstance(each, Mapping):
                yield each.get("expression", each)


def _descendants(node: Any) -> Iterator[Node]:
    if isinstance(node, Mapping):
        yield node
        node = list(node.values())
    for each in node if isinstance(node, list) else ():
        yield from _descendants(each)
