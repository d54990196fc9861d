"""A name, a glob or a folder selects its files, which are the same before and after reading."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, TraitColumn
from audience_sync.sources.files.source import FilesSource
from audience_sync.workspace import Workspace

from .conftest import Read, Write


@pytest.fixture
def members(write: Write) -> None:
    write("members/1.csv", "user_id,plan\nada,1\n")
    write("members/2.csv", "plan;user_id\n2;bob\n")
    write("members/_SUCCESS", "")
    write("members/_temporary.csv", "user_id,plan\nnobody,1\n")
    write("members/.hidden.csv", "user_id,plan\nnobody,1\n")
    write("members/readme.txt", "nothing")
    write("vip.csv", "user_id\ncyd\n")


@pytest.mark.parametrize("name", ["members", "members/", "members/*.csv", "members/[12].csv", "**/[12].csv"])
def test_a_folder_and_a_glob_mean_all_their_data_files(name: str, members: None, read: Read) -> None:
    assert read(file=name, traits={"plan": "plan"}).values == {"ada": "1", "bob": "2"}


def test_rejects_name_their_file_relative_to_the_folder(write: Write, read: Read) -> None:
    write("members/1.csv", "user_id,plan\nada,1\n")
    write("members/2.csv", "user_id,plan\nbob,1\n,2\n")
    assert read(file="members").invalid_rows == [("members/2.csv", 2, "", "empty user id")]


def test_a_type_is_inferred_over_all_files_of_a_snapshot(write: Write, read: Read) -> None:
    write("members/1.csv", "user_id,plan\nada,1\n")
    write("members/2.csv", "user_id,plan\nbob,x\n")
    assert read(file="members", traits={"plan": "plan"}).values == {"ada": '"1"', "bob": '"x"'}


def test_a_path_may_be_absolute(tmp_path: Path, members: None, read: Read) -> None:
    assert read(file=str(tmp_path / "vip.csv")).ids == ["cyd"]


MISSING = {
    "a file": ("vipp.csv", ["no file 'vipp.csv'", "Did you mean 'vip.csv'?", "Data files there: vip.csv"]),
    "a glob": ("vap-*.csv", ["no file 'vap-*.csv'", "Data files there: vip.csv"]),
    "data files": ("empty", ["no data file in the folder 'empty'"]),
    "a format": ("vip.txt", ["vip.txt has no supported format", ".csv"]),
    "a whole .zst": ("vip.csv.zst", ["vip.csv.zst has no supported format", "truncated"]),
}


@pytest.mark.parametrize(("name", "words"), MISSING.values(), ids=MISSING.keys())
def test_what_is_missing_is_said_with_what_is_there(
    name: str, words: list[str], tmp_path: Path, members: None, write: Write, read: Read
) -> None:
    (tmp_path / "empty").mkdir()
    write("vip.txt", "x")
    write("vip.csv.zst", "x")
    with pytest.raises(SourceError) as caught:
        read(file=name)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_folder_of_several_formats_is_an_error(write: Write, read: Read) -> None:
    write("m/a.csv", "user_id\nada\n")
    write("m/b.jsonl", '{"user_id": "bob"}')
    with pytest.raises(SourceError, match=r"several formats: \.csv, \.jsonl"):
        read(file="m")


def test_files_with_other_columns_are_an_error(write: Write, read: Read) -> None:
    write("m/a.csv", "user_id\nada\n")
    write("m/b.csv", "user_id,plan\nbob,1\n")
    with pytest.raises(SourceError, match=r"m/b\.csv and m/a\.csv are read together, but only one of them has plan"):
        read(file="m")


def test_the_names_of_many_audiences_come_with_their_users(write: Write, read: Read) -> None:
    write("a.csv", "user_id,audience\nada, VIP \nbob,Churn\ncyd,\n,VIP\n")
    snapshot = read(file="a.csv", name="audience")
    assert snapshot.rows == [("ada", "VIP"), ("bob", "Churn"), (None, None), (None, "VIP")]
    assert [each[1:] for each in snapshot.invalid_rows] == [(3, "cyd", "no audience name"), (4, "", "empty user id")]


def rows_of_vip(tmp_path: Path, workspace: Workspace, **wanted: Any) -> SnapshotRows:
    return FilesSource(tmp_path).read(
        workspace, SnapshotRequest(**({"user_id": "user_id", "file": "vip.csv"} | wanted))
    )


def test_a_file_that_grows_while_it_is_read_is_an_error(
    tmp_path: Path, workspace: Workspace, members: None, write: Write
) -> None:
    rows = rows_of_vip(tmp_path, workspace)
    rows.verify()
    write("vip.csv", "user_id\ncyd\ndan\n")
    with pytest.raises(SourceError, match=r"vip\.csv changed during the read: it is still being written"):
        rows.verify()


def test_a_file_that_is_gone_after_the_scan_is_an_error(tmp_path: Path, workspace: Workspace, members: None) -> None:
    rows = rows_of_vip(tmp_path, workspace)
    (tmp_path / "vip.csv").unlink()
    with pytest.raises(SourceError, match=r"vip\.csv can't be opened"):
        rows.verify()


def test_equal_marks_mean_the_same_files_and_the_same_question(tmp_path: Path, members: None) -> None:
    source, wanted = FilesSource(tmp_path), SnapshotRequest(user_id="user_id", file="vip.csv")
    os.utime(tmp_path / "vip.csv", (1, 1))
    first = source.fingerprint(wanted)
    assert first is not None
    assert source.fingerprint(wanted) == first
    others = [replace(wanted, traits={"a": TraitColumn("user_id")}), replace(wanted, encoding="latin-1")]
    assert first not in [source.fingerprint(other) for other in others]
    os.utime(tmp_path / "vip.csv", (2, 2))
    assert source.fingerprint(wanted) not in (first, None)


def test_a_file_that_was_just_written_has_no_fingerprint(tmp_path: Path, members: None) -> None:
    source, wanted = FilesSource(tmp_path), SnapshotRequest(user_id="user_id", file="vip.csv")
    assert source.fingerprint(wanted) is None
    later = time.time() + 3600
    os.utime(tmp_path / "vip.csv", (later, later))
    assert source.fingerprint(wanted) is None


def test_a_missing_file_has_no_fingerprint(tmp_path: Path, members: None) -> None:
    assert FilesSource(tmp_path).fingerprint(SnapshotRequest(user_id="user_id", file="vpi.csv")) is None


def test_one_more_file_in_a_folder_changes_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "parts" / name).write_text("user_id\nada\n")
        os.utime(tmp_path / "parts" / name, (1, 1))
    source, wanted = FilesSource(tmp_path), SnapshotRequest(user_id="user_id", file="parts")
    both = source.fingerprint(wanted)
    (tmp_path / "parts" / "b.csv").unlink()
    assert None not in (both, source.fingerprint(wanted))
    assert both != source.fingerprint(wanted)


def test_check_says_what_is_there(tmp_path: Path, members: None) -> None:
    assert FilesSource(tmp_path).check() == f"folder {tmp_path}, 1 file"
    assert FilesSource(tmp_path / "members").check() == f"folder {tmp_path}/members, 2 files"


def test_check_says_that_a_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        FilesSource(tmp_path / "nowhere").check()


@pytest.fixture
def remote() -> None:
    import fsspec

    fsspec.filesystem("memory").pipe({"/shop/1.csv": b"user_id\n007\n", "/shop/2.csv": b"user_id\n\nbob\n"})


@pytest.mark.parametrize("name", ["memory://shop/*.csv", "memory://shop"])
def test_remote_files_are_read_through_fsspec(name: str, remote: None, read: Read) -> None:
    assert read(file=name).ids == ["007", "bob"]


def test_a_source_may_be_remote_altogether(remote: None, read: Read) -> None:
    source = FilesSource("memory://shop")
    assert read(source, file="1.csv").ids == ["007"]
    assert read(source, query="select user_id from '1.csv'").ids == ["007"]
    assert source.check() == "files at memory://, read when they are needed"


REMOTE = {
    "no file": ("memory://shop/3.csv", "no file 'memory://shop/3.csv'"),
    "no such protocol": ("klingon://shop/1.csv", "klingon:// is not a supported file system"),
    "a missing package": ("gs://shop/1.csv", "pip install 'audience-sync[gcs]'"),
}


@pytest.mark.parametrize(("name", "words"), REMOTE.values(), ids=REMOTE.keys())
def test_remote_files_that_cannot_be_read_are_an_error(name: str, words: str, remote: None, read: Read) -> None:
    with pytest.raises(SourceError) as caught:
        read(file=name)
    assert words in str(caught.value)
