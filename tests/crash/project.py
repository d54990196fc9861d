"""Make a project whose audiences and traits change at random, and compare it with what receivers believe."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from destinations.fakes import FAKES
from sqlalchemy import Engine, NullPool, create_engine

from crash import in_slices

AUDIENCES, NAMES = ("vip", "churn_risk"), ("VIP", "Churn Risk")
BATCH_SIZE, CONCURRENCY = 50, 3
#: Audiences that were seeded by hand and are still in the config: the newest ones.
WAVES = 3
CONFIG = """
store: {store}
sources: {sources}
audiences:
{audiences}computed_traits:
  - {{source: data, file: traits.csv, traits: [plan, revenue]}}
guard: {{max_removed: 100%, max_added: 100000%}}
destinations:
  receiver: {{type: segment, write_key: a-write-key, url: "{url}", batch_size: {batch_size}, concurrency: {concurrency},
    give_up_after: 20s}}
  log: {{type: file, path: identify_calls.jsonl, batch_size: 100}}
{vendors}"""


class RandomProject:
    """A project with a number of ``users``. ``ever``: by key, the users of all snapshots that may have been sent.

    ``vendors``: vendors whose fakes are destinations, too. ``slice_users``: the commands make slices of so many users.
    ``warehouse``: the URL of a PostgreSQL database that has the audiences, and compares them; None: they are files.
    ``state``: the folder of a bucket that has the snapshots; None: the store has them.
    """

    def __init__(
        self,
        folder: Path,
        chance: random.Random,
        *,
        users: int,
        store: str,
        url: str,
        vendors: Sequence[str] = (),
        slice_users: int | None = None,
        warehouse: str | None = None,
        state: str | None = None,
    ) -> None:
        self.folder = folder
        self._state = state
        self._warehouse = None if warehouse is None else create_engine(warehouse, poolclass=NullPool)
        self._sources = {"data": {"files": "data"}, "warehouse": {"database": warehouse, "compare": "in_warehouse"}}
        self._vendors = vendors
        self._slice_users = slice_users
        self._chance = chance
        self._url = url
        self.store = store
        self._users = [f"user-{number:05d}" for number in range(users)]
        self.members: dict[str, set[str]] = {
            key: {user for user in self._users if chance.random() < 0.4} for key in AUDIENCES
        }
        self.traits: dict[str, dict[str, Any]] = {user: self._values() for user in self._users}
        self.ever: dict[str, set[str]] = {key: set() for key in AUDIENCES}
        (folder / "data").mkdir(parents=True)
        if self._warehouse is not None:
            with self._warehouse.begin() as connection:
                connection.exec_driver_sql("create schema audience_sync")
        self.waves: list[str] = []
        self.configure()

    @property
    def store_url(self) -> str:
        """The store as another process opens it, from any folder."""
        return self.store.replace("sqlite:///", f"sqlite:///{self.folder}/")

    def configure(self) -> None:
        audiences = [{"name": name, **self._snapshot(key)} for name, key in zip(NAMES, AUDIENCES, strict=True)]
        audiences += [{"name": key, **self._snapshot(key), "initial": "manual"} for key in self.waves]
        sources = self._sources if self._warehouse is not None else {"data": self._sources["data"]}
        options = {"batch_size": BATCH_SIZE, "concurrency": CONCURRENCY, "give_up_after": "20s"}
        vendors = {name: FAKES[name].destination(name, f"{self._url}/{name}", **options) for name in self._vendors}
        text = CONFIG.format(
            store=self.store,
            url=self._url,
            sources=json.dumps(sources),
            audiences="".join(f"  - {json.dumps(each)}\n" for each in audiences),
            batch_size=BATCH_SIZE,
            concurrency=CONCURRENCY,
            vendors="".join(f"  {name}: {json.dumps(each)}\n" for name, each in vendors.items()),
        )
        state = "" if self._state is None else f"state: {self._state}\n"
        (self.folder / "config.yaml").write_text(state + text, "utf-8")

    def _snapshot(self, key: str) -> dict[str, str]:
        """Where an audience is read from, as options of the config."""
        if self._warehouse is None:
            return {"source": "data", "file": f"{key}.csv"}
        return {"source": "warehouse", "query": f"select user_id from {key}"}

    def new_wave(self, number: int) -> str:
        """Add an audience that waits for `seed`, and remove the oldest from the config."""
        key = f"wave_{number}"
        self.members[key] = {user for user in self._users if self._chance.random() < 0.4}
        self.ever[key] = set()
        self.waves = [*self.waves, key][-WAVES:]
        self.configure()
        self.write()
        return key

    def move_to(self, store: str) -> None:
        self.store = store
        self.configure()

    def _values(self) -> dict[str, Any]:
        return {"plan": self._chance.choice(["free", "gold", None]), "revenue": self._chance.randrange(5)}

    def change(self) -> None:
        """Let some users enter, leave, or get other values."""
        for key in (*AUDIENCES, *self.waves):
            for user in self._chance.sample(self._users, len(self._users) // 20):
                self.members[key] ^= {user}
        for user in self._chance.sample(self._users, len(self._users) // 20):
            self.traits[user] = self._values()

    def write(self) -> None:
        """Write the snapshots, each by a rename."""
        for key in (*AUDIENCES, *self.waves):
            self.ever[key] |= self.members[key]
            if self._warehouse is None:
                self._table(key, ["user_id"], ([user] for user in sorted(self.members[key])))
            else:
                self._write_to(self._warehouse, key)
        rows = ([user, values["plan"] or "", values["revenue"]] for user, values in self.traits.items())
        self._table("traits", ["user_id", "plan", "revenue"], rows)

    def _write_to(self, warehouse: Engine, key: str) -> None:
        with warehouse.begin() as connection:
            connection.exec_driver_sql(f"create table if not exists {key} (user_id text)")
            connection.exec_driver_sql(f"delete from {key}")
            connection.exec_driver_sql(f"insert into {key} select unnest(%s::text[])", (sorted(self.members[key]),))

    def tables_left_over(self) -> list[str]:
        """The tables in the warehouse that the store does not name."""
        if self._warehouse is None:
            return []
        with self._warehouse.connect() as connection:
            query = "select tablename from pg_tables where schemaname = 'audience_sync'"
            there = set(connection.exec_driver_sql(query).scalars())
        store = create_engine(self.store_url, poolclass=NullPool)
        with store.connect() as connection:
            named = set(connection.exec_driver_sql("select table_name from source_states").scalars())
        return [f"left over in the warehouse: {each}" for each in sorted(there - named)]

    def differing_objects(self) -> list[str]:
        """The objects in the bucket that the store does not name, and those that are missing."""
        if self._state is None:
            return []
        import boto3

        name, _, prefix = self._state.removeprefix("s3://").partition("/")
        pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix)
        there = {f"s3://{name}/{each['Key']}" for page in pages for each in page.get("Contents", [])}
        store = create_engine(self.store_url, poolclass=NullPool)
        with store.connect() as connection:
            query = "select object_url from snapshot_files where object_url is not null"
            named = set(connection.exec_driver_sql(query).scalars())
        return [f"in the bucket or in the store alone: {each}" for each in sorted(there ^ named)]

    def _table(self, name: str, header: list[str], rows: Any) -> None:
        part = self.folder / "data" / f"{name}.part"
        with part.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        part.replace(self.folder / "data" / f"{name}.csv")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the installed command."""
        command = [sys.executable, "-m", "audience_sync", *arguments, "--json"]
        if self._slice_users is not None:
            command = in_slices.command(self._slice_users, *arguments, "--json")
        environment = {**os.environ, "PYTHONPATH": str(in_slices.TESTS)}
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def finish(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> int:
        """Run a command without killing it, and return its exit code, which must be one of ``codes``."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode in codes, (arguments, process.returncode, out.decode(), err.decode())
        return process.returncode

    def differences(self, believed: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """The differences between a receiver's belief and the truth."""
        found = []
        for user in self._users:
            known = believed.get(user, {})
            for key in (*AUDIENCES, *self.waves):
                is_member, sent = user in self.members[key], known.get(key)
                if sent is not is_member and not (sent is None and not is_member):
                    found.append(f"{user}: {key} is {is_member}, believed {sent}")
                if sent is False and user not in self.ever[key]:
                    found.append(f"{user}: was sent an exit from {key} without having been in it")
            for key, value in self.traits[user].items():
                if known.get(key) != value:
                    found.append(f"{user}: {key} is {value!r}, believed {known.get(key)!r}")
        return found


def believed_by_file(path: Path) -> dict[str, dict[str, Any]]:
    """What a reader of the file destination believes. A line that a kill has cut is skipped."""
    users: dict[str, dict[str, Any]] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            message = json.loads(line)
            users.setdefault(message["userId"], {}).update(message["traits"])
    return users
