"""All files that a manifest lists must be there, whole."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from audience_sync.errors import IncompleteError
from audience_sync.sources.base import Expectations, SnapshotRequest, SnapshotRows
from audience_sync.sources.files.source import FilesSource
from audience_sync.sources.storage.manifest import ManifestEntry, parse_manifest
from audience_sync.workspace import Workspace

from .conftest import Write

ONE, TWO = "user_id\nada\nbob\n", "user_id\ncyd\n"
SUM_OF_ONE = sha256(ONE.encode()).hexdigest()


@pytest.fixture
def members(write: Write) -> Path:
    write("members/2.csv", TWO)
    return write("members/1.csv", ONE).parent


def read(folder: Path, manifest: str, **asked: Any) -> SnapshotRows:
    with Workspace(0, ["/"]) as workspace:
        expected = Expectations(manifest=manifest)
        return FilesSource(folder).read(
            workspace, SnapshotRequest(user_id="user_id", **(asked or {"file": "members"}), expected=expected)
        )


def listed(*files: dict[str, Any] | str) -> str:
    return json.dumps({"files": files})


@pytest.mark.parametrize(
    ("manifest", "rows"),
    [
        pytest.param(listed("1.csv", "2.csv"), None, id="names"),
        pytest.param(listed({"name": "1.csv", "rows": 2}, {"name": "2.csv", "rows": 1}), 3, id="rows"),
        pytest.param(listed({"name": "1.csv", "rows": 2}, "2.csv"), None, id="the rows of one only"),
        pytest.param(
            listed({"name": "1.csv", "bytes": 16, "sha256": SUM_OF_ONE.upper()}, "2.csv"), None, id="a checksum"
        ),
        pytest.param(
            f"{SUM_OF_ONE}  1.csv\n{sha256(TWO.encode()).hexdigest()} *2.csv\n", None, id="as sha256sum writes"
        ),
        pytest.param(
            json.dumps(
                {
                    "entries": [
                        {"url": "s3://b/members/1.csv", "meta": {"content_length": 16, "record_count": 2}},
                        {"url": "s3://b/members/2.csv", "meta": {"content_length": 12, "record_count": 1}},
                    ]
                }
            ),
            3,
            id="as UNLOAD writes",
        ),
    ],
)
def test_files_that_are_as_they_are_listed_are_read(
    manifest: str, rows: int | None, members: Path, write: Write
) -> None:
    write("members/_manifest", manifest)
    assert read(members.parent, "members/_manifest").manifest_rows == rows


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        pytest.param(listed("1.csv"), "members/2.csv isn't listed in members/_manifest", id="one more"),
        pytest.param(listed("1.csv", "2.csv", "3.csv"), "lists 3.csv, which does not exist", id="one less"),
        pytest.param(
            listed("1.csv", {"name": "2.csv", "bytes": 13}),
            "members/2.csv has 12 bytes, but members/_manifest states 13",
            id="half of one",
        ),
        pytest.param(
            listed("1.csv", {"name": "2.csv", "sha256": SUM_OF_ONE}),
            "members/2.csv is not the file that members/_manifest lists: its checksum differs",
            id="another one",
        ),
        pytest.param(
            listed("1.csv", "2.csv")[:-3], "members/_manifest is not a complete manifest", id="half a manifest"
        ),
        pytest.param('{"rows": 3}', "members/_manifest is not a complete manifest", id="something else"),
        pytest.param('{"files": [{"name": "1.csv", "rows": "many"}]}', "is not a complete manifest", id="no number"),
        pytest.param("", "members/_manifest lists no files", id="an empty manifest"),
        pytest.param(None, "there is no members/_manifest, which lists the files", id="no manifest"),
    ],
)
def test_files_that_are_not_as_they_are_listed_are_refused(
    manifest: str | None, says: str, members: Path, write: Write
) -> None:
    if manifest is not None:
        write("members/_manifest", manifest)
    with pytest.raises(IncompleteError, match=says.replace(".", r"\.")):
        read(members.parent, "members/_manifest")


def test_a_file_of_several_that_are_listed_is_read_when_all_are_there(members: Path, write: Write) -> None:
    write("members/_manifest", listed({"name": "1.csv", "rows": 2}, {"name": "2.csv", "rows": 1}))
    assert read(members.parent, "members/_manifest", file="members/1.csv").manifest_rows == 2
    (members / "2.csv").unlink()
    with pytest.raises(IncompleteError, match=r"lists 2\.csv, which does not exist"):
        read(members.parent, "members/_manifest", file="members/1.csv")


def test_of_a_query_nobody_promised_how_many_rows_it_finds(members: Path, write: Write) -> None:
    write("members/_manifest", listed({"name": "1.csv", "rows": 2}, {"name": "2.csv", "rows": 1}))
    assert read(members.parent, "members/_manifest", query="from 'members/1.csv'").manifest_rows is None
    write("members/1.csv", "user_id\nada\n")
    write("members/_manifest", listed({"name": "1.csv", "bytes": 16}, "2.csv"))
    with pytest.raises(IncompleteError, match=r"members/1\.csv has 12 bytes"):
        read(members.parent, "members/_manifest", query="from 'members/1.csv'")


def test_remote_files_are_compared_with_a_remote_manifest() -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/listed/1.csv", ONE.encode())
    memory.pipe("/listed/manifest", listed({"name": "1.csv", "bytes": 16, "rows": 2}).encode())
    with Workspace(0, ["/"]) as workspace:
        wanted = SnapshotRequest(user_id="user_id", file="1.csv", expected=Expectations(manifest="manifest"))
        assert FilesSource("memory://listed").read(workspace, wanted).manifest_rows == 2
        memory.pipe("/listed/1.csv", ONE[:8].encode())
        with pytest.raises(IncompleteError, match="has 8 bytes"):
            FilesSource("memory://listed").read(workspace, wanted)


def test_a_manifest_may_begin_with_a_byte_order_mark() -> None:
    assert parse_manifest("m", b'\xef\xbb\xbf{"files": ["1.csv"]}') == [ManifestEntry("1.csv")]
