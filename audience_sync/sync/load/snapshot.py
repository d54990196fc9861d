"""Load snapshots: request them from sources, check what is expected of them, and collect invalid rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig
from audience_sync.config.sections.snapshot import RowsConfig, SnapshotConfig
from audience_sync.errors import ACCEPT_ANYWAY, IncompleteError, SourceError
from audience_sync.sources.base import (
    Expectations,
    IsHeld,
    SnapshotRequest,
    SnapshotRows,
    TraitColumn,
    never_held,
)
from audience_sync.sources.rows.column_schema import schema_changes
from audience_sync.store.audiences.properties import Property
from audience_sync.sync.load.resolve_ids import resolve_ids
from audience_sync.sync.values.change_set import Location, SourceState
from audience_sync.sync.values.findings import InvalidRow
from audience_sync.sync.values.run_context import RunContext
from audience_sync.text import pluralize
from audience_sync.tracing import LOAD, stage
from audience_sync.workspace import Workspace

#: Invalid rows stored of one snapshot in one run; all are counted.
MAX_INVALID_ROWS = 10_000
#: The subject of a stage of computed traits.
TRAITS = "computed traits"


class LoadedSnapshot(Struct, frozen=True):
    """The rows of a source, which are read when they are queried, and its fingerprint."""

    rows: SnapshotRows
    fingerprint: str | None

    def source_state(self, invalid: int) -> SourceState:
        columns = self.rows.columns
        return SourceState(
            self.fingerprint,
            invalid,
            None if columns is None else json.dumps(columns, ensure_ascii=False),
            self.rows.state,
        )


def load_snapshot(
    context: RunContext,
    config: SnapshotConfig,
    keys: Collection[str],
    known: Sequence[Property | None],
    *,
    may_skip: bool = True,
    versions: str = "",
    is_held: IsHeld = never_held,
) -> LoadedSnapshot | None:
    """Load the snapshot of these audiences or traits; None if it is unchanged, and so was not read.

    ``keys``: those by which a person may accept it. ``known``: what is stored of it. ``may_skip``: whether an unchanged
    source may be skipped. ``versions``: a text that changes if the same rows mean other users. ``is_held``: for a
    source that compares. Raises SourceError.
    """
    if context.aliases.error is not None:  # without the pairs users would leave and enter again
        raise SourceError(context.aliases.error)
    with stage(LOAD, entry_name(config, keys)) as loading:
        found = _load(context, config, keys, known, may_skip=may_skip, versions=versions, is_held=is_held)
        if found is None:
            loading.mark_idle()
    return found


def entry_name(config: SnapshotConfig, keys: Collection[str]) -> str:
    """The subject of an entry's stages: the key of its audience, its `names_from`, or `computed traits`."""
    if isinstance(config, ComputedTraitsConfig):
        return TRAITS
    return (
        f"names_from {config.names_from}"
        if isinstance(config, AudienceConfig) and config.names_from
        else next(iter(keys))
    )


def _load(
    context: RunContext,
    config: SnapshotConfig,
    keys: Collection[str],
    known: Sequence[Property | None],
    *,
    may_skip: bool,
    versions: str,
    is_held: IsHeld,
) -> LoadedSnapshot | None:
    is_accepted, frame = not set(keys).isdisjoint(context.request.exceptions.accepted), frame_of(context, config, keys)
    source, place = context.sources[frame or config.source], context.settings.sources.get(config.source)
    if config.dbt_model and not is_accepted and frame is None:
        from audience_sync.dbt.readiness import require_built

        require_built(place, config)
    wanted = snapshot_request(config, is_accepted=is_accepted)
    fingerprint = source.fingerprint(wanted)
    if fingerprint is not None:
        holdout = f"holdout {config.holdout}" if isinstance(config, AudienceConfig) and config.holdout else ""
        fingerprint = " ".join(filter(None, (fingerprint, holdout, context.aliases.version, versions)))
    if may_skip and _is_unchanged(context, known, fingerprint, wanted):
        return None
    if frame is None and place is not None and place.compares:
        from audience_sync.sync.load.compared_elsewhere import comparison_of

        wanted = replace(wanted, comparison=comparison_of(context, config, keys, known, is_held))
    rows = source.read(context.workspace, wanted)
    if not is_accepted:
        _check_expectations(context.workspace, rows, config, known)
    if config.ids or context.aliases.pairs:
        rows = resolve_ids(rows, wanted, context.aliases)
    return LoadedSnapshot(rows, fingerprint)


def _is_unchanged(
    context: RunContext, known: Sequence[Property | None], fingerprint: str | None, wanted: SnapshotRequest
) -> bool:
    """Whether all of these were last loaded from the same fingerprint, so that the source need not be read.

    Frozen ones do not count. Damaged chains that may be rebuilt, and snapshots whose expected columns are not stored,
    are read.
    """
    loaded = [each for each in known if each is None or each.key not in context.stored.frozen]
    return bool(loaded and fingerprint) and all(
        each is not None
        and each.fingerprint == fingerprint
        and (each.columns or not wanted.expected.columns)
        and not context.request.resends(each.key)
        for each in loaded
    )


def snapshot_request(config: RowsConfig, *, is_accepted: bool = False) -> SnapshotRequest:
    """The request of a config entry to its source: user ids, and names of audiences or traits if it has them.

    ``is_accepted``: a person accepts the snapshot, so nothing is expected of it.
    """
    traits = config.columns if isinstance(config, ComputedTraitsConfig) else {}
    user_id, *others = (isinstance(config, SnapshotConfig) and config.ids) or [config.user_id]
    return SnapshotRequest(
        user_id=user_id,
        file=config.file,
        query=config.query,
        name=config.names_from if isinstance(config, AudienceConfig) else None,
        traits={
            **{key: TraitColumn(trait.column, trait.type) for key, trait in traits.items()},
            **{f"id {number}": TraitColumn(column, is_id=True) for number, column in enumerate(others, 2)},
        },
        encoding=config.encoding,
        sheet=config.sheet,
        partitions=config.partitions,
        probe=config.probe if isinstance(config, SnapshotConfig) else None,
        expected=Expectations() if is_accepted else _expected(config),
    )


def _expected(config: RowsConfig) -> Expectations:
    expect = config.expect if isinstance(config, SnapshotConfig) else None
    if expect is None:
        return Expectations()
    since = datetime.now(UTC) - expect.max_age if expect.max_age else None
    return Expectations(
        since=since,
        modified=expect.modified,
        marker=expect.marker,
        manifest=expect.manifest,
        columns=expect.columns is not None,
    )


def frame_of(context: RunContext, config: SnapshotConfig, keys: Collection[str]) -> str | None:
    """The name of the source with the frame of this entry; None if its own source is read."""
    if not context.frames:
        return None
    names = [*keys, *([config.names_from] if isinstance(config, AudienceConfig) and config.names_from else [])]
    return next((context.frames[name] for name in names if name in context.frames), None)


def loaded_from(context: RunContext, config: SnapshotConfig, keys: Collection[str]) -> Location:
    """Where a snapshot is loaded from, for people. The query is left out because it may name persons."""
    if frame_of(context, config, keys) is not None:
        return Location("a frame of Python", config.source)
    return Location(f"{config.file or 'a query'} of {config.source}", config.source)


def read_invalid_rows(workspace: Workspace, rows: SnapshotRows, key: str | None = None) -> tuple[InvalidRow, ...]:
    """The first invalid rows; reads the source again."""
    with rows.scanning():
        found = workspace.all(
            f"select file, row, user_id, reason from ({rows.invalid_rows}) order by all limit {MAX_INVALID_ROWS}"
        )
    return tuple(
        InvalidRow(audience_key=key, file=file, row=row, user_id=user, reason=reason)
        for file, row, user, reason in found
    )


def _check_expectations(
    workspace: Workspace, rows: SnapshotRows, config: SnapshotConfig, known: Iterable[Property | None]
) -> None:
    """Raise IncompleteError if the snapshot is not complete, SourceError if its rows can't be read.

    ``known``: the stored audiences or traits of the snapshot.
    """
    _require_columns(rows, {each.columns for each in known if each and each.columns})
    least = config.expect.rows if config.expect and config.expect.rows else 0
    if not least and rows.manifest_rows is None:
        return
    count = rows.row_count
    if count is None:
        with rows.scanning():
            count = workspace.one(f"select count(*) from ({rows.select})")[0]
    if rows.manifest_rows not in (None, count):
        raise IncompleteError(f"there are {count} rows, and the manifest has {rows.manifest_rows}")
    if count < least:
        raise IncompleteError(
            f"the snapshot has {pluralize(count, 'row')}, and `expect.rows` requires at least {least:,}"
        )


def _require_columns(rows: SnapshotRows, known: Collection[str]) -> None:
    """Stored columns may differ, if they are of several runs; equality with one of them is enough."""
    if rows.columns is None:
        return
    changed = [schema_changes(json.loads(columns), rows.columns) for columns in known]
    if changed and all(changed):
        raise IncompleteError(f"the columns are not those of the last snapshot: {changed[0]}")


def failure_message(error: Exception, keys: Iterable[str], *, of: str = "") -> str:
    """The message for a failed source of these audiences or traits, which begins with ``of``."""
    if not isinstance(error, IncompleteError):
        return str(error)
    key = next(iter(keys), None)
    accept = f" {ACCEPT_ANYWAY}audience-sync sync --accept {key}" if key else ""
    return f"{of}{error}. Nothing of it was compared or sent.{accept}"
