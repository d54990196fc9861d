"""No table, temporary file or `ps` has a secret, after success, refusal, failure or a kill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import DATABASES
from destinations.receiver import Receiver, Reply
from sqlalchemy import create_engine, inspect

from audience_sync.store.tables import VIEWS
from audience_sync.store.tables.views import view_prefix

from .conftest import ACCEPTED, SILENCE, Project, segment, until

KEY, TOKEN, PASSWORD = "wk-4f0c2a9d7e61", "T01/B02/path-token-1", "pa55-of-the-warehouse"
EMAIL = "ada.lovelace@example.org"


def everything_in(url: str) -> dict[str, str]:
    """The text of every table and view."""
    engine = create_engine(url)
    with engine.connect() as connection:
        names = {name: name for name in inspect(engine).get_table_names()}
        names |= {name: f"{view_prefix(engine)}{name}" for name in VIEWS}
        found = {key: connection.exec_driver_sql(f"select * from {name}").fetchall() for key, name in names.items()}
    engine.dispose()
    return {key: str(each) for key, each in found.items()}


@pytest.fixture
def secretive(new_vip: Project, receiver: Receiver) -> Project:
    """Secrets everywhere, and temporary files in a folder of their own."""
    temporary = new_vip.folder / "temporary"
    temporary.mkdir()
    new_vip.environment |= {
        "TMPDIR": str(temporary),
        "WRITE_KEY": KEY,
        "HOOK": f"{receiver.url}/{TOKEN}",
        "WAREHOUSE": f"postgresql://reader:{PASSWORD}@127.0.0.1:1/nowhere",
    }
    return new_vip


def configure(project: Project, receiver: Receiver, store: str) -> None:
    project.environment["STORE"] = store
    project.configure(
        store="${STORE}",
        sources={"shop": {"files": "."}, "warehouse": {"database": "${WAREHOUSE}"}},
        audiences=[
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
            {"name": "Risk", "source": "warehouse", "query": "select 1 as user_id"},
        ],
        destinations={
            "segment": segment(receiver, write_key="${WRITE_KEY}", give_up_after="500ms"),
            "hook": {"type": "webhook", "url": "${HOOK}", "body": "batch", "give_up_after": "500ms"},
        },
    )


@pytest.mark.parametrize("database", DATABASES)
def test_no_column_of_any_table_has_a_secret(
    secretive: Project, receiver: Receiver, database: str, new_url: Callable[..., str]
) -> None:
    url = new_url(database, with_schema=True)
    configure(secretive, receiver, url)
    secretive.sync()
    for status in (400, 401, 503):
        receiver.will_answer(Reply(status, f"no: {KEY}, {TOKEN}, {PASSWORD}".encode()))
        secretive.write_members("vip.csv", "ada", "bob", f"user-{status}")
        assert secretive.sync().code == 3
    found = everything_in(url)
    assert "no: ***, ***, ***" in found["refusals"]
    assert "no: ***, ***, ***" in found["run_destinations"]
    assert "connection failed" in found["run_audiences"]
    assert [
        (table, secret) for table, text in found.items() for secret in (KEY, TOKEN, PASSWORD) if secret in text
    ] == []
    assert list((secretive.folder / "temporary").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="what ps shows is read from /proc")
def test_a_run_shows_no_secret_to_ps_and_a_killed_one_leaves_none_behind(
    secretive: Project, receiver: Receiver, new_url: Callable[..., str]
) -> None:
    configure(secretive, receiver, new_url("sqlite", with_schema=True))
    receiver.will_answer(SILENCE)
    command = secretive.command("sync", "-v")
    running = subprocess.Popen(command, cwd=secretive.folder, env=secretive.environment, stderr=subprocess.DEVNULL)
    until(lambda: bool(receiver.requests))
    process = Path(f"/proc/{running.pid}")
    shown = [file.read_bytes() for file in (process / "cmdline", *process.glob("task/*/comm"))]
    children = [file.read_text() for file in process.glob("task/*/children")]
    os.kill(running.pid, 9)
    running.wait()
    left = [file.read_bytes() for file in (secretive.folder / "temporary").rglob("*") if file.is_file()]
    assert shown[0].endswith(b"audience_sync\0sync\0-v\0")
    assert set(children) == {""}  # no other process is started that could show one
    assert [secret for secret in (KEY, TOKEN, PASSWORD) if any(secret.encode() in text for text in shown + left)] == []


def test_an_answer_that_confuses_a_library_is_not_logged_with_its_address(
    secretive: Project, receiver: Receiver, new_url: Callable[..., str]
) -> None:
    """urllib3 warns of broken headers, with the whole address."""
    configure(secretive, receiver, new_url("sqlite", with_schema=True))
    receiver.will_answer(Reply(raw=b"HTTP/1.1 400 No\r\nno header\r\nContent-Length: 0\r\n\r\n", then="close"))
    result = secretive.run("sync", "-v")
    assert "Failed to parse headers (url=***" in result.stderr
    assert [secret for secret in (KEY, TOKEN, PASSWORD) if secret in result.stdout + result.stderr] == []


def test_a_value_that_a_database_quotes_is_neither_logged_nor_kept(
    secretive: Project, receiver: Receiver, new_url: Callable[..., str]
) -> None:
    warehouse = new_url("postgresql")
    engine = create_engine(warehouse)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"create table people as select '{EMAIL}' as email, '{{\"a\": Ada' as doc")
    engine.dispose()
    receiver.will_answer(ACCEPTED)
    secretive.environment["WAREHOUSE"] = warehouse
    secretive.configure(
        sources={"warehouse": {"database": "${WAREHOUSE}"}},
        audiences=[
            {"name": "Number", "source": "warehouse", "query": "select email::int as user_id from people"},
            {"name": "Document", "source": "warehouse", "query": "select doc::json ->> 'a' as user_id from people"},
        ],
    )
    results = [secretive.run(*command) for command in (["sync", "-v"], ["sync", "--json"], ["show", "1"], ["history"])]
    said = "".join(result.stdout + result.stderr for result in results)
    kept = str(everything_in(f"sqlite:///{secretive.store}"))
    assert "invalid input syntax for type integer: ***" in said
    assert "invalid input syntax for type json" in kept
    assert [trace for trace in ("ada.", "lovelace", "Ada") if trace in said + kept] == []
