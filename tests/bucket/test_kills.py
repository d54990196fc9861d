"""A run that is killed around its objects loses nothing and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Project
from sqlalchemy import update

from audience_sync.errors import LeaseLostError
from audience_sync.project.opening import load_settings, open_for_run
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import acquire
from audience_sync.store.tables import lease as lease_table
from audience_sync.sync.commit import commit
from audience_sync.sync.run import sync
from audience_sync.sync.values.request import ProgressListener, Sync

from .conftest import FolderBucket, a_project, keep_in, named_objects
from .killed import ERASURES, INSTANTS, TESTS


@pytest.fixture
def vip(tmp_path: Path, sqlite_schema: Path, bucket: FolderBucket) -> Project:
    """After the first run. One object is in the bucket that a run before had replaced."""
    project = a_project(tmp_path / "project", sqlite_schema, bucket.url)
    project.sync()
    [base] = named_objects(project)
    bucket.put(base.replace(".parquet", "-replaced.parquet"), b"PAR1")
    return project


def kill(project: Project, instant: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "bucket.killed", instant, *arguments]
    environment = project.environment | {"PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, (done.returncode, done.stdout, done.stderr)


def distinct_calls(project: Project) -> list[tuple[str, bool]]:
    """What receivers keep: they drop a message whose id they have."""
    by_id = {each["messageId"]: each for each in project.messages()}
    return [(each["userId"], each["traits"]["vip"]) for each in by_id.values()]


@pytest.mark.parametrize("instant", INSTANTS)
def test_a_kill_loses_nothing_and_leaves_no_object(instant: str, vip: Project, bucket: FolderBucket) -> None:
    vip.write_members("vip.csv", "ada", "bob", "dan")
    kill(vip, instant, "sync")
    assert named_objects(vip) <= bucket.objects().keys()

    assert vip.sync().code == 0
    vip.write_members("vip.csv", "ada", "bob", "dan", "eve")
    assert vip.sync().code == 0

    assert bucket.objects().keys() == named_objects(vip)
    assert sorted(distinct_calls(vip)) == sorted(
        [("ada", True), ("bob", True), ("cyd", True), ("cyd", False), ("dan", True), ("eve", True)]
    )
    assert vip.run("db", "check").code == 0


@pytest.mark.parametrize(
    ("place", "instant"),
    [
        *(("store", each) for each in ("before the commit", "in the commit", "after the commit")),
        *(("other", each) for each in ("after an object is put", "before the commit", "in the commit")),
        ("other", "after the commit"),
    ],
)
def test_a_kill_while_snapshots_move_leaves_each_in_one_place(
    place: str, instant: str, vip: Project, bucket: FolderBucket
) -> None:
    keep_in(vip, None if place == "store" else f"{bucket.url}/other")
    vip.write_members("vip.csv", "ada", "bob", "dan")
    kill(vip, instant, "sync")
    assert vip.run("db", "check").code == 0

    for users in (("ada", "bob", "dan"), ("ada", "bob", "eve"), ("ada", "eve", "flo")):
        vip.write_members("vip.csv", *users)
        assert vip.sync().code == 0

    assert vip.run("db", "check").code == 0
    assert bucket.objects().keys() == named_objects(vip)
    assert all("/other/" in url for url in named_objects(vip))
    assert vip.query("select user_id from audience_members order by 1") == [("ada",), ("eve",), ("flo",)]


@pytest.mark.parametrize("instant", ERASURES)
def test_a_kill_during_an_erasure_leaves_the_user_whole_or_erased(
    instant: str, vip: Project, bucket: FolderBucket
) -> None:
    kill(vip, instant, "erase", "ada")
    assert vip.run("db", "check").code == 0

    assert vip.run("erase", "ada").code == 0
    vip.write_members("vip.csv", "bob", "cyd", "dan")
    assert vip.sync().code == 0

    assert bucket.objects().keys() == named_objects(vip)
    assert not any(b"ada" in content for content in bucket.objects().values())
    assert vip.run("db", "check").code == 0


def test_a_run_that_has_lost_its_lock_may_put_an_object_but_not_point_at_it(
    vip: Project, bucket: FolderBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = named_objects(vip)
    vip.write_members("vip.csv", "ada", "bob", "dan")
    place = commit._place_files

    def place_and_lose_the_lock(*arguments: object) -> object:
        placed = place(*arguments)  # type: ignore[arg-type]
        store = Store(f"sqlite:///{vip.store}")
        with store.writing() as connection:
            connection.execute(update(lease_table).values(expires_at=0, holder=""))
        acquire(store).release()  # another process was at work meanwhile
        store.close()
        return placed

    monkeypatch.setattr(commit, "_place_files", place_and_lose_the_lock)
    monkeypatch.chdir(vip.folder)
    with open_for_run(load_settings(Path("config.yaml"))) as (parts, _), pytest.raises(LeaseLostError):
        sync(parts, Sync(), ProgressListener())
    assert named_objects(vip) == before
    assert len(bucket.objects().keys() - before) == 2

    vip.write_members("vip.csv", "ada", "bob", "eve")
    assert vip.sync().code == 0
    assert bucket.objects().keys() == named_objects(vip)


def test_a_run_reads_an_object_again_by_its_new_name_if_a_run_has_replaced_it_meanwhile(
    vip: Project, bucket: FolderBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audience_sync.history.members import members_of
    from audience_sync.store.snapshots import objects

    fetch, replaced = objects.fetch_objects, list[set[str]]()

    def replace_and_fetch(*arguments: object) -> None:
        if not replaced:
            replaced.append(named_objects(vip))
            vip.write_members("vip.csv", *(f"user {number}" for number in range(600)))
            assert vip.run("sync", "--accept", "vip").code == 0
            vip.write_members("vip.csv", *(f"user {number}" for number in range(601)))
            assert vip.sync().code == 0
        fetch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(objects, "fetch_objects", replace_and_fetch)
    store = Store(f"sqlite:///{vip.store}")
    parts = list(members_of(store, "vip", at=None, memory_limit=400_000_000))
    store.close()

    assert sum(each.members for each in parts) == 601
    assert replaced[0].isdisjoint(bucket.objects())
