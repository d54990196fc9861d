"""Make projects whose snapshots are in a bucket: of a local S3 server, or in a folder."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from cli.conftest import Project, Result

from .s3_server import s3_server

#: What both twins must agree on.
VIEWS = (
    "select audience_key, user_id from audience_members order by 1, 2",
    "select run, audience_key, user_id, change from membership_changes order by 1, 2, 3",
    "select run, audience_key, status, members_before, members_after, entered, left, invalid, absent, held_out "
    "from audience_syncs order by 1, 2",
    "select trait_key, user_id, value from trait_values order by 1, 2",
    "select user_id, run, trait_key, value from trait_changes order by 1, 2, 3",
    "select audience_key, user_id from absent_members order by 1, 2",
    "select audience_key, user_id from held_out_members order by 1, 2",
)
#: A time, to the second, which twins don't share.
TIME = re.compile(r"[\d-]{10}[T ][\d:]{8}")


class FolderBucket:
    """A bucket that is a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"

    def objects(self) -> dict[str, bytes]:
        """The content of every object, by its URL."""
        return {f"file://{path}": path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    def put(self, url: str, content: bytes) -> None:
        path = Path(url.removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def delete(self, url: str) -> None:
        Path(url.removeprefix("file://")).unlink()


class S3Bucket:
    """A bucket of moto's S3 server."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self.name = client, name
        self.url = f"s3://{name}/state"

    @contextmanager
    def user_without(self, right: str) -> Iterator[dict[str, str]]:
        """The keys of a user with all other rights; the server asks for rights meanwhile."""
        import boto3

        users, user = boto3.client("iam"), f"user-without-{right[3:]}"
        rights = {"s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"} - {right}
        statement = {"Effect": "Allow", "Action": sorted(rights), "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        users.create_user(UserName=user)
        users.put_user_policy(UserName=user, PolicyName="state", PolicyDocument=policy)
        key = users.create_access_key(UserName=user)["AccessKey"]
        self._require_rights_after(0)
        try:
            yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        finally:
            self._require_rights_after(10**9)

    def _require_rights_after(self, actions: int) -> None:
        """Let the server ask for rights after so many actions."""
        address = f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset-auth"
        requests.post(address, data=str(actions)).raise_for_status()

    def objects(self) -> dict[str, bytes]:
        found = self._client.list_objects_v2(Bucket=self.name).get("Contents", [])
        get = self._client.get_object
        return {
            f"s3://{self.name}/{each['Key']}": get(Bucket=self.name, Key=each["Key"])["Body"].read() for each in found
        }

    def put(self, url: str, content: bytes) -> None:
        self._client.put_object(Bucket=self.name, Key=url.split("/", 3)[3], Body=content)

    def delete(self, url: str) -> None:
        self._client.delete_object(Bucket=self.name, Key=url.split("/", 3)[3])


Bucket = FolderBucket | S3Bucket


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[Mapping[str, str]]:
    """The variables with which boto and s3fs find the local server."""
    with s3_server() as variables:
        yield variables


@pytest.fixture
def s3_bucket(
    s3_environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> S3Bucket:
    """An empty bucket. The variables are set, so that projects of this test find it."""
    import boto3

    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{abs(hash(request.node.nodeid))}"
    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    return S3Bucket(client, name)


@pytest.fixture
def bucket(tmp_path: Path) -> FolderBucket:
    """An empty folder."""
    return FolderBucket(tmp_path / "bucket")


@pytest.fixture(params=["folder", "s3"])
def any_bucket(request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket of each kind."""
    found: Bucket = request.getfixturevalue("bucket" if request.param == "folder" else "s3_bucket")
    return found


AUDIENCES = [{"name": "VIP", "source": "shop", "file": "vip.csv"}]


def a_project(folder: Path, schema: Path, state: str | None, **parts: Any) -> Project:
    """A project with the audience `vip` of ada, bob and cyd, and an empty store."""
    folder.mkdir()
    project = Project(folder)
    shutil.copy(schema, project.store)
    keep_in(project, state, **parts)
    project.write_members("vip.csv", "ada", "bob", "cyd")
    return project


def keep_in(project: Project, state: str | None, **parts: Any) -> None:
    """Configure where the snapshots are."""
    project.configure(**({"state": state} if state else {}), **{"audiences": AUDIENCES, **parts})


def named_objects(project: Project) -> set[str]:
    """The objects that the store points at."""
    found = project.query("select object_url from snapshot_files where object_url is not null")
    return {url for (url,) in found}


def chunks(project: Project) -> int:
    [(count,)] = project.query("select count(*) from snapshot_file_chunks")
    return int(count)


@dataclass(frozen=True)
class Twins:
    """Two projects with the same config, of which one keeps its snapshots in a bucket."""

    here: Project
    there: Project
    bucket: FolderBucket

    def configure(self, *, state: str | None, **parts: Any) -> None:
        """``state``: where the second one keeps its snapshots from now on."""
        keep_in(self.here, None, **parts)
        keep_in(self.there, state, **parts)

    def write(self, name: str, content: str) -> None:
        for project in (self.here, self.there):
            project.write(name, content)

    def run(self, *arguments: str) -> Result:
        """Run a command in both. They must end alike and send the same calls."""
        here, there = self.here.run(*arguments), self.there.run(*arguments)
        assert there.code == here.code, f"{here.stdout}{here.stderr}\n{there.stdout}{there.stderr}"
        if arguments[0] in ("members", "explain"):
            assert TIME.sub("", there.stdout) == TIME.sub("", here.stdout)
        assert calls(self.there) == calls(self.here)
        for view in VIEWS:
            assert self.there.query(view) == self.here.query(view)
        return there


def calls(project: Project) -> list[str]:
    """What was sent: user and properties, sorted. Each message has an id of its own."""
    found = project.messages()
    assert len({each["messageId"] for each in found}) == len(found)
    return sorted(json.dumps([each["userId"], each["traits"]]) for each in found)


@pytest.fixture
def twins(tmp_path: Path, sqlite_schema: Path, bucket: FolderBucket) -> Twins:
    here = a_project(tmp_path / "here", sqlite_schema, None)
    there = a_project(tmp_path / "there", sqlite_schema, bucket.url)
    return Twins(here, there, bucket)
