"""Identify calls are written to a file, also after a full disk or a line torn by a crash."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from audience_sync.destinations.base import Judgement, Limits, Meaning
from audience_sync.destinations.file import FileDestination, FileOptions

from .examples import ABOUT, a_call


def destination(path: Path) -> FileDestination:
    return FileDestination(FileOptions.model_validate({"path": str(path)}), ABOUT)


def appended(path: Path, *user_ids: str) -> Judgement:
    to_file = destination(path)
    return to_file.open().send([message for id in user_ids for message in to_file.encode(a_call(id))])


def line(user_id: str) -> str:
    return (
        f'{{"type":"identify","messageId":"a1b2c3","userId":"{user_id}","traits":{{"vip":true}},'
        '"timestamp":"2026-03-01T06:00:00.000Z",'
        '"context":{"library":{"name":"audience-sync","version":"0.1.0"}}}\n'
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


def test_each_call_is_a_line(path: Path) -> None:
    assert appended(path, "u-1", "007") == Judgement(Meaning.DELIVERED)
    assert path.read_text() == line("u-1") + line("007")


def test_batches_are_appended(path: Path) -> None:
    appended(path, "u-1")
    appended(path, "u-2")
    assert path.read_text() == line("u-1") + line("u-2")


def test_a_new_file_is_for_its_owner_only(path: Path) -> None:
    appended(path, "u-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_missing_folders_are_made(tmp_path: Path) -> None:
    appended(tmp_path / "a" / "b" / "calls.jsonl", "u-1")
    assert (tmp_path / "a" / "b" / "calls.jsonl").read_text() == line("u-1")


def test_traits_over_several_lines_become_one(path: Path) -> None:
    (message,) = destination(path).encode(a_call(traits='{\n  "a": {\n"b": "x\\ny"}\n}'))
    assert b'"traits":{   "a": { "b": "x\\ny"} }' in message.body


def test_5000_calls_are_a_batch_and_one_at_a_time(path: Path) -> None:
    assert destination(path).limits == Limits(5_000, 16_000_000)
    assert destination(path).options.concurrency == 1


TORN = [
    pytest.param("", "", id="an empty file"),
    pytest.param(line("u-1"), line("u-1"), id="a whole file"),
    pytest.param(line("u-1") + line("u-2")[:70], line("u-1"), id="half a line"),
    pytest.param(line("u-1")[:-2], "", id="only half a line"),
    pytest.param(line("u-1")[:-1], line("u-1"), id="only the newline is missing"),
    pytest.param(line("u-1") + '{"a":"' + "x" * 200_000, line("u-1"), id="half a line longer than a block"),
]


@pytest.mark.parametrize(("before", "kept"), TORN)
def test_a_line_that_a_crash_has_torn_is_repaired_before_appending(path: Path, before: str, kept: str) -> None:
    path.write_text(before)
    appended(path, "u-9")
    assert path.read_text() == kept + line("u-9")


FULL = [
    pytest.param(errno.ENOSPC, Meaning.RETRY, id="disk full"),
    pytest.param(errno.EDQUOT, Meaning.RETRY, id="quota used up"),
    pytest.param(errno.EIO, Meaning.RETRY, id="disk in trouble"),
    pytest.param(errno.EFBIG, Meaning.STOP, id="larger than a file may be"),
    pytest.param(errno.EROFS, Meaning.STOP, id="read-only"),
]


def writes_50_bytes_and_fails(code: int) -> Callable[[int, memoryview], int]:
    """A disk that is full after the first 50 bytes."""
    really_write, room = os.write, [50]

    def write(file: int, data: memoryview) -> int:
        if not room:
            raise OSError(code, os.strerror(code))
        return really_write(file, data[: room.pop()])

    return write


@pytest.mark.parametrize(("code", "meaning"), FULL)
def test_a_write_that_fails_half_way_leaves_nothing_of_the_batch(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int, meaning: Meaning
) -> None:
    appended(path, "u-1")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", writes_50_bytes_and_fails(code))
        judgement = appended(path, "u-2")
    assert judgement.meaning is meaning
    assert judgement.reason.startswith(f"{path} can't be written: {os.strerror(code)}")
    assert path.read_text() == line("u-1")


def test_after_a_write_that_failed_the_batch_goes_in_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", writes_50_bytes_and_fails(errno.ENOSPC))
        appended(path, "u-1", "u-2")
    appended(path, "u-1", "u-2")
    assert path.read_text() == line("u-1") + line("u-2")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_device_is_no_file_to_append_to() -> None:
    judgement = appended(Path("/dev/full"), "u-1")
    assert judgement == Judgement(
        Meaning.STOP,
        "/dev/full can't be written: it is not a regular file. Correct `path` in the config, or the rights of "
        "the folder",
    )


@pytest.mark.parametrize("found", [b"Buy milk.\n", b"Buy milk", b"SQLite format 3\0"])
def test_a_file_of_something_else_gets_no_line(path: Path, found: bytes) -> None:
    path.write_bytes(found)

    assert appended(path, "u-1") == Judgement(
        Meaning.STOP,
        f"{path} can't be written: it exists and does not begin with an identify call. "
        "Correct `path` in the config, or the rights of the folder",
    )
    assert path.read_bytes() == found


def test_a_folder_in_the_files_place_stops_the_destination(tmp_path: Path) -> None:
    assert appended(tmp_path, "u-1").meaning is Meaning.STOP


def test_a_file_in_the_folders_place_stops_the_destination(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text("")
    assert appended(tmp_path / "calls" / "calls.jsonl", "u-1").meaning is Meaning.STOP


def test_what_is_delivered_is_on_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_mode))
        appended(path, "u-1")
        appended(path, "u-2")
    assert [stat.S_ISREG(mode) for mode in synced] == [True, False, True]  # the file, its new name, the file
