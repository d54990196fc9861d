"""Exactly the files that a name means are read, whatever they and their folders are called."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audience_sync.config.models import Settings
from audience_sync.sources.base import SnapshotRequest
from audience_sync.sources.files.allowed_paths import allowed_paths
from audience_sync.sources.files.source import FilesSource
from audience_sync.sql import quote_literal
from audience_sync.workspace import Workspace

from .conftest import Read, Write
from .source_kinds import write_file


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace(768_000_000, ["/"]) as opened:
        yield opened


ENDINGS = ("csv", "tsv", "jsonl", "json", "parquet", "csv.gz", "jsonl.gz", "xlsx")


def write_members(path: Path, user: str) -> None:
    write_file(path, {"user_id": user, "plan": "pro"})


#: The functions of DuckDB that read files, called by a query.
FUNCTION = {
    "csv": "read_csv({0}, all_varchar = true)",
    "csv.gz": "read_csv({0}, all_varchar = true)",
    "tsv": "read_csv({0}, delim = '\t')",
    "jsonl": "read_json({0}, columns = {{user_id: 'VARCHAR'}})",
    "parquet": "read_parquet({0})",
}
#: With a letter that Unicode writes in two ways: as one character, and as two.
ODD = st.text("[]*?{}'\"%#&=~\\ .,!^-+@:;|$\n\t1aé\u0301漢", min_size=1, max_size=8).filter(
    lambda name: name.strip(".") != ""
)
#: What a folder and a glob leave out.
SHOWN = ODD.filter(lambda name: not name.startswith((".", "_")))


@given(odd=SHOWN, folder=ODD, source=ODD, ending=st.sampled_from(ENDINGS))
@example(odd="vip[1]", folder="a*b", source="data[1]", ending="csv")
@example(odd="*", folder="**", source="?", ending="parquet")
@example(odd="\\*", folder="user_id=5", source="plan=free", ending="jsonl")
@example(odd='it\'s "so"', folder="{a,b}", source="100%", ending="tsv")
@example(odd="new\nline", folder="back\\slash", source="~", ending="json")
@example(odd="1", folder="[!a]", source="[", ending="csv.gz")
@example(odd="vip[1]", folder="b[1]", source="a[1]", ending="xlsx")
@example(odd="e\u0301", folder=".hidden", source="é", ending="jsonl.gz")
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_name_means_one_file_and_a_folder_its_files(odd: str, folder: str, source: str, ending: str) -> None:
    with tempfile.TemporaryDirectory() as top:
        place = Path(top, source)
        own = place / folder / f"{odd}.{ending}"
        write_members(own, "ada")
        for number, near in enumerate(("vip1", "1", "a", "axb")):
            if near != odd:
                write_members(place / folder / "other" / f"{near}.{ending}", f"other {number}")
        config = Settings.model_validate(
            {
                "folder": top,
                "sources": {"shop": {"files": str(place)}},
                "audiences": [{"name": "vip", "source": "shop", "file": f"{folder}/{odd}.{ending}"}],
            }
        )
        name = f"{folder}/{odd}.{ending}"
        quoted_name = quote_literal(name)
        with Workspace(400_000_000, allowed_paths(config)) as workspace:
            asked = [{"file": name}, {"file": folder}, {"query": f"select user_id from {quoted_name}"}]
            found = [ids(workspace, place, **each) for each in asked]
        assert found == [["ada"], ["ada"], ["ada"]]


@given(odd=SHOWN.filter(lambda name: name != "*"), folder=ODD, ending=st.sampled_from(ENDINGS))
@example(odd="vip[1]", folder="in[1]", ending="csv")
@example(odd="**", folder="?", ending="parquet")
@example(odd="e\u0301", folder="e\u0301", ending="xlsx")
@example(odd="a\nb", folder="\\", ending="csv.gz")
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_odd_file_and_a_plain_one_are_both_read_once_by_a_glob_a_folder_and_functions(
    odd: str, folder: str, ending: str
) -> None:
    with tempfile.TemporaryDirectory() as top:
        place = Path(top)
        write_members(place / folder / f"{odd}.{ending}", "ada")
        write_members(place / folder / f"plain of b.{ending}", "bob")
        write_members(place / folder / f".hidden.{ending}", "eve")
        os.symlink(place / folder / f"{odd}.{ending}", place / f"link.{ending}")
        odd_name = quote_literal(f"{folder}/{odd}.{ending}")
        both = [
            {"file": folder},
            {"file": f"{folder}/*.{ending}"},
            {"query": f"select user_id from {quote_literal(f'{folder}/')}"},
        ]
        one = [{"file": f"link.{ending}"}, {"query": f"select user_id from 'link.{ending}'"}]
        if function := FUNCTION.get(ending):
            one += [{"query": f"select user_id from {function.format(odd_name)}"}]
            plain_name = quote_literal(f"{folder}/plain of b.{ending}")
            both += [{"query": f"select user_id from {function.format(f'[{odd_name}, {plain_name}]')}"}]
        with Workspace(400_000_000, [top]) as workspace:
            assert [ids(workspace, place, **each) for each in both] == [["ada", "bob"]] * len(both)
            assert [ids(workspace, place, **each) for each in one] == [["ada"]] * len(one)


def ids(workspace: Workspace, place: Path, **asked: Any) -> list[str]:
    rows = FilesSource(place).read(workspace, SnapshotRequest(user_id="user_id", **asked))
    invalid_rows = workspace.all(rows.invalid_rows)
    assert invalid_rows == []
    rows.verify()
    return sorted(row[0] for row in workspace.all(rows.select))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_glob_reads_each_file_once_also_those_with_brackets(ending: str, tmp_path: Path, read: Read) -> None:
    for name, user in {"vip[1]": "ada", "vip1": "eve", "vip*": "bob", "vip?": "cyd", "vip": "dan"}.items():
        write_members(tmp_path / f"{name}.{ending}", user)
    assert read(file=f"*.{ending}").ids == ["ada", "bob", "cyd", "dan", "eve"]
    assert read(file=f"vip[1].{ending}").ids == ["ada"]
    assert read(file=f"vip[[]1].{ending}").ids == ["ada"]
    assert read(file=f"vip[12].{ending}").ids == ["eve"]
    assert read(query=f"select user_id from '*.{ending}'").ids == ["ada", "bob", "cyd", "dan", "eve"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_folder_that_a_glob_names_is_that_folder_where_it_exists(ending: str, tmp_path: Path, read: Read) -> None:
    write_members(tmp_path / "in[1]" / f"vip.{ending}", "ada")
    write_members(tmp_path / "in1" / f"vip.{ending}", "eve")
    assert read(file=f"in[1]/*.{ending}").ids == ["ada"]
    assert read(query=f"select user_id from 'in[1]/*.{ending}'").ids == ["ada"]
    assert read(file=f"{tmp_path}/in[1]/*.{ending}").ids == ["ada"]
    assert read(file=f"in[12]/*.{ending}").ids == ["eve"]


FUNCTIONS = {
    "a name": "select user_id from read_csv('m/vip[1].csv', all_varchar = true)",
    "a list": "select user_id from read_csv(['m/vip[1].csv'], all_varchar = true)",
    "a glob": "select user_id from read_csv('m/*[[]1].csv', all_varchar = true)",
    "a glob in a folder": "select user_id from read_csv('m[1]/*.csv', all_varchar = true)",
    "what a file is like": "select distinct 'ada' as user_id from sniff_csv('m/vip[1].csv') where Delimiter = ','",
    "a folder": "select user_id from read_csv('plan=free/', all_varchar = true)",
    "a folder with a value": "select user_id from read_csv('plan=free/a.csv', all_varchar = true) where plan = 'pro'",
}


@pytest.mark.parametrize("query", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_functions_that_read_files_mean_the_same_files(query: str, tmp_path: Path, read: Read) -> None:
    write_members(tmp_path / "m" / "vip[1].csv", "ada")
    write_members(tmp_path / "m" / "vip1.csv", "eve")
    write_members(tmp_path / "m[1]" / "vip.csv", "ada")
    write_members(tmp_path / "m1" / "vip.csv", "eve")
    write_members(tmp_path / "plan=free" / "a.csv", "ada")
    assert read(query=query).ids == ["ada"]


def test_an_absolute_path_in_a_query_is_read_like_any_other(tmp_path: Path, read: Read) -> None:
    write_members(tmp_path / "user_id=5" / "vip[1].csv", "007")
    assert read(query=f"select user_id from '{tmp_path}/user_id=5/vip[1].csv'").ids == ["007"]


def test_a_name_that_is_no_utf_8_is_read(tmp_path: Path, read: Read) -> None:
    name = os.fsdecode(b"vip\xff.csv")
    write_members(tmp_path / name, "ada")
    assert read(file="*.csv").ids == ["ada"]


@pytest.fixture(params=["user_id=5", "a[1]", "plan=free", "*"])
def temporary(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / str(request.param)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert [each.name for each in folder.iterdir()] == []


def test_the_folder_for_temporary_files_may_be_called_anything(temporary: Path, tmp_path: Path) -> None:
    write_members(tmp_path / "in" / "vip[1].csv.gz", "ada")
    with Workspace(400_000_000, [str(tmp_path / "in")]) as workspace:
        table = workspace.load({"user_id": "VARCHAR"}, [[("bob",)]])
        path = workspace.path(".parquet")
        workspace.run(f"copy {table} to {quote_literal(str(path))} (format parquet)")
        assert workspace.all(f"from read_parquet({quote_literal(str(path))})") == [("bob",)]
        assert ids(workspace, tmp_path / "in", file="vip[1].csv.gz") == ["ada"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_forms_of_one_letter_are_two_names(ending: str, tmp_path: Path, read: Read) -> None:
    for name, user in {"\u00e9": "ada", "e\u0301": "eve"}.items():
        write_members(tmp_path / f"{name}.{ending}", user)
    assert read(file=f"\u00e9.{ending}").ids == ["ada"]
    assert read(file=f"e\u0301.{ending}").ids == ["eve"]
    assert read(query=f"select user_id from '\u00e9.{ending}'").ids == ["ada"]
    assert read(query=f"select user_id from 'e\u0301.{ending}'").ids == ["eve"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_link_is_read_by_its_own_name_wherever_it_leads(ending: str, tmp_path: Path, read: Read) -> None:
    write_members(tmp_path / "in[1]" / f"to[1].{ending}", "ada")
    write_members(tmp_path / "in1" / f"to1.{ending}", "eve")
    os.symlink(f"in[1]/to[1].{ending}", tmp_path / f"from[1].{ending}")
    os.symlink("in[1]", tmp_path / "folder[1]")
    os.symlink("nowhere", tmp_path / f"broken.{ending}")
    assert read(file=f"from[1].{ending}").ids == ["ada"]
    assert read(file=f"folder[1]/*.{ending}").ids == ["ada"]
    assert read(file=f"*.{ending}").ids == ["ada"]
    assert read(query=f"select user_id from 'folder[1]/to[1].{ending}'").ids == ["ada"]


def test_remote_names_with_brackets_mean_themselves(read: Read) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe(
        {
            "/odd[1]/vip[1].csv": b"user_id\nada\n",
            "/odd[1]/vip1.csv": b"user_id\neve\n",
            "/odd1/vip1.csv": b"user_id\nx\n",
        }
    )
    source = FilesSource("memory://odd[1]")
    assert read(source, file="vip[1].csv").ids == ["ada"]
    assert read(source, file="*.csv").ids == ["ada", "eve"]
    assert read(source, file="vip[12].csv").ids == ["eve"]
    assert read(source, query="select user_id from 'vip[1].csv'").ids == ["ada"]
    fsspec.filesystem("memory").pipe({"/top/odd[1]/vip.csv": b"user_id\nada\n", "/top/odd1/vip.csv": b"user_id\neve\n"})
    assert read(FilesSource("memory://top"), file="odd[1]/*.csv").ids == ["ada"]
    assert read(FilesSource("memory://top"), file="odd[12]/*.csv").ids == ["eve"]


def test_files_keep_their_names_in_messages(write: Write, read: Read) -> None:
    write("plan=free/vip[1].csv", "user_id,plan\nada,1\n,2\n")
    assert read(file="plan=free/vip[1].csv").invalid_rows == [("plan=free/vip[1].csv", 2, "", "empty user id")]
