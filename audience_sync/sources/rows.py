"""How do tables become Rows? Every part of a snapshot in one shape, put together in one query."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from audience_sync.errors import SourceError
from audience_sync.sources.base import Rows, Wanted
from audience_sync.sources.overrides import converted
from audience_sync.sources.problems import Problems
from audience_sync.sources.tables import Part
from audience_sync.workspace import Workspace, literal, quoted

MOST_RAW = 200
NO_NAME = "no audience name"
_NOT_CONVERTED = "not converted to its type: "


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The parts of one snapshot and what each trait's ``type:`` says."""

    parts: Sequence[Part]
    types: Mapping[str, str]
    named: bool

    def select(self) -> str:
        return " union all ".join(self._select(part) for part in self.parts)

    def rejects(self) -> str:
        return " union all ".join(self._rejects(part) for part in self.parts)

    def _select(self, part: Part) -> str:
        traits = "".join(f", {self._trait(key)} as {quoted(key)}" for key in part.traits)
        name = ", snapshot_name as name" if self.named else ""
        return f"select case when reason is null then id end as user_id{name}{traits} from ({_inner(part)})"

    def _trait(self, key: str) -> str:
        place = _place(key)
        if key not in self.types:
            return place
        value = converted(place, self.types[key])
        problem = f"error({literal(_NOT_CONVERTED + key)})"
        return f"case when {place} is not null then nullif(coalesce({value}, {problem}), 'null') end"

    def _rejects(self, part: Part) -> str:
        # PostgreSQL stores no NUL characters, not even to say that there was one.
        raw = f"replace(left({part.raw}, {MOST_RAW}), chr(0), '\ufffd')"
        numbered = f'select {part.row} as "row", {raw} as user_id, {_reason(part)} as reason from {part.scan}'
        return f'select {literal(part.file)} as file, "row", user_id, reason from ({numbered}) where reason is not null'

    def not_converted(self, workspace: Workspace, key: str) -> tuple[str, int] | None:
        """The file and row of the first value of a trait that is not what its type says."""
        for part in self.parts:
            rows = f"select {part.row} as number, {part.traits[key]} as {_place(key)} from {part.scan}"
            bad = f"{_place(key)} is not null and {converted(_place(key), self.types[key])} is null"
            first = workspace.one(f"select min(number) from ({rows}) where {bad}")[0]
            if first is not None:
                return part.file, first
        return None


def _inner(part: Part) -> str:
    name = f", nullif(trim({part.name}), '') as snapshot_name" if part.name else ""
    traits = "".join(f", {json} as {_place(key)}" for key, json in part.traits.items())
    return f"select {part.user_id} as id, {_reason(part)} as reason{name}{traits} from {part.scan}"


def _reason(part: Part) -> str:
    if part.name is None:
        return part.reason
    return f"coalesce({part.reason}, case when coalesce(trim({part.name}), '') = '' then '{NO_NAME}' end)"


def _place(key: str) -> str:
    """A name inside of the query that no other column has."""
    return quoted(f"trait {key}")


def rows_of(
    workspace: Workspace,
    wanted: Wanted,
    parts: Sequence[Part],
    problems: Problems,
    verify: Callable[[], None] = lambda: None,
    *,
    rereadable: bool = False,
) -> Rows:
    types = {key: trait.type for key, trait in wanted.traits.items() if trait.type}
    snapshot = Snapshot(parts, types, named=wanted.name is not None)

    def explain(error: Exception) -> SourceError:
        found = re.search(f"{_NOT_CONVERTED}([A-Za-z0-9_]+)", str(error))
        if found and found[1] in types:
            return _conversion_problem(workspace, snapshot, wanted, found[1])
        return problems.explain(error)

    return Rows(snapshot.select(), snapshot.rejects(), explain, verify, rereadable)


def _conversion_problem(workspace: Workspace, snapshot: Snapshot, wanted: Wanted, key: str) -> SourceError:
    column, kind = wanted.traits[key].column, snapshot.types[key]
    file, row = snapshot.not_converted(workspace, key) or (snapshot.parts[0].file, "?")
    return SourceError(
        f"{file}, row {row}, column {column!r}: the value can't be read as {kind}, which the config says it is. "
        f"Nothing of it was used. Correct the value, or the trait's type in the config."
    )
