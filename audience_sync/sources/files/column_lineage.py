"""Find the columns of files that become an output column of a query, in DuckDB's syntax tree.

The tree is the result of ``json_serialize_sql``. A value flows through CTEs, subqueries, joins, unions and expressions.
Conditions of CASE, filters, partitions and orders select rows and contribute no value. A column that is compared with
a found one is found too, so that both sides of a join have the same type. If the exact origin is unclear, the result
has too many columns, never too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from audience_sync.sources.files.column_origins import NO_ORIGINS, ColumnOrigins, Origins, Scope, union_of

#: A node of the tree.
Node = Mapping[str, Any]
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


def text_columns(tree: Node, tables: Mapping[str, Sequence[str]], ids: Iterable[str], texts: Iterable[str]) -> Origins:
    """The columns of ``tables`` that become one of the answer's ``ids``, or unchanged one of ``texts``."""
    everything = _LineageWalk(tables)
    answer = everything.statement(tree)
    found = union_of([answer.origins(name) for name in ids])
    plain = _LineageWalk(tables, only_plain=True).statement(tree)
    return _with_compared(found, everything.pairs) | union_of([plain.origins(name) for name in texts])


def _with_compared(found: Origins, pairs: Sequence[tuple[Origins, Origins]]) -> Origins:
    """The origins with all that are compared with them, directly or indirectly."""
    while more := union_of([left | right for left, right in pairs if (left | right) & found]) - found:
        found |= more
    return found


class _LineageWalk:
    """One walk over a tree. ``pairs`` collects compared origins. ``only_plain``: an expression has no origins."""

    def __init__(self, tables: Mapping[str, Sequence[str]], *, only_plain: bool = False) -> None:
        self._tables = {name.lower(): columns for name, columns in tables.items()}
        self._only_plain = only_plain
        self.pairs: list[tuple[Origins, Origins]] = []

    def statement(self, tree: Node) -> ColumnOrigins:
        return self.query(tree["statements"][0]["node"], Scope())

    def query(self, node: Node, around: Scope) -> ColumnOrigins:
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
                joined = ColumnOrigins.union_by_name if "BY_NAME" in node.get("setop_type", "") else ColumnOrigins.union
                return reduce(joined, parts)
            case "RECURSIVE_CTE_NODE":
                return self._recursive(node, scope)
            case _:
                return ColumnOrigins(rest=self._all_columns(node))

    def _recursive(self, node: Node, scope: Scope) -> ColumnOrigins:
        found = self.query(node["left"], scope).renamed(node.get("aliases", []))
        while True:
            within = Scope(ctes={**scope.ctes, node["cte_name"].lower(): found}, outer=scope.outer)
            more = found.union(self.query(node["right"], within))
            if more == found:
                return found
            found = more

    def _select(self, node: Node, scope: Scope) -> ColumnOrigins:
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
        return ColumnOrigins(tuple(columns), rest)

    def _star(self, item: Node, scope: Scope) -> ColumnOrigins:
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
        return ColumnOrigins(tuple(columns), union_of(relation.rest for relation in tables))

    def _from_tables(self, ref: Node, scope: Scope) -> Iterator[tuple[str, ColumnOrigins]]:
        """The tables of FROM, each with its alias."""
        if ref.get("type") == "JOIN":
            yield from self._join(ref, scope)
            return
        relation = self._relation(ref, scope).renamed(ref.get("column_name_alias", []))
        yield str(ref.get("alias") or ref.get("table_name") or "").lower(), relation

    def _join(self, ref: Node, scope: Scope) -> list[tuple[str, ColumnOrigins]]:
        left = list(self._from_tables(ref["left"], scope))
        right = list(self._from_tables(ref["right"], Scope((*scope.tables, *left), scope.ctes, outer=scope.outer)))
        names = ref.get("using_columns", [])
        if ref.get("ref_type") == "NATURAL":
            names = [name for _, relation in left for name, _ in relation.columns]
        for name in names:
            sides = [union_of(relation.origins(name) for _, relation in side) for side in (left, right)]
            self.pairs.append((sides[0], sides[1]))
        both = Scope((*scope.tables, *left, *right), scope.ctes, outer=scope.outer)
        self._conditions(ref.get("condition"), both)
        return left + right

    def _relation(self, ref: Node, scope: Scope) -> ColumnOrigins:
        match ref.get("type"):
            case "BASE_TABLE":
                return self._table(ref["table_name"].lower(), scope)
            case "SUBQUERY":
                return self.query(ref["subquery"]["node"], scope)
            case "TABLE_FUNCTION":
                return ColumnOrigins(
                    rest=self._file_function(ref["function"], ref["query_location"])
                    or self._value(ref["function"], scope)
                )
            case "EXPRESSION_LIST":
                rows = [[self._value(value, scope) for value in row] for row in ref.get("values", [])]
                columns = [(f"col{index}", union_of(each)) for index, each in enumerate(zip(*rows, strict=False))]
                return ColumnOrigins(tuple(columns))
            case "PIVOT":
                tables = [relation for _, relation in self._from_tables(ref["source"], scope)]
                columns = [column for relation in tables for column in relation.columns]
                return ColumnOrigins(tuple(columns), union_of(relation.all_origins for relation in tables))
            case "EMPTY" | "SHOW_REF" | None:
                return ColumnOrigins()
            case _:
                return ColumnOrigins(rest=self._all_columns(ref))

    def _table(self, name: str, scope: Scope) -> ColumnOrigins:
        if name in scope.ctes:
            return scope.ctes[name]
        if name in self._tables:
            return ColumnOrigins(
                tuple((column.lower(), frozenset({(name, column.lower())})) for column in self._tables[name])
            )
        return ColumnOrigins(rest=frozenset({(GUESSED, name)}))

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
                return union_of(self._value(each, scope) for each in (*branches, item["else_expr"]))
            case "SUBQUERY":
                found = self.query(item["subquery"]["node"], scope)
                return found.all_origins if item.get("subquery_type") == "SCALAR" else NO_ORIGINS
            case "FUNCTION" | "WINDOW":
                return self._function_value(item, scope)
            case "STAR" | "POSITIONAL_REFERENCE":
                return union_of(relation.all_origins for _, relation in scope.tables)
            case _ if str(item.get("type", "")).startswith(_BOOLEAN_EXPRESSIONS):
                return NO_ORIGINS
            case _:
                return union_of(self._value(each, scope) for each in _children(item))

    def _function_value(self, item: Node, scope: Scope) -> Origins:
        name = str(item.get("function_name", "")).lower()
        arguments = (
            [each["expression"] for each in item.get("arguments", [])] if name not in _COUNTING_FUNCTIONS else []
        )
        if name == "if":
            arguments = arguments[1:]
        elif name in _FIRST_ARGUMENT_FUNCTIONS or name in ("nullif", "lag", "lead"):
            arguments = arguments[:1]
        return union_of(self._value(each, scope) for each in arguments)

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
