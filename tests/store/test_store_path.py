"""The store lies exactly where the config says, whatever characters the path has."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from audience_sync.config.loader import load_store, read_store_url
from audience_sync.config.read.paths import sqlite_url
from audience_sync.errors import SourceError
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate

ODD = [
    "shop_feature%2Flogin",
    "nightly%20export",
    "what?",
    "a%",
    "a%25b",
    "a#b&c=d+e;f:g@h",
    "Bestände ÄÖ 顧客",
    " spaces  within ",
    "two\nlines",
    "back\\slash\ttab'\"quotes",
    "file:x?mode=memory",
    ":memory:",
]


def store_of(folder: Path, text: str = "{}") -> Store:
    config = folder / "config.yaml"
    config.write_text(text, "utf-8")
    return Store(load_store(config, environment=None, variables={}).store)


@pytest.mark.parametrize("name", ODD)
def test_a_store_lies_in_the_folder_of_its_config(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    store = store_of(folder)
    migrate.upgrade(store)
    store.close()
    assert store.file == folder / "audience_sync.db"
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert "audience_sync.db" in {each.name for each in folder.iterdir()}


@pytest.mark.parametrize(
    ("written", "file"),
    [
        ("data.db", "data.db"),
        ("data%20x.db", "data x.db"),
        ("data%2520x.db", "data%20x.db"),
        ("what%3F.db", "what?.db"),
        ("data x.db?timeout=5", "data x.db"),
        ("a+b.db", "a+b.db"),
        ("100%.db", "100%.db"),
    ],
)
def test_the_text_of_a_url_is_percent_encoded_and_the_folder_is_not(tmp_path: Path, written: str, file: str) -> None:
    folder = tmp_path / "a%20b"
    folder.mkdir()
    assert store_of(folder, f"store: sqlite:///{written}").file == folder / file


def test_two_folders_of_which_one_is_the_others_encoding_share_nothing(tmp_path: Path) -> None:
    plain, encoded = tmp_path / "a b", tmp_path / "a%20b"
    for folder in (plain, encoded):
        folder.mkdir()
    assert store_of(plain).file == plain / "audience_sync.db"
    assert store_of(encoded).file == encoded / "audience_sync.db"


@pytest.mark.parametrize("name", ODD)
def test_the_url_of_another_store_is_relative_to_the_folder_it_is_named_in(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    assert Store(read_store_url("sqlite:///new.db", folder, {})).file == folder / "new.db"
    assert Store(sqlite_url(folder / "new.db")).file == folder / "new.db"


@pytest.mark.parametrize("name", ODD)
def test_a_source_in_an_sqlite_file_is_that_file(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        connection.execute("create table people (user_id text)")
    assert DatabaseSource(sqlite_url(folder / "shop.db")).check().endswith(", connected")
    with pytest.raises(SourceError, match=r"(?s)the SQLite database .* does not exist"):
        DatabaseSource(sqlite_url(folder / "other.db")).check()
