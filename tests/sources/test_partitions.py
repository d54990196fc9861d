"""A path gives no values, unless the config asks for those of Hive's folders; then in every format."""

from __future__ import annotations

from pathlib import Path

import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest, TraitColumn
from audience_sync.sources.files.source import FilesSource
from audience_sync.sources.storage.resolve_names import partition_values

from .conftest import Read, Write
from .source_kinds import write_file

FORMATS = ("csv", "tsv", "jsonl", "json", "parquet", "xlsx", "csv.gz")


@pytest.mark.parametrize(
    ("folders", "values"),
    [
        (["a", "audience=vip"], {"audience": "vip"}),
        (["audience=VIP%20%2F%20Gold"], {"audience": "VIP / Gold"}),
        (["a%3Db=c=d"], {"a=b": "c=d"}),
        (["country=K%C3%B6ln"], {"country": "Köln"}),
        (["dt=2026-11-28", "hour=07"], {"dt": "2026-11-28", "hour": "07"}),
        (["plan=__HIVE_DEFAULT_PARTITION__"], {"plan": None}),
        (["plan="], {"plan": None}),
        (["=x", "_temporary=1", ".hidden=1", "plain"], {}),
        (["plan=free", "plan=pro"], {"plan": "pro"}),
    ],
)
def test_folders_give_values_as_hive_writes_them(folders: list[str], values: dict[str, str | None]) -> None:
    assert partition_values(folders) == values


@pytest.mark.parametrize("ending", FORMATS)
def test_without_the_option_a_path_gives_no_values(ending: str, tmp_path: Path, read: Read) -> None:
    write_file(tmp_path / "user_id=5" / "plan=free" / f"a.{ending}", {"user_id": "ada", "plan": "pro"})
    name = f"user_id=5/plan=free/a.{ending}"
    assert read(file=name, traits={"plan": "plan"}).rows == [("ada", '"pro"')]
    assert read(query=f"select user_id, plan from '{name}'", traits={"plan": "plan"}).rows == [("ada", '"pro"')]
    with pytest.raises(SourceError, match="there is no column 'team'"):
        read(file=name, traits={"team": "team"})


@pytest.mark.parametrize("ending", FORMATS)
def test_asked_for_folders_give_columns_of_text(ending: str, tmp_path: Path, read: Read) -> None:
    write_file(tmp_path / "audience=007" / f"a.{ending}", {"user_id": "ada"})
    write_file(tmp_path / "audience=1e5" / f"b.{ending}", {"user_id": "bob"})
    glob = f"audience=*/*.{ending}"
    expected = [("ada", "007"), ("bob", "1e5")]
    assert sorted(read(file=glob, name="audience", partitions="hive").rows) == expected
    query = f"select user_id, audience from '{glob}'"
    assert sorted(read(query=query, name="audience", partitions="hive").rows) == expected
    traits = {"team": TraitColumn("audience")}
    assert sorted(read(file=glob, traits=traits, partitions="hive").rows) == [("ada", '"007"'), ("bob", '"1e5"')]


@pytest.mark.parametrize("ending", FORMATS)
def test_the_folder_counts_where_the_file_has_the_column_too(ending: str, tmp_path: Path, read: Read) -> None:
    write_file(tmp_path / "plan=free" / f"a.{ending}", {"user_id": "ada", "plan": "pro"})
    asked = {"traits": {"plan": "plan"}, "partitions": "hive"}
    assert read(file=f"plan=free/a.{ending}", **asked).rows == [("ada", '"free"')]
    assert read(query=f"select user_id, plan from 'plan=free/a.{ending}'", **asked).rows == [("ada", '"free"')]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_folder_may_give_the_user_id_and_nothing_else_be_read(ending: str, tmp_path: Path, read: Read) -> None:
    write_file(tmp_path / "user_id=00%37" / f"a.{ending}", {"plan": "pro"})
    write_file(tmp_path / "user_id=__HIVE_DEFAULT_PARTITION__" / f"a.{ending}", {"plan": "free"})
    snapshot = read(file=f"user_id=*/a.{ending}", partitions="hive")
    assert snapshot.ids == ["007"]
    assert len(snapshot.invalid_rows) == 1


def test_a_folder_means_the_files_of_its_folders_with_values(tmp_path: Path, read: Read, write: Write) -> None:
    write("members/dt=1/audience=vip/a.csv", "user_id\nada\n")
    write("members/dt=2/audience=vip/a.csv", "user_id\nbob\n")
    write("members/other/a.csv", "user_id\nnobody\n")
    write("members/dt=2/audience=vip/_temporary=0/a.csv", "user_id\nnobody\n")
    assert read(file="members", name="audience", partitions="hive").values == {"ada": "vip", "bob": "vip"}
    assert read(query="select user_id from 'members/' where dt = '2'", partitions="hive").ids == ["bob"]


def test_only_folders_below_that_of_the_source_give_values(tmp_path: Path, read: Read, write: Write) -> None:
    write("plan=free/users/a.csv", "user_id,plan\nada,pro\n")
    source = FilesSource(tmp_path / "plan=free", partitions="hive")
    assert read(source, file="users/a.csv", traits={"plan": "plan"}).rows == [("ada", '"pro"')]


def test_a_file_elsewhere_has_the_values_of_its_whole_path(tmp_path: Path, read: Read, write: Write) -> None:
    path = write("elsewhere/audience=vip/a.csv", "user_id\nada\n")
    (tmp_path / "shop").mkdir()
    source = FilesSource(tmp_path / "shop")
    assert read(source, file=str(path), name="audience", partitions="hive").rows == [("ada", "vip")]


def test_the_option_of_a_source_is_that_of_all_its_entries(tmp_path: Path, read: Read, write: Write) -> None:
    write("audience=vip/a.csv", "user_id\nada\n")
    source = FilesSource(tmp_path, partitions="hive")
    assert read(source, file="audience=vip/a.csv", name="audience").rows == [("ada", "vip")]


def test_files_of_other_folders_are_an_error(read: Read, write: Write) -> None:
    write("audience=vip/a.csv", "user_id\nada\n")
    write("b.csv", "user_id\nbob\n")
    with pytest.raises(SourceError, match=r"only one of them has audience"):
        read(file="**/*.csv", partitions="hive")


def test_a_type_said_in_the_config_holds_for_a_folder_too(read: Read, write: Write) -> None:
    write("year=2026/a.csv", "user_id\nada\n")
    traits = {"year": TraitColumn("year", "number")}
    assert read(file="year=2026/a.csv", traits=traits, partitions="hive").rows == [("ada", "2026")]


def test_remote_folders_give_values_too(read: Read) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe({"/lake/x=1/audience=vip/a.csv": b"user_id\nada\n"})
    source = FilesSource("memory://lake/x=1")
    assert read(source, file="audience=*/*.csv", name="audience", partitions="hive").rows == [("ada", "vip")]
    assert read(source, file="", name="audience", partitions="hive").rows == [("ada", "vip")]
    with pytest.raises(SourceError, match="there is no column 'x'"):
        read(source, file="", name="x", partitions="hive")


def test_with_the_option_the_question_is_another(tmp_path: Path, write: Write) -> None:
    import os

    os.utime(write("audience=vip/a.csv", "user_id\nada\n"), (1, 1))
    wanted = SnapshotRequest(user_id="user_id", file="audience=vip/a.csv")
    plain, hive = FilesSource(tmp_path), FilesSource(tmp_path, partitions="hive")
    asked = SnapshotRequest(user_id="user_id", file="audience=vip/a.csv", partitions="hive")
    assert None not in (plain.fingerprint(wanted), hive.fingerprint(wanted))
    assert plain.fingerprint(wanted) != hive.fingerprint(wanted)
    assert plain.fingerprint(asked) == hive.fingerprint(wanted)
