"""Snapshots lie in a bucket as objects that never change; what nothing needs is deleted by a later run."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli.conftest import Project
from conftest import NewUrl
from sqlalchemy import create_engine, text

from .conftest import Bucket, FolderBucket, a_project, chunks, keep_in, named_objects

TRAITS = [{"source": "shop", "file": "plans.csv", "traits": ["plan"]}]


@pytest.fixture
def vip(tmp_path: Path, sqlite_schema: Path, any_bucket: Bucket) -> Project:
    return a_project(tmp_path / "project", sqlite_schema, any_bucket.url)


@pytest.fixture
def local(tmp_path: Path, sqlite_schema: Path, bucket: FolderBucket) -> Project:
    return a_project(tmp_path / "project", sqlite_schema, bucket.url)


def test_a_run_puts_its_files_in_the_bucket_and_none_in_the_store(vip: Project, any_bucket: Bucket) -> None:
    assert vip.sync().code == 0
    vip.write_members("vip.csv", "ada", "bob", "dan")
    assert vip.sync().audience("vip")["entered"] == 1

    assert chunks(vip) == 0
    assert any_bucket.objects().keys() == named_objects(vip)
    assert len(named_objects(vip)) == 2
    assert vip.run("members", "vip").stdout.splitlines()[0] == "user_id,member_since"
    assert "(2 in a bucket): all checksums match" in vip.run("db", "check").stdout
    assert "vip       true" in vip.run("explain", "dan").stdout


def test_check_puts_reads_lists_and_deletes_an_object(vip: Project, any_bucket: Bucket) -> None:
    done = vip.run("check")
    assert (done.code, "objects can be put, read, listed and deleted" in done.stdout) == (0, True)
    assert any_bucket.objects() == {}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param("lost", "is missing", id="lost"),
        pytest.param("cut", "is cut off: it has fewer than the", id="truncated"),
        pytest.param("other", "has another content (its checksum does not match)", id="overwritten"),
        pytest.param("byte", "has another content (its checksum does not match)", id="one byte"),
    ],
)
def test_a_damaged_object_stops_the_run_and_resync_repairs_it(
    damage: str, words: str, vip: Project, any_bucket: Bucket
) -> None:
    vip.sync()
    vip.sent()
    [(url, content)] = any_bucket.objects().items()
    if damage == "lost":
        any_bucket.delete(url)
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        any_bucket.put(url, {"cut": content[:-20], "other": b"x" * len(content), "byte": flipped}[damage])
    vip.write_members("vip.csv", "ada", "dan")

    damaged = vip.run("sync")
    assert damaged.code == 3
    assert f"the store is damaged: the object {url} of audience vip {words}" in damaged.stderr
    assert "nothing was changed or sent" in damaged.stderr
    assert vip.sent() == []
    checked = vip.run("db", "check")
    assert checked.code == 3
    assert words in checked.stdout

    repaired = vip.run("resync", "vip", "--json")
    assert repaired.code == 0
    assert vip.sent() == [
        ("ada", {"vip": True}),
        ("bob", {"vip": False}),
        ("cyd", {"vip": False}),
        ("dan", {"vip": True}),
    ]
    vip.write_members("vip.csv", "ada", "dan", "eve")
    assert vip.sync().code == 0
    assert vip.sent() == [("eve", {"vip": True})]
    assert any_bucket.objects().keys() == named_objects(vip)


def test_replaced_objects_are_deleted_by_the_run_after_the_one_that_replaced_them(
    local: Project, bucket: FolderBucket
) -> None:
    local.sync()
    [base] = named_objects(local)
    local.write_members("vip.csv", *(f"user {number}" for number in range(600)))
    local.run("sync", "--accept", "vip")  # so many changes that they are folded into a new base
    assert base not in named_objects(local)
    assert base in bucket.objects()

    local.write_members("vip.csv", *(f"user {number}" for number in range(601)))
    local.sync()

    assert bucket.objects().keys() == named_objects(local)


def test_objects_of_another_installation_a_copy_or_another_program_are_left_alone(
    local: Project, bucket: FolderBucket
) -> None:
    local.sync()
    [base] = named_objects(local)
    folder, name = base.rsplit("/", 1)
    run, nonce, _ = name.split("-")
    others = {
        f"{bucket.url}/another-installation/1-abc-def.parquet",
        f"{folder}/1-0123456789abcdef-0123456789abcdef.parquet",  # run 1 of a copy of the store
        f"{folder}/9-{nonce}-0123456789abcdef.parquet",
        f"{folder}/notes.txt",
        f"{folder}/deeper/1-{nonce}-0123456789abcdef.parquet",
    }
    mine = f"{folder}/{run}-{nonce}-0123456789abcdef.parquet"
    for url in (*others, mine):
        bucket.put(url, b"PAR1")
    local.write_members("vip.csv", "ada", "bob")
    local.sync()

    assert bucket.objects().keys() == {*others, *named_objects(local)}


def test_the_next_run_moves_snapshots_into_the_bucket_and_back(vip: Project, any_bucket: Bucket) -> None:
    keep_in(vip, None)
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    assert (chunks(vip), any_bucket.objects()) == (2, {})

    keep_in(vip, any_bucket.url)
    assert vip.sync().audience("vip")["status"] == "unchanged"
    assert chunks(vip) == 0
    assert any_bucket.objects().keys() == named_objects(vip)
    assert len(named_objects(vip)) == 2

    keep_in(vip, None)
    vip.write_members("vip.csv", "ada", "bob", "eve")
    vip.sync()
    assert (chunks(vip), named_objects(vip)) == (3, set())
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    assert any_bucket.objects() == {}
    assert vip.query("select state_folders from installation") == [(None,)]
    assert "The store is intact" in vip.run("db", "check").stdout


def test_a_damaged_file_stays_where_it_is_when_the_others_move(local: Project, bucket: FolderBucket) -> None:
    audiences = [{"name": name, "source": "shop", "file": f"{name}.csv"} for name in ("vip", "new")]
    local.write_members("new.csv", "eve")
    keep_in(local, None, audiences=audiences)
    local.sync()
    local.query("update snapshot_file_chunks set content = zeroblob(length(content)) where file_id = 1")

    keep_in(local, bucket.url, audiences=audiences)
    assert local.sync("new").code == 0

    assert len(named_objects(local)) == 1
    assert chunks(local) == 1
    assert local.run("db", "check").code == 3


def test_erase_replaces_and_deletes_the_objects_with_the_user(vip: Project, any_bucket: Bucket) -> None:
    keep_in(vip, any_bucket.url, computed_traits=TRAITS)
    vip.write("plans.csv", "user_id,plan\nada,free\nbob,pro\n")
    vip.sync()
    vip.write_members("vip.csv", "bob", "cyd")
    vip.sync()
    before = any_bucket.objects()

    done = vip.run("erase", "ada", "--json")

    assert done.code == 0
    assert done.json["state"] == [next(iter(before)).rsplit("/", 1)[0]]
    assert any_bucket.objects().keys() == named_objects(vip)
    assert any_bucket.objects().keys().isdisjoint(before)
    assert not any(b"ada" in content for content in any_bucket.objects().values())
    assert "still has them until its own rules remove them" in vip.run("erase", "nobody").stdout.replace("\n", " ")
    assert "The store is intact" in vip.run("db", "check").stdout
    vip.write_members("vip.csv", "bob", "dan")
    assert vip.sync().audience("vip")["entered"] == 1


def test_a_backup_has_the_snapshots_and_needs_no_bucket(vip: Project, any_bucket: Bucket) -> None:
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent()
    assert vip.run("db", "backup", "backup.db").code == 0
    for url in any_bucket.objects():
        any_bucket.delete(url)

    shutil.copy(vip.folder / "backup.db", vip.store)
    assert "2 files: all checksums match" in vip.run("db", "check").stdout
    vip.write_members("vip.csv", "ada", "bob", "dan")
    assert vip.sync().code == 0
    assert vip.sent() == [("dan", {"vip": True})]
    assert chunks(vip) == 0
    assert any_bucket.objects().keys() == named_objects(vip)


def test_a_copied_store_points_at_the_same_objects(local: Project, bucket: FolderBucket, new_url: NewUrl) -> None:
    local.sync()
    objects = bucket.objects()
    url = new_url("postgresql")
    local.environment["NEW_STORE"] = url

    copied = local.run("db", "copy", "${NEW_STORE}")
    assert copied.code == 0
    assert "a run of one makes the other unusable" in " ".join(copied.stdout.split())
    local.sent()
    keep_in(local, bucket.url, store=url)
    local.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    assert local.sync().audience("vip")["entered"] == 1
    assert local.sent() == [("dan", {"vip": True})]
    assert bucket.objects().keys() > objects.keys()

    keep_in(local, None, store=url)
    local.write_members("vip.csv", "ada", "bob", "cyd")
    local.sync()
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("select count(*), count(object_url) from snapshot_files")).one()
    engine.dispose()
    assert tuple(rows) == (3, 0)
    assert local.run("db", "check").code == 0


def test_members_and_trait_values_are_filled_from_the_bucket(local: Project, bucket: FolderBucket) -> None:
    local.write("plans.csv", "user_id,plan\nada,free\nbob,pro\n")
    off = {"members_table": False, "trait_values_table": False}
    keep_in(local, bucket.url, computed_traits=TRAITS, **off)
    local.sync()
    assert local.query("select count(*) from audience_members") == [(0,)]

    keep_in(local, bucket.url, computed_traits=TRAITS)
    local.sync()

    assert local.query("select user_id from audience_members order by 1") == [("ada",), ("bob",), ("cyd",)]
    assert local.query("select user_id, value from trait_values order by 1") == [("ada", '"free"'), ("bob", '"pro"')]


def test_a_new_folder_is_closed_to_other_users_of_the_machine(local: Project, bucket: FolderBucket) -> None:
    local.sync()
    [path] = [Path(url.removeprefix("file://")) for url in bucket.objects()]
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_nothing_secret_is_stored_or_printed(vip: Project, any_bucket: Bucket) -> None:
    vip.sync()
    any_bucket.delete(next(iter(any_bucket.objects())))
    vip.write_members("vip.csv", "dan")
    done = vip.run("-v", "sync")
    assert done.code == 3
    assert "a-secret-key" not in done.stdout + done.stderr
    with closing(sqlite3.connect(vip.store)) as connection:
        assert "a-secret-key" not in "\n".join(connection.iterdump())
