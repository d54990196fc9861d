"""Check that dbt has built the models of an entry, from the results that it keeps in ``run_results.json``."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from audience_sync.cancellation import INTERVAL, check_cancelled
from audience_sync.config.read.units import duration_text
from audience_sync.config.sections.snapshot import DbtConfig, SnapshotConfig, SourceConfig
from audience_sync.dbt.names import KINDS, find_ids, forms_of, kind_of
from audience_sync.errors import IncompleteError
from audience_sync.remote import missing_package, open_file_system
from audience_sync.text import display_path, nearest, utc_time

#: The commands that build models. Others, such as `compile` and `test`, have results of models or none.
_BUILDING = frozenset({"build", "clone", "retry", "run", "seed", "snapshot"})
#: The states of a model that is built. `reused`: nothing upstream has changed since it was.
_BUILT = frozenset({"success", "reused"})
_TESTS, _TEST_FAILED = ("test", "unit_test"), frozenset({"fail", "error"})
#: Seconds between two looks at files, and at files in a bucket.
_POLL, _POLL_REMOTE = 1.0, 15.0


class Timing(Struct, frozen=True):
    """A part of the work on a node."""

    completed_at: str | None = None


class Result(Struct, frozen=True):
    """What became of one node: a model, a seed, a snapshot, a test."""

    unique_id: str
    status: str
    timing: tuple[Timing, ...] | None = None


class Metadata(Struct, frozen=True):
    generated_at: datetime


class RunResults(Struct, frozen=True):
    """The file: the results of one dbt command, in no order. dbt's documentation has the schema, of version 6."""

    metadata: Metadata
    results: tuple[Result, ...]
    args: dict[str, Any] | None = None

    @property
    def command(self) -> str:
        return str((self.args or {}).get("which") or "build")


class Unbuilt(Struct, frozen=True):
    """Why a model may not be loaded. ``may_come``: a later result may be right, so that a run can wait for it."""

    reason: str
    may_come: bool


class _Found(Struct, frozen=True):
    """The newest result of a model: when it was built, in which file."""

    result: Result
    at: datetime
    file: str
    run: RunResults


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
    where = dbt.run_results if "://" in dbt.run_results else display_path(dbt.run_results)
    try:
        files = list(_read_files(dbt.run_results))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # dbt does not replace the file at once
        return Unbuilt(f"{where} is not what dbt writes ({error}): it may be incomplete", may_come=True)
    except OSError as error:
        return Unbuilt(f"{where} can't be read: {error.strerror or error}", may_come=True)
    if not files:
        return Unbuilt(f"there is no {where}, which dbt writes when it has built something", may_come=True)
    return next(filter(None, (_unbuilt(model, files, dbt.max_age, now) for model in models)), None)


def _unbuilt(
    model: str, files: Sequence[tuple[str, RunResults]], max_age: timedelta | None, now: datetime
) -> Unbuilt | None:
    building = [(name, run) for name, run in files if run.command in _BUILDING]
    ids = {each.unique_id for _, run in building for each in run.results}
    matching = find_ids(model, sorted(ids))
    if len(matching) > 1:
        return Unbuilt(f"dbt model '{model}' may be {' or '.join(matching)}: name one of them", may_come=False)
    if not matching:
        return _not_there(model, files, ids)
    found = max(_results_of(matching[0], building), key=lambda each: each.at)
    run, status = found.run, found.result.status.lower()
    of = f"(`dbt {run.command}` of {utc_time(found.at)}, {found.file})"
    if max_age is not None and found.at < now - max_age:
        reason = f"dbt model '{model}' is more than {duration_text(max_age)} old, which is its `dbt.max_age` {of}"
        return Unbuilt(reason, may_come=True)
    if status not in _BUILT:
        return Unbuilt(f"dbt model '{model}' ended as '{status}' {of}", may_come=False)
    if (run.args or {}).get("empty"):
        return Unbuilt(f"dbt model '{model}' was built without rows, by `--empty` {of}", may_come=False)
    failed = [each.unique_id for each in run.results if _is_failed_test(each)]
    if failed and (test := _test_of(matching[0], failed, found.file)):
        return Unbuilt(f"dbt model '{model}' {test} {of}", may_come=False)
    return None


def _not_there(model: str, files: Sequence[tuple[str, RunResults]], ids: Iterable[str]) -> Unbuilt:
    name, newest = max(files, key=lambda each: each[1].metadata.generated_at)
    of = f"`dbt {newest.command}` of {utc_time(newest.metadata.generated_at)}, {name}"
    if newest.command not in _BUILDING:
        return Unbuilt(f"dbt's last command built no model '{model}' ({of})", may_come=True)
    names = {forms_of(each)[0] for each in ids if kind_of(each) in KINDS}
    meant = nearest(model, names)
    return Unbuilt(
        f"dbt's last command built no model '{model}' ({of}){f'. Did you mean `{meant}`?' if meant else ''}",
        may_come=meant is None,
    )


def _results_of(unique_id: str, files: Iterable[tuple[str, RunResults]]) -> Iterator[_Found]:
    for name, run in files:
        for each in run.results:
            if each.unique_id == unique_id:
                times = [timing.completed_at for timing in each.timing or () if timing.completed_at]
                at = _time(max(times)) if times else run.metadata.generated_at
                yield _Found(each, at if at.tzinfo else at.replace(tzinfo=UTC), name, run)


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise msgspec.DecodeError(f"{text!r} is not a time") from None


def _is_failed_test(result: Result) -> bool:
    return kind_of(result.unique_id) in _TESTS and result.status.lower() in _TEST_FAILED


def _test_of(unique_id: str, failed: Sequence[str], file: str) -> str | None:
    """The reason if a test of the model failed, or None. Only the manifest has the models of a test."""
    manifest = os.path.join(os.path.dirname(file), "manifest.json")
    try:
        tests = _tested_nodes(manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        why = f"{manifest}, which has the models of each test, can't be read ({error})"
        return f"may have failed the test '{forms_of(failed[0])[0]}': {why}"
    for each in failed:
        if unique_id in tests.get(each, ()):
            return f"has failed the test '{forms_of(each)[0]}'"
    return None


class _DependsOn(Struct, frozen=True):
    nodes: tuple[str, ...] = ()


class _Node(Struct, frozen=True):
    attached_node: str | None = None
    depends_on: _DependsOn | None = None


class _Manifest(Struct, frozen=True):
    nodes: dict[str, _Node]
    unit_tests: dict[str, _Node] | None = None


def _tested_nodes(manifest: str) -> dict[str, tuple[str, ...]]:
    """The nodes that each test is of, by its id: those it is attached to, or those that it reads."""
    with open(manifest, "rb") as file:
        found = msgspec.json.decode(file.read(), type=_Manifest)
    nodes = {**found.nodes, **(found.unit_tests or {})}
    return {
        name: (node.attached_node,) if node.attached_node else node.depends_on.nodes if node.depends_on else ()
        for name, node in nodes.items()
        if kind_of(name) in _TESTS
    }


def _read_files(pattern: str) -> Iterator[tuple[str, RunResults]]:
    """The results in each of the files, with the file's path for people. Raises OSError and msgspec.DecodeError."""
    if "://" in pattern:
        yield from _read_remote_files(pattern)
        return
    for path in [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern, recursive=True)):
        state = os.stat(path)
        yield display_path(path), _read_file(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read_file(path: str, mtime: int, size: int) -> RunResults:
    """Every entry of a source asks for the same file, which may have some 10 MB."""
    with open(path, "rb") as file:
        return msgspec.json.decode(file.read(), type=RunResults)


def _read_remote_files(pattern: str) -> Iterator[tuple[str, RunResults]]:
    try:
        system, path = open_file_system(pattern)
        names = sorted(system.glob(path)) if glob.has_magic(path) else [path] if system.exists(path) else []
        for name in names:
            yield system.unstrip_protocol(name), msgspec.json.decode(system.cat_file(name), type=RunResults)
    except ImportError as error:
        raise OSError(missing_package(pattern, error)) from None
