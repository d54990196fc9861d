"""Build the queries of a snapshot: valid rows, and invalid rows with their reasons."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.errors import SourceError
from audience_sync.sources.base import HAS_INVALID_VALUE, SnapshotRequest, SnapshotRows, UncheckedRows
from audience_sync.sources.rows.scan import SnapshotPart
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.values.casts import MAY_BE_INVALID, cast_json
from audience_sync.sources.values.json_sql import SURROGATE_PLACEHOLDER, is_invalid, reason_of
from audience_sync.sources.values.user_ids import valid_id
from audience_sync.sql import Expression, Relation, quote_identifier, quote_literal
from audience_sync.workspace import Workspace

MAX_RAW_CHARACTERS = 200
NO_LIMIT = 2**62
FILE, ROW = Expression('"the file"'), Expression('"the row"')
NO_NAME = "no audience name"
_NOT_CONVERTED = "not converted to its type: "


class SnapshotQuery(Struct, frozen=True):
    """A request, and the parts that its rows come from."""

    request: SnapshotRequest
    parts: Sequence[SnapshotPart]

    def select(self) -> str:
        return " union all ".join(self._select(part) for part in merge_parts(self.parts))

    def unchecked(self, row_count: int | None) -> UncheckedRows | None:
        """The rows with unchecked ids; None if a value may be invalid, or an id although its text is valid."""
        if self.may_be_invalid or not all(part.is_checked_by_text for part in self.parts):
            return None
        select = " union all ".join(
            f"select user_id{_name(part)}{self._traits(part)} "
            f"from (select {part.user_id} as user_id{_raw_name(part)}{_raw_traits(part)} from {part.scan})"
            for part in merge_parts(self.parts)
        )
        valid = valid_id(Expression("user_id"))
        if self.request.name:
            valid = Expression(f"case when name is not null then {valid} end")
        return UncheckedRows(select=select, valid_id=valid, row_count=row_count)

    def invalid_rows(self) -> str:
        return " union all ".join(self._invalid_rows(part) for part in merge_parts(self.parts, with_position=True))

    def _select(self, part: SnapshotPart) -> str:
        """The query of one part: an invalid value becomes NULL, and ``HAS_INVALID_VALUE`` marks its row."""
        raw = f"{part.user_id} as id, {_reason(part)} as reason{_raw_name(part)}{_raw_traits(part)}"
        rows = (
            f"select case when reason is null then id end as user_id{_name(part)}{self._traits(part)} "
            f"from (select {raw} from {part.scan})"
        )
        if not self.may_be_invalid:
            return rows
        found = {key: is_invalid(quote_identifier(key), self._placeholders(part, key)) for key in self.may_be_invalid}
        columns = [
            "user_id",
            *(["name"] if part.name else []),
            *(
                f"case when {found[key]} then null else {quote_identifier(key)} end as {quote_identifier(key)}"
                if key in found
                else quote_identifier(key)
                for key in part.traits
            ),
        ]
        any_invalid = " or ".join(f"coalesce({condition}, false)" for condition in found.values())
        has_invalid = f"user_id is not null and ({any_invalid}) as {quote_identifier(HAS_INVALID_VALUE)}"
        return f"select {', '.join(columns)}, {has_invalid} from ({rows})"

    @property
    def may_be_invalid(self) -> list[str]:
        """The traits that may have invalid values."""
        return [
            key
            for key in self.parts[0].traits
            if self.request.traits[key].type in MAY_BE_INVALID or any(key in part.may_be_invalid for part in self.parts)
        ]

    def _placeholders(self, part: SnapshotPart, key: str) -> Sequence[str]:
        return part.may_be_invalid.get(key, ())

    def _traits(self, part: SnapshotPart) -> str:
        return "".join(f", {self._trait(part, key)} as {quote_identifier(key)}" for key in part.traits)

    def _trait(self, part: SnapshotPart, key: str) -> str:
        raw = _column_alias(key)
        wanted_type = self.request.traits[key].type
        if wanted_type is None:
            return raw
        value = cast_json(raw, wanted_type)
        problem = f"error({quote_literal(_NOT_CONVERTED + key)})"
        value = f"nullif(coalesce({value}, {problem}), 'null')"
        if key in part.may_be_invalid:
            value = f"case when {is_invalid(raw, part.may_be_invalid[key])} then {raw} else {value} end"
        return f"case when {raw} is not null then {value} end"

    def _invalid_rows(self, part: SnapshotPart) -> str:
        """Rows with an invalid user id, and the invalid values of the others."""
        # PostgreSQL can't store NUL characters, not even in a report about them.
        raw = f"replace(left({part.raw}, {MAX_RAW_CHARACTERS}), chr(0), '\ufffd')"
        raw = f"replace({raw}, '{SURROGATE_PLACEHOLDER}', '\ufffd')"
        file, scan = quote_literal(part.file), part.scan
        if part.file == FILE:  # a limit that drops no rows keeps DuckDB from copying conditions into each part
            file, scan = FILE, Relation(f"(from {scan} limit {NO_LIMIT})")
        position = f'{file} as file, {part.row} as "row"'
        numbered = f"select {position}, {raw} as user_id, {_reason(part)} as reason from {scan}"
        found = [f'select file, "row", user_id, reason from ({numbered}) where reason is not null']
        for key in self.may_be_invalid:
            value = f"{part.traits[key]} as {_column_alias(key)}"
            rows = f"select {position}, {raw} as user_id, {_reason(part)} as id_reason, {value} from {scan}"
            rows = f'select file, "row", user_id, id_reason, {self._trait(part, key)} as value from ({rows})'
            column = quote_literal(f"column {self.request.traits[key].column!r} ")
            reason = f"{column} || {reason_of('value', self._placeholders(part, key))}"
            rows = f'select file, "row", user_id, id_reason, {reason} as reason from ({rows})'
            where = "id_reason is null and reason is not null"
            found.append(f'select file, "row", user_id, reason from ({rows}) where {where}')
        return " union all ".join(found)

    def conversion_error(self, workspace: Workspace, key: str) -> SourceError:
        """The error about the first value of a trait that can't be converted to its type."""
        trait = self.request.traits[key]
        file, row = self._first_not_converted(workspace, key) or (self.parts[0].file, "?")
        return SourceError(
            f"{file}, row {row}, column {trait.column!r}: the value can't be read as {trait.type}, the type in the "
            "config. Nothing of it was used. Correct the value, or the trait's type in the config."
        )

    def _first_not_converted(self, workspace: Workspace, key: str) -> tuple[str, int] | None:
        for part in self.parts:
            rows = f"select {part.row} as number, {part.traits[key]} as {_column_alias(key)} from {part.scan}"
            raw, placeholders = _column_alias(key), self._placeholders(part, key)
            failed = f"{cast_json(raw, self.request.traits[key].type or '')} is null"
            where = f"{raw} is not null and {failed} and not ({is_invalid(raw, placeholders)})"
            first = workspace.one(f"select min(number) from ({rows}) where {where}")[0]
            if first is not None:
                return part.file, first
        return None


def merge_parts(parts: Sequence[SnapshotPart], *, with_position: bool = False) -> list[SnapshotPart]:
    """The parts, with those that differ only in their scans merged into one.

    ``with_position``: the merged part has each row's file and number as columns.

    DuckDB would plan long expressions separately for each part of a union, which costs more time and memory than
    reading the files.
    """
    found: dict[str, list[SnapshotPart]] = {}
    for index, part in enumerate(parts):
        same = replace(part, scan=Relation(""), file="")
        found.setdefault(repr(same) if part.is_uniform else str(index), []).append(part)
    return [same[0] if len(same) == 1 else _merge(same, with_position=with_position) for same in found.values()]


def _merge(parts: Sequence[SnapshotPart], *, with_position: bool) -> SnapshotPart:
    if not with_position:
        return replace(parts[0], scan=Relation(f"({' union all '.join(f'from {part.scan}' for part in parts)})"))
    rows = (f"select {quote_literal(part.file)} as {FILE}, {part.row} as {ROW}, * from {part.scan}" for part in parts)
    return replace(parts[0], scan=Relation(f"({' union all '.join(rows)})"), file=FILE, row=ROW)


def _reason(part: SnapshotPart) -> str:
    if part.name is None:
        return part.reason
    return f"coalesce({part.reason}, case when coalesce(trim({part.name}), '') = '' then '{NO_NAME}' end)"


def _raw_name(part: SnapshotPart) -> str:
    return f", nullif(trim({part.name}), '') as snapshot_name" if part.name else ""


def _name(part: SnapshotPart) -> str:
    return ", snapshot_name as name" if part.name else ""


def _raw_traits(part: SnapshotPart) -> str:
    return "".join(f", {json} as {_column_alias(key)}" for key, json in part.traits.items())


def _column_alias(key: str) -> str:
    """A name within the query that no other column has."""
    return quote_identifier(f"trait {key}")


def snapshot_rows(
    workspace: Workspace,
    request: SnapshotRequest,
    parts: Sequence[SnapshotPart],
    problems: ScanErrors,
    verify: Callable[[], None] = lambda: None,
    *,
    rereadable: bool = False,
    row_count: int | None = None,
) -> SnapshotRows:
    """The snapshot of these parts. ``problems`` translates errors of the scan; ``verify`` is called after it.

    ``row_count``: the number of rows, if they were counted and can be read again.
    """
    snapshot = SnapshotQuery(request, parts)

    def explain(error: Exception) -> SourceError:
        found = re.search(f"{_NOT_CONVERTED}([A-Za-z0-9_]+)", str(error))
        if found and found[1] in request.traits and request.traits[found[1]].type:
            return snapshot.conversion_error(workspace, found[1])
        return problems.explain(error)

    return SnapshotRows(
        select=snapshot.select(),
        invalid_rows=snapshot.invalid_rows(),
        explain=explain,
        verify=verify,
        rereadable=rereadable,
        may_have_invalid_values=bool(snapshot.may_be_invalid),
        unchecked=snapshot.unchecked(row_count),
    )
