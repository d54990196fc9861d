"""Check that dbt has built the models of an entry, or wait until it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from audience_sync.cancellation import INTERVAL, check_cancelled
from audience_sync.config.read.units import duration_text
from audience_sync.config.sections.snapshot import DbtConfig, SnapshotConfig, SourceConfig
from audience_sync.dbt.names import name_of
from audience_sync.dbt.run_results import (
    NodeResult,
    Results,
    manifest_of,
    node_ids,
    read_results,
    shown_path,
    tested_nodes,
)
from audience_sync.errors import IncompleteError
from audience_sync.text import nearest, utc_time

#: The states of a model that is built. `reused`: nothing upstream has changed since it was.
_BUILT = frozenset({"success", "reused"})
#: Seconds between two looks at files, and at files in a bucket.
_POLL, _POLL_REMOTE = 1.0, 15.0


class Unbuilt(Struct, frozen=True):
    """Why a model may not be loaded. ``may_come``: a later result may be right, so that a run can wait for it."""

    reason: str
    may_come: bool


def require_built(source: SourceConfig | None, entry: SnapshotConfig) -> None:
    """Raise IncompleteError if dbt has not built the models of this entry, or too long ago."""
    if source is None or source.dbt is None or not entry.dbt_model:
        return
    if unbuilt := find_unbuilt(source.dbt, entry.dbt_model, datetime.now(UTC)):
        raise IncompleteError(unbuilt.reason)


def wait_until_built(
    entries: Iterable[tuple[SourceConfig, SnapshotConfig]],
    waiting: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = lambda seconds: sleep_or_cancel(seconds),
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until dbt has built the models of all these entries, each at most as long as its source's `dbt.wait`.

    ``waiting`` receives what the run waits for, in words. A model that failed is not waited for. Raises nothing: what
    is still missing is an error of its entry when that is loaded.
    """
    started, last = clock(), None
    for source, entry in entries:
        dbt = source.dbt
        if dbt is None or dbt.wait is None or not entry.dbt_model:
            continue
        while (unbuilt := find_unbuilt(dbt, entry.dbt_model, datetime.now(UTC))) and unbuilt.may_come:
            left = started + dbt.wait.total_seconds() - clock()
            if left <= 0:
                break
            if unbuilt.reason != last:
                waiting(f"waiting for dbt, up to {duration_text(dbt.wait)}: {unbuilt.reason}")
                last = unbuilt.reason
            sleep(min(left, _POLL_REMOTE if "://" in dbt.run_results else _POLL))


def sleep_or_cancel(seconds: float) -> None:
    """Sleep. Raises KeyboardInterrupt if the run is cancelled meanwhile."""
    until = time.monotonic() + seconds
    while (rest := until - time.monotonic()) > 0:
        check_cancelled()
        time.sleep(min(rest, INTERVAL))


def find_unbuilt(dbt: DbtConfig, models: Sequence[str], now: datetime) -> Unbuilt | None:
    """The first of these models that is not built, or that dbt built before ``max_age``; None if all are right."""
    where = shown_path(dbt.run_results)
    try:
        results = read_results(dbt.run_results)
    except ValueError as error:  # dbt does not replace the file at once
        return Unbuilt(f"{where} is not what dbt writes ({error}): it may be incomplete", may_come=True)
    except OSError as error:
        return Unbuilt(f"{where} can't be read: {error.strerror or error}", may_come=True)
    if not results.files:
        return Unbuilt(f"there is no {where}, which dbt writes when it has built something", may_come=True)
    return next(filter(None, (_unbuilt(model, results, dbt.max_age, now) for model in models)), None)


def _unbuilt(model: str, results: Results, max_age: timedelta | None, now: datetime) -> Unbuilt | None:
    matching = results.ids.get(model, ())
    if len(matching) > 1:
        return Unbuilt(f"dbt model '{model}' may be {' or '.join(matching)}: name one of them", may_come=False)
    if not matching:
        return _not_there(model, results)
    found = results.built[matching[0]]
    run, status = found.file.run, found.result.status.lower()
    of = f"(`dbt {run.command}` of {utc_time(found.at)}, {found.file.shown})"
    if max_age is not None and found.at < now - max_age:
        reason = f"dbt model '{model}' is more than {duration_text(max_age)} old, which is its `dbt.max_age` {of}"
        return Unbuilt(reason, may_come=True)
    if status not in _BUILT:
        return Unbuilt(f"dbt model '{model}' ended as '{status}' {of}", may_come=False)
    if option := run.partial_by:
        what = "without rows" if option == "--empty" else "with a part of its rows"
        return Unbuilt(f"dbt model '{model}' was built {what}, by `{option}` {of}", may_come=False)
    if test := _failed_test(found, results):
        return Unbuilt(f"dbt model '{model}' {test}", may_come=False)
    return None


def _not_there(model: str, results: Results) -> Unbuilt:
    """A name that the project has is one of another command; any other may be misspelled."""
    file = max(results.files, key=lambda each: each.run.metadata.generated_at)
    of = f"`dbt {file.run.command}` of {utc_time(file.run.metadata.generated_at)}, {file.shown}"
    reason = f"dbt's last command built no model '{model}' ({of})"
    try:
        ids = node_ids(file)
    except (OSError, ValueError):
        ids = results.ids
    meant = None if model in ids else nearest(model, map(name_of, results.built))
    return Unbuilt(f"{reason}. Did you mean `{meant}`?" if meant else reason, may_come=meant is None)


def _failed_test(found: NodeResult, results: Results) -> str | None:
    """The reason if a test of the model has failed since it was built, or None. The manifest has the tests' models."""
    for test in results.failed_tests:
        if test.at < found.at:
            continue
        name = f"the test '{name_of(test.result.unique_id)}'"
        of = f"(`dbt {test.file.run.command}` of {utc_time(test.at)}, {test.file.shown})"
        try:
            nodes = tested_nodes(test.file).get(test.result.unique_id, ())
        except (OSError, ValueError) as error:
            manifest = shown_path(manifest_of(test.file))
            why = f"{manifest}, which has the models of each test, can't be read ({error})"
            return f"may have failed {name} {of}: {why}"
        if found.result.unique_id in nodes:
            return f"has failed {name} {of}"
    return None
