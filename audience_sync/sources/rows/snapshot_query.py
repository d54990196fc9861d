"""How do tables become Rows? Every part of a snapshot in one shape, put together in one query."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from audience_sync.errors import SourceError
from audience_sync.sources.base import ODD, SnapshotRequest, SnapshotRows
from audience_sync.sources.rows.scan import SnapshotPart
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.values.casts import MAY_REJECT, cast_json
from audience_sync.sources.values.json_sql import HALF_PAIR, is_rejected, reason_of
from audience_sync.workspace import Workspace, quote_identifier, quote_literal

MOST_RAW = 200
EVERY_ROW = 2**62
FILE, ROW = '"the file"', '"the row"'
NO_NAME = "no audience name"
_NOT_CONVERTED = "not converted to its type: "


@dataclass(frozen=True, slots=True)
class SnapshotQuery:
    """The parts of one snapshot and what each trait's ``type:`` says."""

    parts: Sequence[SnapshotPart]
    types: Mapping[str, str]
    columns: Mapping[str, str]
    named: bool

    def select(self) -> str:
        return " union all ".join(self._select(part) for part in together(self.parts))

    def rejects(self) -> str:
        return " union all ".join(self._rejects(_held_apart(part)) for part in together(self.parts, _numbered))

    def _select(self, part: SnapshotPart) -> str:
        """A rejected value is none, and ``ODD`` says that there was one in the row."""
        name = ", snapshot_name as name" if self.named else ""
        traits = "".join(f", {self._trait(part, key)} as {quote_identifier(key)}" for key in part.traits)
        rows = f"select case when reason is null then id end as user_id{name}{traits} from ({_inner(part)})"
        if not self.odd:
            return rows
        found = {key: is_rejected(quote_identifier(key), self._marks(part, key)) for key in self.odd}
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
        any_odd = " or ".join(f"coalesce({condition}, false)" for condition in found.values())
        return (
            f"select {', '.join(columns)}, user_id is not null and ({any_odd}) as {quote_identifier(ODD)} from ({rows})"
        )

    @property
    def odd(self) -> list[str]:
        """The traits that may have values that are rejected."""
        return [
            key
            for key in self.parts[0].traits
            if self.types.get(key) in MAY_REJECT or any(key in part.odd for part in self.parts)
        ]

    def _marks(self, part: SnapshotPart, key: str) -> Sequence[str]:
        return part.odd.get(key, ())

    def _trait(self, part: SnapshotPart, key: str) -> str:
        place = _column_alias(key)
        if key not in self.types:
            return place
        value = cast_json(place, self.types[key])
        problem = f"error({quote_literal(_NOT_CONVERTED + key)})"
        value = f"nullif(coalesce({value}, {problem}), 'null')"
        if key in part.odd:
            value = f"case when {is_rejected(place, part.odd[key])} then {place} else {value} end"
        return f"case when {place} is not null then {value} end"

    def _rejects(self, part: SnapshotPart) -> str:
        """Rows without a usable user id, and the rejected values of the others."""
        # PostgreSQL stores no NUL characters, not even to say that there was one.
        raw = f"replace(left({part.raw}, {MOST_RAW}), chr(0), '\ufffd')"
        raw = f"replace({raw}, '{HALF_PAIR}', '\ufffd')"
        file = FILE if part.file == FILE else quote_literal(part.file)
        place = f'{file} as file, {part.row} as "row"'
        numbered = f"select {place}, {raw} as user_id, {_reason(part)} as reason from {part.scan}"
        found = [f'select file, "row", user_id, reason from ({numbered}) where reason is not null']
        for key in self.odd:
            value = f"{part.traits[key]} as {_column_alias(key)}"
            each = f"select {place}, {raw} as user_id, {_reason(part)} as id_reason, {value} from {part.scan}"
            each = f'select file, "row", user_id, id_reason, {self._trait(part, key)} as value from ({each})'
            column = quote_literal(f"column {self.columns[key]!r} ")
            reason = f"{column} || {reason_of('value', self._marks(part, key))}"
            rows = f'select file, "row", user_id, id_reason, {reason} as reason from ({each})'
            where = "id_reason is null and reason is not null"
            found.append(f'select file, "row", user_id, reason from ({rows}) where {where}')
        return " union all ".join(found)

    def not_converted(self, workspace: Workspace, key: str) -> tuple[str, int] | None:
        """The file and row of the first value of a trait that is not what its type says."""
        for part in self.parts:
            rows = f"select {part.row} as number, {part.traits[key]} as {_column_alias(key)} from {part.scan}"
            bad = f"{_column_alias(key)} is not null and {cast_json(_column_alias(key), self.types[key])} is null"
            bad += f" and not ({is_rejected(_column_alias(key), self._marks(part, key))})"
            first = workspace.one(f"select min(number) from ({rows}) where {bad}")[0]
            if first is not None:
                return part.file, first
        return None


def _held_apart(part: SnapshotPart) -> SnapshotPart:
    """With a limit that holds nothing back, so that DuckDB doesn't put each condition into each part of a union."""
    return replace(part, scan=f"(from {part.scan} limit {EVERY_ROW})") if part.file == FILE else part


def _plain(part: SnapshotPart) -> SnapshotPart:
    return replace(part, scan=f"from {part.scan}")


def _numbered(part: SnapshotPart) -> SnapshotPart:
    """With each row's file and number as columns."""
    rows = f"select {quote_literal(part.file)} as {FILE}, {part.row} as {ROW}, * from {part.scan}"
    return replace(part, scan=rows, file=FILE, row=ROW)


def together(
    parts: Sequence[SnapshotPart], each_as: Callable[[SnapshotPart], SnapshotPart] = _plain
) -> list[SnapshotPart]:
    """Parts that differ in their scans alone as one: DuckDB plans long expressions for each part of a union again,
    which takes more time and memory than reading the files."""
    found: dict[str, list[SnapshotPart]] = {}
    for place, part in enumerate(parts):
        same = replace(part, scan="", file="")
        found.setdefault(repr(same) if part.is_uniform else str(place), []).append(part)
    return [some[0] if len(some) == 1 else _union(list(map(each_as, some))) for some in found.values()]


def _union(parts: Sequence[SnapshotPart]) -> SnapshotPart:
    return replace(parts[0], scan=f"({' union all '.join(part.scan for part in parts)})")


def _inner(part: SnapshotPart) -> str:
    name = f", nullif(trim({part.name}), '') as snapshot_name" if part.name else ""
    traits = "".join(f", {json} as {_column_alias(key)}" for key, json in part.traits.items())
    return f"select {part.user_id} as id, {_reason(part)} as reason{name}{traits} from {part.scan}"


def _reason(part: SnapshotPart) -> str:
    if part.name is None:
        return part.reason
    return f"coalesce({part.reason}, case when coalesce(trim({part.name}), '') = '' then '{NO_NAME}' end)"


def _column_alias(key: str) -> str:
    """A name inside of the query that no other column has."""
    return quote_identifier(f"trait {key}")


def snapshot_rows(
    workspace: Workspace,
    wanted: SnapshotRequest,
    parts: Sequence[SnapshotPart],
    problems: ScanErrors,
    verify: Callable[[], None] = lambda: None,
    *,
    rereadable: bool = False,
) -> SnapshotRows:
    types = {key: trait.type for key, trait in wanted.traits.items() if trait.type}
    columns = {key: trait.column for key, trait in wanted.traits.items()}
    snapshot = SnapshotQuery(parts, types, columns, named=wanted.name is not None)

    def explain(error: Exception) -> SourceError:
        found = re.search(f"{_NOT_CONVERTED}([A-Za-z0-9_]+)", str(error))
        if found and found[1] in types:
            return _conversion_problem(workspace, snapshot, wanted, found[1])
        return problems.explain(error)

    return SnapshotRows(
        snapshot.select(), snapshot.rejects(), explain, verify, rereadable, may_reject_values=bool(snapshot.odd)
    )


def _conversion_problem(
    workspace: Workspace, snapshot: SnapshotQuery, wanted: SnapshotRequest, key: str
) -> SourceError:
    column, kind = wanted.traits[key].column, snapshot.types[key]
    file, row = snapshot.not_converted(workspace, key) or (snapshot.parts[0].file, "?")
    return SourceError(
        f"{file}, row {row}, column {column!r}: the value can't be read as {kind}, which the config says it is. "
        f"Nothing of it was used. Correct the value, or the trait's type in the config."
    )
