"""Play the sample project's first week: what a dashboard has to show, made by the program itself.

Eleven runs against two services on loopback: refused calls, an outage (503), a limit (429), an undo, a hold that a
person approves, a killed process, a missing source, a hold that is still open, an audience that waits for its seed.
Between two runs all stored times are moved into the past, so that the runs seem to be half a day apart.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cli.conftest import Project, Result, until
from destinations.receiver import Received, Receiver, Reply
from sqlalchemy import DateTime

from audience_sync.project_template import copy_project_template
from audience_sync.store.tables import metadata

HOURS = 12
OK = Reply(body=b'{"success": true}')
#: Users whom a service refuses, and why.
REFUSED_BY_CONNECT = {"C-00005": "device token has expired", "007": "email address is not deliverable"}
REFUSED_BY_SEGMENT = {"C-00005": "userId is on the suppression list of this workspace"}


class Service(Receiver):
    """Accepts calls, refuses those of some users with 400, or answers everything with ``always``."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[str, str] = {}
        self.always: Reply | None = None

    def answer(self, request: Received) -> Reply:
        self.requests.append(request)
        if self.always is not None:
            return self.always
        if self._replies and len(self._replies) > 1:
            return self.next_reply()
        is_packed = request.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(request.body) if is_packed else request.body
        for user, reason in self.refused.items():
            if f'"{user}"'.encode() in body:
                return Reply(400, f'{{"message": "{reason}"}}'.encode())
        return OK


@dataclass(frozen=True)
class Week:
    """The project after its week. The services are still running."""

    project: Project
    segment: Service
    connect: Service
    results: dict[int, Result]


def play_week(folder: Path, segment: Service, connect: Service) -> Week:
    """Make the eleven runs. The last one is the newest, some seconds ago."""
    copy_project_template(folder)
    project = Project(folder)
    _configure(project, segment, connect)
    orders = folder / "examples" / "shop" / "order_completed_last_30days.csv"
    head, *members = orders.read_text("utf-8").splitlines()
    results = dict[int, Result]()

    def has(rows: list[str]) -> None:
        orders.write_text("\n".join([head, *rows, ""]), "utf-8")

    def run(*arguments: str) -> Result:
        move_into_the_past(project.store, HOURS)
        done = project.run(*arguments)
        results[len(results) + 1] = done
        return done

    run("sync", "--json")  # 1: everyone
    connect.refused, segment.refused = REFUSED_BY_CONNECT, REFUSED_BY_SEGMENT
    has([*members[2:], *(f"N-{number:03},2026-11-01 10:00:00,1" for number in range(50))])
    run("sync", "--json")  # 2: 50 entered, 2 left: they are refused
    connect.always = Reply(503, b'{"message": "service unavailable"}')
    has([*members[30:], *(f"N-{number:03},2026-11-01 10:00:00,1" for number in range(50))])
    run("sync", "--json")  # 3: an outage
    connect.always = None
    connect.will_answer(Reply(429, b'{"message": "slow down"}', {"Retry-After": "0"}), OK)
    run("sync", "--json")  # 4: limited, then everything arrives
    run("undo", "3", "--yes", "--json")  # 5
    has(members[900:])
    run("sync", "--json")  # 6: held
    run("approve", "6", "order_completed_last_30days", "--json")  # 7
    has([*members[900:], *(f"K-{number:03},2026-11-01 10:00:00,1" for number in range(40))])
    move_into_the_past(project.store, HOURS)
    _kill_in_delivery(project, connect)  # 8: killed
    results[8] = Result(-signal.SIGKILL, "", "")
    predictions = folder / "examples" / "shop" / "predictions.db"
    hidden = predictions.rename(predictions.with_suffix(".away"))
    run("sync", "--json")  # 9: continues run 8; a source is missing
    hidden.rename(predictions)
    _configure(project, segment, connect, waiting=True)
    has([*members[900:], *(f"K-{number:03},2026-11-01 10:00:00,1" for number in range(40)), ",2026-11-01 10:00:00,1"])
    run("sync", "--json")  # 10: an audience waits for its seed; a row without a user id
    has(members[1300:])
    run("sync", "--json")  # 11: held, and still open
    return Week(project, segment, connect, results)


def _configure(project: Project, segment: Service, connect: Service, *, waiting: bool = False) -> None:
    config = yaml.safe_load((project.folder / "config.yaml").read_text("utf-8"))
    pace = {"concurrency": 1, "timeout": "2s"}
    config["destinations"] = {
        "log": {"type": "file", "path": "identify_calls.jsonl"},
        "segment": {"type": "segment", "write_key": "a-write-key", "url": segment.url, **pace},
        "connect": {
            "type": "zendesk_connect",
            "private_key": "0" * 32,
            "url": connect.url,
            "give_up_after": "1s",
            **pace,
        },
    }
    config["schedule"] = {"cron": "0 6,18 * * *", "timezone": "Europe/Berlin"}
    if waiting and not any(each.get("name") == "Win Back Winter" for each in config["audiences"]):
        new = {"name": "Win Back Winter", "source": "shop", "initial": "manual", "user_id": "customer_id"}
        config["audiences"].append({**new, "file": "order_completed_last_30days.csv"})
    project.write("config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def _kill_in_delivery(project: Project, connect: Service) -> None:
    """Start a run, and kill its process while the service keeps a request without an answer."""
    connect.always = Reply(raw=b"", then="hang")
    before = len(connect.requests)
    process = project.start("sync")
    until(lambda: len(connect.requests) > before)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    connect.always = None


def move_into_the_past(store: Path, hours: int) -> None:
    """Move every stored time of a SQLite store back."""
    if not store.exists():
        return
    with closing(sqlite3.connect(store)) as connection, connection:
        for table in metadata.sorted_tables:
            times = [column.name for column in table.columns if isinstance(_type(column), DateTime)]
            for name in times:
                moved = f"strftime('%Y-%m-%d %H:%M:%f', \"{name}\", '-{hours} hours') || '000'"
                connection.execute(f'update "{table.name}" set "{name}" = {moved} where "{name}" is not null')


def _type(column: Any) -> object:
    return getattr(column.type, "impl", column.type)


def copy_week(week: Path, folder: Path) -> Project:
    """A copy of a played project, for a test that changes it."""
    shutil.copytree(week, folder, dirs_exist_ok=True)
    return Project(folder)
