"""A bucket that is slow, throttles, refuses or lacks its package is waited for, or named with what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from cli.conftest import Project
from fsspec.implementations.memory import MemoryFileSystem

from audience_sync.errors import ObjectDamagedError, ObjectMissingError, StoreError
from audience_sync.store.snapshots import objects
from audience_sync.store.snapshots.chain import new_digest
from audience_sync.store.snapshots.objects import (
    StoredObject,
    delete_objects,
    fetch_objects,
    list_objects,
    put_object,
    try_folder,
)
from audience_sync.workspace import Workspace

from .conftest import S3Bucket, a_project

URL = "faulty://bucket/state/1-a-b.parquet"


class ServerError(Exception):
    """An error of a file system's own, with the server's status."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"the server answered {status_code}")
        self.status_code = status_code


class FaultySystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Objects in memory. The next actions of a kind fail with the errors of ``faults``, one each."""

    protocol = "faulty"
    faults: dict[str, list[Exception]]

    def _fail(self, action: str) -> None:
        if waiting := self.faults.get(action):
            raise waiting.pop(0)

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        self._fail("put")
        return super().open(path, mode, **options)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> Any:
        self._fail("read")
        return super().cat_file(path, start=start, end=end, **options)

    def find(self, path: str, **options: Any) -> Any:
        self._fail("list")
        return super().find(path, **options)

    def rm_file(self, path: str) -> None:
        self._fail("delete")
        super().rm_file(path)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[Exception]]]:
    """The errors that come, by action; and no pauses between attempts."""
    fsspec.register_implementation("faulty", FaultySystem, clobber=True)
    found: dict[str, list[Exception]] = {}
    monkeypatch.setattr(FaultySystem, "faults", found, raising=False)
    monkeypatch.setattr(objects, "PAUSES", (0.0,) * len(objects.PAUSES))
    yield found
    MemoryFileSystem.store.clear()


@pytest.fixture
def stored(faults: dict[str, list[Exception]], tmp_path: Path) -> StoredObject:
    content = b"PAR1" * 1_000
    path = tmp_path / "file"
    path.write_bytes(content)
    put_object(URL, path)
    digest = new_digest()
    digest.update(content)
    return StoredObject(URL, len(content), digest.hexdigest())


def everything(stored: StoredObject, workspace: Workspace, tmp_path: Path) -> bytes:
    """Put, read, list and delete the object; returns what was read."""
    put_object(URL, tmp_path / "file")
    fetch_objects(workspace, [stored])
    assert [each.url for each in list_objects("faulty://bucket/state")] == [URL]
    delete_objects([URL])
    return workspace.copies[URL].read_bytes()


@pytest.mark.parametrize("action", ["put", "read", "list", "delete"])
@pytest.mark.parametrize(
    "error", [TimeoutError("slow"), OSError("SlowDown: reduce your request rate"), ServerError(503)], ids=str
)
def test_what_may_pass_is_tried_again(
    error: Exception,
    action: str,
    stored: StoredObject,
    faults: dict[str, list[Exception]],
    workspace: Workspace,
    tmp_path: Path,
) -> None:
    faults[action] = [error] * 2
    assert everything(stored, workspace, tmp_path) == b"PAR1" * 1_000
    assert faults[action] == []


def test_what_does_not_pass_ends_with_an_error_that_says_so(
    stored: StoredObject, faults: dict[str, list[Exception]], workspace: Workspace
) -> None:
    faults["read"] = [TimeoutError("no answer")] * 3
    with pytest.raises(StoreError) as failed:
        fetch_objects(workspace, [stored])
    assert str(failed.value) == (
        "The state in faulty://bucket/state can't be reached to read objects: TimeoutError: no answer. Nothing was "
        "changed or sent. Try again when it answers."
    )
    assert not isinstance(failed.value, ObjectDamagedError)


@pytest.mark.parametrize(
    ("action", "act"),
    [
        ("put", lambda stored, workspace, file: put_object(stored.url, file)),
        ("read", lambda stored, workspace, file: fetch_objects(workspace, [stored])),
        ("list", lambda stored, workspace, file: list_objects(stored.url.rsplit("/", 1)[0])),
        ("delete", lambda stored, workspace, file: delete_objects([stored.url])),
    ],
)
@pytest.mark.parametrize("error", [PermissionError("denied"), ServerError(403), OSError("Forbidden: no")], ids=str)
def test_a_missing_right_is_named_at_once(
    error: Exception,
    action: str,
    act: Callable[[StoredObject, Workspace, Path], object],
    stored: StoredObject,
    faults: dict[str, list[Exception]],
    workspace: Workspace,
    tmp_path: Path,
) -> None:
    faults[action] = [error]
    with pytest.raises(StoreError, match=f"is refused: these credentials may not {action} its objects"):
        act(stored, workspace, tmp_path / "file")


@pytest.mark.parametrize(
    ("scheme", "action", "right"),
    [
        ("s3", objects.Action.PUT, "s3:PutObject"),
        ("s3", objects.Action.READ, "s3:GetObject"),
        ("s3", objects.Action.LIST, "s3:ListBucket"),
        ("s3", objects.Action.DELETE, "s3:DeleteObject"),
        ("gs", objects.Action.DELETE, "storage.objects.delete"),
        ("az", objects.Action.PUT, "the role Storage Blob Data Contributor"),
    ],
)
def test_a_missing_right_has_the_name_that_its_service_gives_it(
    scheme: str, action: objects.Action, right: str
) -> None:
    error = objects._final(action, f"{scheme}://bucket/state/1-a-b.parquet", PermissionError("denied"))
    assert f"may not {action} its objects ({right})" in str(error)


def test_a_lost_object_is_damage_and_a_range_after_the_end_too(
    stored: StoredObject, faults: dict[str, list[Exception]], workspace: Workspace
) -> None:
    longer = stored._replace(size=stored.size + 1)
    faults["read"] = [ServerError(416)]
    with pytest.raises(ObjectDamagedError, match="is cut off"):
        fetch_objects(workspace, [longer])
    with pytest.raises(ObjectDamagedError, match="is cut off"):
        fetch_objects(workspace, [longer])
    delete_objects([URL])
    delete_objects([URL])
    with pytest.raises(ObjectMissingError, match="is missing"):
        fetch_objects(workspace, [stored])


def test_objects_of_many_parts_are_fetched_in_order(
    faults: dict[str, list[Exception]], workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PART_BYTES", 7)
    found = []
    for number, size in enumerate((6, 7, 8, 700)):
        content = bytes(each % 256 for each in range(number, number + size))
        path, url = tmp_path / str(number), f"faulty://bucket/state/{number}"
        path.write_bytes(content)
        put_object(url, path)
        digest = new_digest()
        digest.update(content)
        found.append((StoredObject(url, size, digest.hexdigest()), content))
    fetch_objects(workspace, [each for each, _ in found])
    assert [workspace.copies[each.url].read_bytes() for each, _ in found] == [content for _, content in found]


@pytest.mark.parametrize(("scheme", "extra"), [("gs", "gcs"), ("az", "azure"), ("sftp", "remote")])
def test_a_package_that_is_missing_names_its_extra(
    scheme: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for package in ("gcsfs", "adlfs", "paramiko"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(StoreError, match=rf"pip install 'audience-sync\[{extra}\]'"):
        try_folder(f"{scheme}://bucket/state", "check", tmp_path / "file")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("bucket/state", "it must be the URL of a folder"),
        ("memory://state", "can't keep the state"),
        ("s3://key:secret@bucket/state", "a password in it would be stored"),
        ("s3://bucket/st*te", "its name can't have any of"),
        ("s3://", "it names no bucket"),
        ("file://state", "its path has to begin with a slash: `file:///state`"),
    ],
)
def test_a_state_that_can_not_be_one_is_a_problem_of_the_config(
    state: str, words: str, tmp_path: Path, sqlite_schema: Path
) -> None:
    project = a_project(tmp_path / "project", sqlite_schema, state)
    refused = project.run("sync")
    assert refused.code == 2
    assert words in " ".join(refused.stderr.split())
    assert "key:secret" not in refused.stderr


@pytest.mark.parametrize("right", ["PutObject", "GetObject", "ListBucket", "DeleteObject"])
def test_check_names_the_right_that_a_user_of_s3_lacks(
    right: str, s3_bucket: S3Bucket, tmp_path: Path, sqlite_schema: Path
) -> None:
    project = a_project(tmp_path / "project", sqlite_schema, s3_bucket.url)
    with s3_bucket.user_without(f"s3:{right}") as keys:
        project.environment |= keys
        checked = project.run("check")
    assert checked.code == 3
    assert f"(s3:{right})" in checked.stdout


@pytest.fixture
def no_bucket(s3_bucket: S3Bucket, tmp_path: Path, sqlite_schema: Path) -> Project:
    return a_project(tmp_path / "project", sqlite_schema, "s3://no-such-bucket/state")


def test_a_bucket_that_is_not_there_fails_the_run_before_anything_is_sent(no_bucket: Project) -> None:
    failed = no_bucket.run("sync")
    assert failed.code == 3
    assert "has no bucket or folder to be in. Nothing was changed or sent" in " ".join(failed.stderr.split())
    assert no_bucket.sent() == []
    assert no_bucket.run("check").code == 3
