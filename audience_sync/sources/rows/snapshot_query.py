"""Build the queries of a snapshot: valid rows, and invalid rows with their reasons."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from audience_sync.errors import SourceError
from audience_sync.sources.base import HAS_INVALID_VALUE, SnapshotRequest, SnapshotRows
from audience_sync.sources.rows.scan import SnapshotPart
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.values.casts import MAY_BE_INVALID, cast_json
from audience_sync.sources.values.json_sql import SURROGATE_PLACEHOLDER, is_invalid, reason_of
from audience_sync.workspace import Workspace, quote_identifier, quote_literal

MAX_RAW_CHARACTERS = 200
NO_LIMIT = 2**62
FILE, ROW = '"the file"', '"the row"'
NO_NAME = "no audience name"
_NOT_CONVERTED = "not converted to its type: "


@dataclass(frozen=True, slots=True)
class SnapshotQuery:
    """The parts of one snapshot, and the types and columns of its traits."""

    parts: Sequence[SnapshotPart]
    types: Mapping[str, str]
    columns: Mapping[str, str]
    named: bool

    def select(self) -> str:
        return " union all ".join(self._select(part) for part in merge_parts(self.parts))

    def invalid_rows(self) -> str:
        return " union all ".join(
            self._invalid_rows(_with_limit(part)) for part in merge_parts(self.parts, _with_position)
        )

    def _select(self, part: SnapshotPart) -> str:
        """The query of one part: an invalid value becomes NULL, and ``HAS_INVALID_VALUE`` marks its row."""
        name = ", snapshot_name as name" if self.named else ""
        traits = "".join(f", {self._trait(part, key)} as {quote_identifier(key)}" for key in part.traits)
        rows = f"select case when reason is null then id end as user_id{name}{traits} from ({_select_raw(part)})"
        if not self.may_be_invalid:
            return rows
        found = {key: is_invalid(quote_identifier(key), self._placeholders(part, key)) for key in self.may_be_invalid}
        columns = [
            "user_id",
            *(["name"] if self.named else []),
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
            if self.types.get(key) in MAY_BE_INVALID or any(key in part.may_be_invalid for part in self.parts)
        ]

    def _placeholders(self, part: SnapshotPart, key: str) -> Sequence[str]:
        return part.may_be_invalid.get(key, ())

    def _trait(self, part: SnapshotPart, key: str) -> str:
        index = _column_alias(key)
        if key not in self.types:
            return index
        value = cast_json(index, self.types[key])
        problem = f"error({quote_literal(_NOT_CONVERTED + key)})"
        value = f"nullif(coalesce({value}, {problem}), 'null')"
        if key in part.may_be_invalid:
            value = f"case when {is_invalid(index, part.may_be_invalid[key])} then {index} else {value} end"
        return f"case when {index} is not null then {value} end"

    def _invalid_rows(self, part: SnapshotPart) -> str:
        """Rows with an invalid user id, and the invalid values of the others."""
        # PostgreSQL can't store NUL characters, not even in a report about them.
        raw = f"replace(left({part.raw}, {MAX_RAW_CHARACTERS}), chr(0), '\ufffd')"
        raw = f"replace({raw}, '{SURROGATE_PLACEHOLDER}', '\ufffd')"
        file = FILE if part.file == FILE else quote_literal(part.file)
        index = f'{file} as file, {part.row} as "row"'
        numbered = f"select {index}, {raw} as user_id, {_reason(part)} as reason from {part.scan}"
        found = [f'select file, "row", user_id, reason from ({numbered}) where reason is not null']
        for key in self.may_be_invalid:
            value = f"{part.traits[key]} as {_column_alias(key)}"
            each = f"select {index}, {raw} as user_id, {_reason(part)} as id_reason, {value} from {part.scan}"
            each = f'select file, "row", user_id, id_reason, {self._trait(part, key)} as value from ({each})'
            column = quote_literal(f"column {self.columns[key]!r} ")
            reason = f"{column} || {reason_of('value', self._placeholders(part, key))}"
            rows = f'select file, "row", user_id, id_reason, {reason} as reason from ({each})'
            where = "id_reason is null and reason is not null"
            found.append(f'select file, "row", user_id, reason from ({rows}) where {where}')
        return " union all ".join(found)

    def not_converted(self, workspace: Workspace, key: str) -> tuple[str, int] | None:
        """The file and row of the first value of a trait that can't be converted to its type, or None."""
        for part in self.parts:
            rows = f"select {part.row} as number, {part.traits[key]} as {_column_alias(key)} from {part.scan}"
            bad = f"{_column_alias(key)} is not null and {cast_json(_column_alias(key), self.types[key])} is null"
            bad += f" and not ({is_invalid(_column_alias(key), self._placeholders(part, key))})"
            first = workspace.one(f"select min(number) from ({rows}) where {bad}")[0]
            if first is not None:
                return part.file, first
        return None


def _with_limit(part: SnapshotPart) -> SnapshotPart:
    """The part with a limit that drops no rows: it keeps DuckDB from copying conditions into each part of a union."""
    return replace(part, scan=f"(from {part.scan} limit {NO_LIMIT})") if part.file == FILE else part


def _without_position(part: SnapshotPart) -> SnapshotPart:
    return replace(part, scan=f"from {part.scan}")


def _with_position(part: SnapshotPart) -> SnapshotPart:
    """The part with each row's file and number as columns."""
    rows = f"select {quote_literal(part.file)} as {FILE}, {part.row} as {ROW}, * from {part.scan}"
    return replace(part, scan=rows, file=FILE, row=ROW)


def merge_parts(
    parts: Sequence[SnapshotPart], each_as: Callable[[SnapshotPart], SnapshotPart] = _without_position
) -> list[SnapshotPart]:
    """The parts, with those that differ only in their scans merged into one.

    DuckDB would plan long expressions separately for each part of a union, which costs more time and memory than
    reading the files.
    """
    found: dict[str, list[SnapshotPart]] = {}
    for index, part in enumerate(parts):
        same = replace(part, scan="", file="")
        found.setdefault(repr(same) if part.is_uniform else str(index), []).append(part)
    return [some[0] if len(some) == 1 else _union(list(map(each_as, some))) for some in found.values()]


def _union(parts: Sequence[SnapshotPart]) -> SnapshotPart:
    return replace(parts[0], scan=f"({' union all '.join(part.scan for part in parts)})")


def _select_raw(part: SnapshotPart) -> str:
    name = f", nullif(trim({part.name}), '') as snapshot_name" if part.name else ""
    traits = "".join(f", {json} as {_column_alias(key)}" for key, json in part.traits.items())
    return f"select {part.user_id} as id, {_reason(part)} as reason{name}{traits} from {part.scan}"


def _reason(part: SnapshotPart) -> str:
    if part.name is None:
        return part.reason
    return f"coalesce({part.reason}, case when coalesce(trim({part.name}), '') = '' then '{NO_NAME}' end)"


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
) -> SnapshotRows:
    types = {key: trait.type for key, trait in request.traits.items() if trait.type}
    columns = {key: trait.column for key, trait in request.traits.items()}
    snapshot = SnapshotQuery(parts, types, columns, named=request.name is not None)

    def explain(error: Exception) -> SourceError:
        found = re.search(f"{_NOT_CONVERTED}([A-Za-z0-9_]+)", str(error))
        if found and found[1] in types:
            return _conversion_problem(workspace, snapshot, request, found[1])
        return problems.explain(error)

    return SnapshotRows(
        select=snapshot.select(),
        invalid_rows=snapshot.invalid_rows(),
        explain=explain,
        verify=verify,
        rereadable=rereadable,
        may_have_invalid_values=bool(snapshot.may_be_invalid),
    )


def _conversion_problem(
    workspace: Workspace, snapshot: SnapshotQuery, request: SnapshotRequest, key: str
) -> SourceError:
    column, kind = request.traits[key].column, snapshot.types[key]
    file, row = snapshot.not_converted(workspace, key) or (snapshot.parts[0].file, "?")
    return SourceError(
        f"{file}, row {row}, column {column!r}: the value can't be read as {kind}, the type in the config. "
        f"Nothing of it was used. Correct the value, or the trait's type in the config."
    )
