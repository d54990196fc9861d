"""Read the results that dbt keeps in ``run_results.json``, and the models of each test from ``manifest.json``."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from audience_sync.dbt.names import TESTS, ids_by_name, kind_of
from audience_sync.remote import missing_package, open_file_system
from audience_sync.text import display_path

#: The commands that build models. Others, such as `compile` and `test`, have results of models or none.
_BUILDING = frozenset({"build", "clone", "retry", "run", "seed", "snapshot"})
_TEST_FAILED = frozenset({"fail", "error"})
#: How many files are kept decoded. A schedule that runs each model by itself has one for each.
_KEPT = 256
#: Seconds for which the list of files in a bucket holds: every entry of a source asks for it.
_LISTED = 5


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

    @property
    def builds(self) -> bool:
        """Whether the command is one that builds models."""
        return self.command in _BUILDING

    @property
    def partial_by(self) -> str | None:
        """The option by which the models were built without their rows, or with a sample of them."""
        return next((f"--{name}" for name in ("empty", "sample") if (self.args or {}).get(name)), None)


class ResultsFile(Struct, frozen=True):
    """One file. ``path``: where it is, a path or a URL."""

    path: str
    run: RunResults

    @property
    def shown(self) -> str:
        """The path as people read it."""
        return shown_path(self.path)


class NodeResult(Struct, frozen=True):
    """The newest result of a node: when it ended, in which file."""

    result: Result
    at: datetime
    file: ResultsFile


class Results(Struct, frozen=True):
    """Everything that some files have: the newest result of each node that has rows, and of each test that failed."""

    files: tuple[ResultsFile, ...]
    built: Mapping[str, NodeResult]
    failed_tests: tuple[NodeResult, ...]
    ids: Mapping[str, Sequence[str]]


class _FileState(NamedTuple):
    """A file, and what changes with its content."""

    path: str
    version: str


def shown_path(path: str) -> str:
    return path if "://" in path else display_path(path)


def read_results(pattern: str) -> Results:
    """What the files of a path, a URL or a glob have; nothing if there is no file.

    Raises OSError, and ValueError for a file that is not one of dbt's.
    """
    return _results(tuple(_states(pattern)))


def tested_nodes(results: ResultsFile) -> Mapping[str, tuple[str, ...]]:
    """The ids of the nodes that each test is of, by its id, from the manifest next to these results.

    Raises OSError and ValueError.
    """
    return _tested_nodes(_state(manifest_of(results)))


def node_ids(results: ResultsFile) -> Mapping[str, Sequence[str]]:
    """The ids of the project's nodes with rows by each of their names, from the manifest next to these results.

    Raises OSError and ValueError.
    """
    return _node_ids(_state(manifest_of(results)))


def manifest_of(results: ResultsFile) -> str:
    """Where the manifest of a command is: dbt writes it into the same folder."""
    return f"{results.path.rpartition('/')[0]}/manifest.json"


@lru_cache(maxsize=4)
def _results(states: tuple[_FileState, ...]) -> Results:
    files = tuple(ResultsFile(each.path, _read_run(each)) for each in states)
    built, tests = dict[str, NodeResult](), dict[str, NodeResult]()
    for file in files:
        for each in file.run.results:
            found = tests if kind_of(each.unique_id) in TESTS else built if file.run.builds else None
            if found is None:
                continue
            new = NodeResult(each, _end_of(each, file.run), file)
            if (old := found.get(each.unique_id)) is None or old.at < new.at:
                found[each.unique_id] = new
    failed = tuple(each for each in tests.values() if each.result.status.lower() in _TEST_FAILED)
    return Results(files, built, failed, ids_by_name(built))


def _end_of(result: Result, run: RunResults) -> datetime:
    times = [timing.completed_at for timing in result.timing or () if timing.completed_at]
    if not times:
        return run.metadata.generated_at
    try:
        at = datetime.fromisoformat(max(times))
    except ValueError:
        raise ValueError(f"{max(times)!r} is not a time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@lru_cache(maxsize=_KEPT)
def _read_run(state: _FileState) -> RunResults:
    return msgspec.json.decode(_read(state.path), type=RunResults)


class _DependsOn(Struct, frozen=True):
    nodes: tuple[str, ...] = ()


class _Node(Struct, frozen=True):
    attached_node: str | None = None
    depends_on: _DependsOn | None = None


class _Manifest(Struct, frozen=True):
    nodes: dict[str, _Node]
    unit_tests: dict[str, _Node] | None = None


@lru_cache(maxsize=4)
def _read_manifest(state: _FileState) -> _Manifest:
    return msgspec.json.decode(_read(state.path), type=_Manifest)


@lru_cache(maxsize=4)
def _node_ids(state: _FileState) -> Mapping[str, Sequence[str]]:
    return ids_by_name(_read_manifest(state).nodes)


@lru_cache(maxsize=4)
def _tested_nodes(state: _FileState) -> Mapping[str, tuple[str, ...]]:
    """A generic test is attached to a node. Others are of those that they read."""
    found = _read_manifest(state)
    nodes = {**found.nodes, **(found.unit_tests or {})}
    return {
        name: (node.attached_node,) if node.attached_node else node.depends_on.nodes if node.depends_on else ()
        for name, node in nodes.items()
        if kind_of(name) in TESTS
    }


def _states(pattern: str) -> Iterator[_FileState]:
    """The files of a glob, in the order of their names. An existing name means itself."""
    if "://" not in pattern:
        exists = os.path.exists(pattern)
        yield from map(_state, [pattern] if exists else sorted(glob.glob(pattern, recursive=True)))
    else:
        yield from _remote_states(pattern, int(time.monotonic() / _LISTED))


@lru_cache(maxsize=4)
def _remote_states(pattern: str, moment: int) -> tuple[_FileState, ...]:
    """``moment``: what makes two calls apart."""
    with _Remote(pattern) as (system, path):
        names = sorted(system.glob(path)) if glob.has_magic(path) else [path] if system.exists(path) else []
        return tuple(_FileState(system.unstrip_protocol(each), system.ukey(each)) for each in names)


def _state(path: str) -> _FileState:
    if "://" not in path:
        state = os.stat(path)
        return _FileState(path, f"{state.st_mtime_ns} {state.st_size}")
    with _Remote(path) as (system, name):
        return _FileState(path, system.ukey(name))


def _read(path: str) -> bytes:
    if "://" not in path:
        with open(path, "rb") as file:
            return file.read()
    with _Remote(path) as (system, name):
        return bytes(system.cat_file(name))


class _Remote:
    """The file system of a URL, and the path in it; its errors are OSErrors."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> tuple[Any, str]:
        try:
            return open_file_system(self._url, use_listings_cache=False)
        except Exception as error:
            self._raise(error)
            raise

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._raise(error)

    def _raise(self, error: BaseException | None) -> None:
        match error:
            case ImportError():
                raise OSError(missing_package(self._url, error)) from None
            case FileNotFoundError():
                raise FileNotFoundError("No such file") from None
            case Exception():  # every file system has errors of its own
                raise OSError(f"{type(error).__name__}: {error}") from None
