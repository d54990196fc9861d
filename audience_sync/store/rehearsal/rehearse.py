"""Upgrade a copy of a store, and compare its contents before and after."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from sqlalchemy import text

from audience_sync.errors import AudienceSyncError, RunInProgressError, StoreError
from audience_sync.model import PropertyKind
from audience_sync.store.connection.engine import Store
from audience_sync.store.integrity.check_store import check_store
from audience_sync.store.integrity.result import CheckResult
from audience_sync.store.maintenance import migrate
from audience_sync.store.rehearsal.contents import (
    Contents,
    Layout,
    Part,
    count_new_tables,
    layout_of,
    read_contents,
)
from audience_sync.store.rehearsal.scratch import Scratch, copied
from audience_sync.store.tables import (
    changes,
    delivered_ranges,
    delivery_cursors,
    delivery_destinations,
    open_refusals,
    refused_values,
    subscription_history,
    subscriptions,
    suppressions,
    unaccepted_calls,
    withheld_values,
)
from audience_sync.workspace import Workspace

#: What decides which calls are pending, apart from members and trait values.
PENDING = (
    *(delivery_destinations, delivery_cursors, delivered_ranges, subscriptions, subscription_history, changes),
    *(open_refusals, refused_values, unaccepted_calls, withheld_values, suppressions),
)
#: The upgrade of the copy adds its own entry.
_FORGET_DECISION = text("delete from decision_log where id = (select max(id) from decision_log)")


class Comparison(Struct, frozen=True):
    """One part before and after the upgrade; None where it does not exist."""

    name: str
    before: Part | None
    after: Part | None

    @property
    def is_same(self) -> bool:
        return self.before is None or self.before == self.after

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "before": self.before and self.before.rows,
            "after": self.after and self.after.rows,
            "same": self.is_same,
        }


class Space(Struct, frozen=True):
    """Bytes: of the store, of what the upgrade needs in addition at its peak, and free on the store's disk, if that is
    known."""

    store: int
    needed: int
    free: int | None

    @property
    def is_enough(self) -> bool:
        return self.free is None or self.needed <= self.free


class Seconds(Struct, frozen=True):
    """The duration of the copy, of the upgrade, and of the comparison of what it left with what was there."""

    copy: float
    upgrade: float
    compare: float


class Rehearsal(Struct, frozen=True, kw_only=True):
    """The upgrade of a copy. ``error``: why it failed; then nothing was compared."""

    store: str
    before: str
    after: str
    error: str | None = None
    tables: Sequence[Comparison] = ()
    views: Sequence[Comparison] = ()
    members: Comparison | None = None
    trait_values: Comparison | None = None
    pending: Comparison | None = None
    lost_columns: Sequence[str] = ()
    checks: Sequence[CheckResult] = ()
    space: Space
    seconds: Seconds

    @property
    def contents(self) -> list[Comparison]:
        """What must not change, in the order in which people ask for it."""
        return [each for each in (self.members, self.trait_values, self.pending) if each is not None]

    @property
    def differences(self) -> list[str]:
        """What the upgrade would break, as names."""
        compared = [*self.contents, *self.tables, *self.views]
        return [
            *dict.fromkeys(each.name for each in compared if not each.is_same),
            *self.lost_columns,
            *(f"db check: {each.part}" for each in self.checks if not each.good),
        ]

    @property
    def is_good(self) -> bool:
        return self.error is None and not self.differences and self.space.is_enough


@contextmanager
def rehearsed(store: Store, *, memory_limit: int) -> Iterator[tuple[Rehearsal, Scratch]]:
    """Upgrade a copy of the store; the copy is there until the end. The store is only read.

    Raises StoreError, also for a store without a schema or with one that can't be upgraded, and RunInProgressError.
    """
    revision = migrate.current(store)
    if revision is None:
        raise StoreError(
            f"The store {store.label} has no schema yet, so there is nothing to rehearse. Nothing was done.\n"
            "To create it: audience-sync db upgrade"
        )
    migrate.refuse_newer(store, revision)
    migrate.refuse_older(store, revision)
    started = time.monotonic()
    with copied(store, revision) as copy:
        copied_at = time.monotonic()
        yield _rehearse(store, copy, revision, memory_limit, copied_at - started), copy


def _rehearse(store: Store, copy: Scratch, revision: str, memory_limit: int, copy_seconds: float) -> Rehearsal:
    size, peak = copy.size(), list[int]()
    with Workspace(memory_limit) as workspace:
        began = time.monotonic()
        with copy.store.reading() as connection:
            layout = layout_of(connection, revision)
            before = read_contents(connection, workspace, layout, older=True)
        read_seconds = time.monotonic() - began
        began, error = time.monotonic(), None
        try:
            migrate.upgrade(copy.store, before_commit=lambda _: peak.append(copy.size()))
        except RunInProgressError:
            raise
        except AudienceSyncError as failed:
            error = str(failed).replace(copy.store.label, store.label)
        except Exception as failed:  # of the migration's own code; its message may quote rows
            error = f"the migration failed ({type(failed).__name__})"
        upgraded = time.monotonic() - began
        peak.append(copy.size())
        began = time.monotonic()
        found = {} if error else _compare(copy, layout, before, workspace, is_upgraded=revision != migrate.HEAD)
        checks = [] if error else list(check_store(copy.store, memory_limit=memory_limit))
        seconds = Seconds(copy_seconds, upgraded, read_seconds + time.monotonic() - began)
    needed = max(peak) - size if revision != migrate.HEAD else 0
    return Rehearsal(
        store=store.label,
        before=revision,
        after=migrate.HEAD,
        error=error,
        checks=checks,
        space=Space(size, needed, None if store.file is None else shutil.disk_usage(store.file.parent).free),
        seconds=seconds,
        **found,
    )


def _compare(
    copy: Scratch, layout: Layout, before: Contents, workspace: Workspace, *, is_upgraded: bool
) -> dict[str, Any]:
    if is_upgraded:
        with copy.store.writing() as connection:
            connection.execute(_FORGET_DECISION)
    with copy.store.reading() as connection:
        after = read_contents(connection, workspace, layout, older=False)
        new = count_new_tables(connection, layout)
    created = [Comparison(name, None, Part(rows, "")) for name, rows in new.items()]
    return {
        "tables": [*_pairs(before.tables, after.tables), *created],
        "views": _pairs(before.views, after.views),
        "members": _of_kind("members", PropertyKind.AUDIENCE, before, after),
        "trait_values": _of_kind("trait values", PropertyKind.COMPUTED_TRAIT, before, after),
        "pending": _sum(
            "pending calls", *(_only(each.tables, [of.name for of in PENDING]) for each in (before, after))
        ),
        "lost_columns": after.lost,
    }


def _pairs(before: Mapping[str, Part], after: Mapping[str, Part]) -> list[Comparison]:
    return [Comparison(name, part, after.get(name)) for name, part in before.items()]


def _of_kind(name: str, kind: PropertyKind, before: Contents, after: Contents) -> Comparison:
    def parts(each: Contents) -> dict[str, Part]:
        return {" ".join(keys): part for keys, part in each.snapshots.items() if each.kinds[keys] is kind}

    return _sum(name, parts(before), parts(after))


def _only(parts: Mapping[str, Part], names: Sequence[str]) -> dict[str, Part]:
    return {name: parts[name] for name in names if name in parts}


def _sum(name: str, before: Mapping[str, Part], after: Mapping[str, Part]) -> Comparison:
    """One part of several: equal only if each is."""
    return Comparison(name, _total(before), _total({each: after[each] for each in before if each in after}))


def _total(parts: Mapping[str, Part]) -> Part:
    checksums = " ".join(f"{name}:{part.checksum}" for name, part in sorted(parts.items()))
    return Part(
        sum(part.rows for part in parts.values()), hashlib.blake2b(checksums.encode(), digest_size=16).hexdigest()
    )
