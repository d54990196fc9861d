"""Runs over one entry of computed traits on an engine under test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audience_sync.model import RunId, StateTable
from audience_sync.sources.base import Comparison, SnapshotRequest, SnapshotRows, TraitColumn
from audience_sync.sources.warehouse.dialects.base import Kind
from audience_sync.sql import quote_identifier
from audience_sync.workspace import Workspace

from .places import PREFIX, Place

Row = tuple[Any, ...]
KINDS: Mapping[str, Kind] = {"plan": Kind.TEXT, "visits": Kind.INTEGER, "score": Kind.DOUBLE, "since": Kind.DATE}


@dataclass
class TraitRuns:
    """Runs over one entry of computed traits, with the state that the store would keep."""

    place: Place
    workspace: Workspace
    run: int = 0
    state: list[StateTable] = field(default_factory=list)
    query: str = ""
    traits: Sequence[str] = tuple(KINDS)

    def write(self, rows: Iterable[Row]) -> None:
        self.query = f"select * from {self.place.write('people', rows, **KINDS)}"

    def sync(self, *, left_out: Sequence[str] = (), accepts: bool = True, reread: Sequence[str] = ()) -> SnapshotRows:
        self.run += 1
        if self.state:
            self.state[-1] = self.state[-1]._replace(reread=tuple(reread))
        rows = self.read(RunId(self.run))
        assert rows.state is not None
        if accepts:
            before = [each._replace(left_out=each.left_out if left_out else ()) for each in rows.state.before]
            new = [rows.state.new._replace(left_out=tuple(left_out))] if rows.state.new else []
            self.state = [*before, *new]
        return rows

    def read(self, run: RunId | None) -> SnapshotRows:
        comparison = Comparison(
            source="warehouse",
            mend="audience-sync resync",
            state=tuple(self.state),
            prefix=PREFIX,
            run=run,
            in_use=frozenset(each.name for each in self.state),
            counts_rows=True,
        )
        traits = {name: TraitColumn(name) for name in self.traits}
        request = SnapshotRequest(user_id="user_id", query=self.query, traits=traits, comparison=comparison)
        return self.place.source.read(self.workspace, request)

    def found(self, rows: SnapshotRows) -> dict[str, set[Row]]:
        """The rows of each user who may have changed, without a row for those who left."""
        traits = ", ".join(map(quote_identifier, self.traits))
        select = f"select user_id, {traits} from ({rows.select}) where user_id is not null"
        users: dict[str, set[Row]] = {}
        for user, *values in self.workspace.all(select):
            users.setdefault(user, set()).add(tuple(values))
        left = self.workspace.all(f"{rows.left}") if rows.left is not None else []
        return {user: set() for (user,) in left} | users
