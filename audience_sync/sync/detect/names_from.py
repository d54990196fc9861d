"""Detect the changes of many audiences from one query: one per name in the column ``names_from``, in one join."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.config.models import AudienceConfig
from audience_sync.errors import SourceError
from audience_sync.keys import KeyRefusedError, reserved_reason, snake_key
from audience_sync.model import AudienceStatus
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sources.base import IsHeld, SnapshotRows
from audience_sync.sql import Query, quote_literal
from audience_sync.store.audiences.properties import Property
from audience_sync.sync.detect.audiences import (
    Outcome,
    diff_audience,
    held_diff,
    is_certainly_held,
    not_loaded,
    result_of,
    skipped_audience,
    stored_chain,
    unchanged_audience,
)
from audience_sync.sync.diff.members import diff_several
from audience_sync.sync.diff.min_stay import absent_users
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, refusal
from audience_sync.sync.load.resolve_audiences import origin as origin_of
from audience_sync.sync.load.snapshot import entry_name, failure_message, load_snapshot, read_invalid_rows
from audience_sync.sync.values.findings import AudienceResult, Detection, RunFindings
from audience_sync.sync.values.run_context import RunContext
from audience_sync.text import form, pluralize
from audience_sync.tracing import stage
from audience_sync.workspace import Workspace


def detect_names_from(context: RunContext, config: AudienceConfig, used: Collection[str]) -> list[Outcome]:
    """Diff one audience per distinct name. A new name is a first creation, a vanished one an empty snapshot.

    ``used``: the keys of audiences that were detected before; a key belongs to the first.
    """
    origin, found = origin_of(config), Detection()
    known = {each.name: each for each in context.stored.properties.values() if each.origin == origin}
    live = [each for each in known.values() if not each.retired and each.key not in used]
    keys = [each.key for each in live]
    context.loading(f"audiences from {origin}")
    try:
        all_mine = not any(each.key in used for each in known.values())
        is_held = _guard(context, config, live)
        loaded = load_snapshot(context, config, keys, live, may_skip=all_mine, is_held=is_held)
        if loaded is None:
            return [
                each if isinstance(each, Detection) else unchanged_audience(context, each, 0)
                for each in _stored_targets(context, config, live)
            ]
        with stage("compare", entry_name(config, keys)), loaded.rows.scanning():
            rows, found = _read_names(context.workspace, loaded.rows, origin)
            there = rows.names if loaded.rows.left is None else sorted({*rows.names, *(each.name for each in live)})
            targets, skipped, warnings = _targets(context, config, known, there, used)
            found += Detection(findings=RunFindings(warnings=warnings))
            left, names = loaded.rows.left, [target.name for target in targets]
            if left is None:
                context.reader.fetch(target.stored.chain_id for target in targets if target.stored)
            chains = [stored_chain(context, target, is_compared=left is not None) for target in targets]
            diffs = diff_several(
                context.workspace,
                numbered(rows.rows, names),
                chains,
                held_out=_held_out(context, targets),
                erased=context.erased,
                gone=None if left is None else _gone_users(context, targets, numbered(left, names)),
            )
    except SourceError as error:
        message = failure_message(error, keys, of=f"audiences from {origin}: ")
        return [found, *_failed(context, config, live, mask_secrets(message, context.settings.secrets))]
    statuses = {result.status for each in skipped for result in each.findings.audiences}
    is_partial = context.request.selection.audiences is not None or not statuses <= {AudienceStatus.FROZEN}
    held = loaded.rows.held
    compared = (
        held_diff(context, target, chain, diff, loaded.source_state(diff.invalid), numbers=held[target.name])
        if target.name in held
        else diff_audience(context, target, chain, diff, loaded.source_state(diff.invalid))
        for target, chain, diff in zip(targets, chains, diffs, strict=True)
    )
    return [found, *(replace(each, is_partial=is_partial) for each in compared), *skipped]


def _guard(context: RunContext, config: AudienceConfig, live: Iterable[Property]) -> IsHeld:
    """Whether an audience is certainly held by its numbers, or is frozen, so that its users need not be fetched."""
    targets = {
        each.name: ResolvedAudience(key=each.key, name=each.name, config=config, stored=each, origin=each.origin)
        for each in live
    }

    def is_held(name: str | None, entered: int, left: int) -> bool:
        target = targets.get(name or "")
        if target is None:
            return False
        return target.key in context.stored.frozen or is_certainly_held(context, target, entered, left)

    return is_held


def _gone_users(context: RunContext, targets: Sequence[ResolvedAudience], left: str) -> Query:
    """A query for the missing users of compared snapshots: ``audience``, the index of the audience, and ``user_id``."""
    absent = (
        f" union all select {audience} as audience, user_id from {absent_users(context, target)}"
        for audience, target in enumerate(targets)
        if target.key in context.stored.absent
    )
    return Query(f"select audience, user_id from ({left}) where not ({context.erased}){''.join(absent)}")


def _held_out(context: RunContext, targets: Sequence[ResolvedAudience]) -> Query | None:
    """A query for held-out users: ``audience``, the index of the audience, and ``user_id``."""
    users = (
        (audience, query) for audience, target in enumerate(targets) if (query := context.reader.held_out(target.key))
    )
    found = " union all ".join(f"select {audience} as audience, user_id from ({query})" for audience, query in users)
    return Query(found) if found else None


def _stored_targets(
    context: RunContext, config: AudienceConfig, known: Iterable[Property]
) -> list[ResolvedAudience | Detection]:
    """The selected audiences; for one that is skipped, its result."""
    selected = context.request.selection.audiences
    targets = [
        ResolvedAudience(key=each.key, name=each.name, config=config, stored=each, origin=each.origin)
        for each in known
        if selected is None or each.key in selected
    ]
    return [skipped_audience(context, each) or each for each in targets]


def _failed(context: RunContext, config: AudienceConfig, known: Sequence[Property], message: str) -> list[Detection]:
    failed, origin = AudienceStatus.FAILED, origin_of(config)
    if not known:
        return [result_of(AudienceResult(key=origin, name=origin, status=failed, error=message))]
    return [
        each if isinstance(each, Detection) else not_loaded(context, each, failed, message)
        for each in _stored_targets(context, config, known)
    ]


class _AudienceRows(Struct, frozen=True):
    """``rows``: a query with ``name`` and ``user_id`` that may be run again; ``names``: each once, sorted."""

    rows: str
    names: Sequence[str]


def numbered(rows: str, names: Sequence[str]) -> str:
    """A query with ``audience``, the name's index in ``names``, and ``user_id``, from a query with ``name``."""
    values = ", ".join(f"({quote_literal(name)}, {audience})" for audience, name in enumerate(names)) or "(null, null)"
    return f"select audience, user_id from ({rows}) join (values {values}) names(name, audience) using (name)"


def _read_names(workspace: Workspace, rows: SnapshotRows, origin: str) -> tuple[_AudienceRows, Detection]:
    """The names, and a query that can be repeated: rows that are slow to read are copied into a Parquet file."""
    query = f"select name, user_id from ({rows.select})"
    if not rows.rereadable:
        path = quote_literal(str(workspace.path(".parquet")))
        workspace.run(f"copy ({query}) to {path} (format parquet)")
        query = f"select name, user_id from read_parquet({path})"
    counts = workspace.all(
        f"select name, count(*), count(*) filter (where user_id is null) from ({query}) group by name order by name"
    )
    has_invalid = any(invalid for _, _, invalid in counts)
    if rows.rereadable and rows.unchecked and not has_invalid:  # so the next reads need no check
        query = f"select name, user_id from ({rows.unchecked.select})"
    nameless = sum(count for name, count, _ in counts if name is None)
    skipped = f"{origin}: {pluralize(nameless, 'row')} without an audience name {form(nameless, 'was')} skipped."
    findings = RunFindings(
        warnings=(skipped,) if nameless else (),
        invalid_rows=read_invalid_rows(workspace, rows) if has_invalid else (),
    )
    return _AudienceRows(query, [name for name, _, _ in counts if name is not None]), Detection(findings=findings)


def _targets(
    context: RunContext,
    config: AudienceConfig,
    known: Mapping[str, Property],
    names: Sequence[str],
    used: Collection[str],
) -> tuple[list[ResolvedAudience], list[Detection], tuple[str, ...]]:
    """The audiences to diff, vanished ones included; the results of refused and waiting ones; warnings."""
    origin, selected = origin_of(config), context.request.selection.audiences
    targets, skipped, warnings, keys = list[ResolvedAudience](), list[Detection](), list[str](), set(used)
    vanished = [name for name, each in known.items() if name not in names and each.key not in used and not each.retired]
    for name in [*names, *vanished]:
        stored = known.get(name)
        try:
            key = stored.key if stored else snake_key(name)
        except KeyRefusedError as error:
            if selected is None:
                skipped.append(_refused(origin, name, str(error)))
            continue
        if selected is not None and key not in selected:
            continue
        if stored and stored.retired:
            warnings.append(
                f"audience '{name}' from {origin}: the key '{key}' is retired, so every run skips it. "
                "Remove it from the source; a new audience needs another name."
            )
            continue
        if reason := _refusal(context, key, stored, keys):
            skipped.append(_refused(origin, name, reason))
            continue
        keys.add(key)
        target = ResolvedAudience(key=key, name=name, config=config, stored=stored, origin=origin)
        if found := skipped_audience(context, target):
            skipped.append(found)
        else:
            targets.append(target)
    return targets, skipped, tuple(warnings)


def _refusal(context: RunContext, key: str, stored: Property | None, used: Collection[str]) -> str | None:
    if key in used or (stored is None and key in context.stored.properties):
        return f"the key '{key}' is in use by another audience or computed trait"
    if stored:
        return refusal(key, context.stored.properties)
    return reserved_reason(key, context.profile_fields)


def _refused(origin: str, name: str, reason: str) -> Detection:
    """A failed result. Its key may belong to another audience, so the result is named by origin and name."""
    message = f"the audience '{name}' from {origin} was not created: {reason}"
    return result_of(AudienceResult(key=f"{origin}={name}", name=name, status=AudienceStatus.FAILED, error=message))
