"""List the largest changes of a run: audiences and computed traits by the number of users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from audience_sync.model import PropertyKind
from audience_sync.store.snapshots.chain import trait_column
from audience_sync.sync.values.change_set import AudienceResult, ChainChange, ChangeSet
from audience_sync.workspace import Workspace, quote_literal


@dataclass(frozen=True, slots=True)
class ChangeSize:
    """``users``: the number whose membership or value changes. ``before``: the members before; None on a first creation
    and for a trait."""

    key: str
    kind: PropertyKind
    users: int
    before: int | None = None

    @property
    def share(self) -> float | None:
        """The changed users as a share of the members before; over 1 if an audience more than doubles."""
        return self.users / self.before if self.before else None

    def as_json(self) -> dict[str, Any]:
        share = None if self.share is None else round(self.share, 4)
        return {"key": self.key, "kind": self.kind, "users": self.users, "share": share}


def changes_by_size(workspace: Workspace, changes: ChangeSet) -> list[ChangeSize]:
    """All changes, the largest first."""
    found = [each for each in map(_audience, changes.audiences) if each.users]
    for change in changes.changes:
        if change.chain.kind is PropertyKind.COMPUTED_TRAIT:
            found += [ChangeSize(key, PropertyKind.COMPUTED_TRAIT, users) for key, users in _traits(workspace, change)]
    return sorted(found, key=lambda each: (-each.users, each.key))


def _audience(finding: AudienceResult) -> ChangeSize:
    return ChangeSize(finding.key, PropertyKind.AUDIENCE, finding.entered + finding.left, finding.before or None)


def _traits(workspace: Workspace, change: ChainChange) -> Iterator[tuple[str, int]]:
    if change.log is not None:
        yield from workspace.all(f"select key, count(*) from {change.log} group by key")
        return
    (first,) = change.new
    file = quote_literal(str(first.path))
    for key in change.chain.keys:
        yield key, workspace.one(f"select count({trait_column(key)}) from read_parquet({file})")[0]
