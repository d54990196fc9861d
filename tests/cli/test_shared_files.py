"""Two options of a project never name one file that is written, whatever it is called and whatever links lead to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import certifi
import pytest

from .conftest import Project

AUDIENCE = {"name": "VIP", "source": "shop", "file": "vip.csv"}
DESTINATION = "destinations.log.path"


def to(path: str) -> dict[str, Any]:
    return {"destinations": {"log": {"type": "file", "path": path}}}


#: What the config says apart from the audience and the file `calls.jsonl`; the two options that are named.
SHARED: dict[str, tuple[dict[str, Any], str, str]] = {
    "the destination is the store": (to("audience_sync.db"), DESTINATION, "store"),
    "the destination is the store's log": (to("audience_sync.db-wal"), DESTINATION, "store"),
    "the destination is a source's file": (to("vip.csv"), DESTINATION, "audiences[0].file"),
    "the destination is the config": (to("config.yaml"), DESTINATION, "the config"),
    "a symbolic link leads to a source's file": (to("symbolic.csv"), DESTINATION, "audiences[0].file"),
    "a hard link is a source's file": (to("hard.csv"), DESTINATION, "audiences[0].file"),
    "a folder's link leads back": (to("here/vip.csv"), DESTINATION, "audiences[0].file"),
    "the file of a secret is the destination": (
        {"store": "${file:secret.txt}", **to("secret.txt")},
        DESTINATION,
        "${file:...} in the config",
    ),
    "the file of the variables is the metrics'": (
        {"store": "${STORE}", "metrics": {"file": ".env"}},
        "metrics.file",
        ".env",
    ),
    "the certificates are the destination": ({"ca_file": "ca.pem", **to("ca.pem")}, DESTINATION, "ca_file"),
    "the metrics are the config": ({"metrics": {"file": "config.yaml"}}, "metrics.file", "the config"),
    "the metrics are the store": ({"metrics": {"file": "./audience_sync.db"}}, "metrics.file", "store"),
    "the metrics are a source's file": ({"metrics": {"file": "vip.csv"}}, "metrics.file", "audiences[0].file"),
    "the metrics are the destination": ({"metrics": {"file": "calls.jsonl"}}, "metrics.file", DESTINATION),
    "the store is the config": ({"store": "sqlite:///config.yaml"}, "store", "the config"),
    "the store is a source's file": ({"store": "sqlite:///vip.csv"}, "store", "audiences[0].file"),
    "the destination is a source's database": (
        {"sources": {"shop": {"files": "."}, "crm": {"database": "sqlite:///crm.db"}}, **to("crm.db")},
        DESTINATION,
        "sources.crm.database",
    ),
    "two destinations are one file": (
        {"destinations": {"log": {"type": "file", "path": "a.jsonl"}, "copy": {"type": "file", "path": "./a.jsonl"}}},
        "destinations.copy.path",
        DESTINATION,
    ),
    "a query reads the destination": (
        {"audiences": [{**AUDIENCE, "file": None, "query": "select user_id from 'calls.jsonl'"}]},
        DESTINATION,
        "audiences[0].query",
    ),
    "a glob will read the destination": (
        {"audiences": [{**AUDIENCE, "file": "*.jsonl"}]},
        DESTINATION,
        "audiences[0].file",
    ),
    "a glob over folders will read the destination": (
        {"audiences": [{**AUDIENCE, "file": "**/*.csv"}], **to("new/calls.csv")},
        DESTINATION,
        "audiences[0].file",
    ),
    "a glob in a folder with brackets will read the destination": (
        {"audiences": [{**AUDIENCE, "file": "day[1]/*.csv"}], **to("day[1]/calls.csv")},
        DESTINATION,
        "audiences[0].file",
    ),
    "a folder's files will have the destination among them": (
        {"audiences": [{**AUDIENCE, "file": "day"}], **to("day/calls.jsonl")},
        DESTINATION,
        "audiences[0].file",
    ),
    "a trait's file is the destination": (
        {"computed_traits": [{"source": "shop", "file": "traits.csv", "traits": ["plan"]}], **to("traits.csv")},
        DESTINATION,
        "computed_traits[0].file",
    ),
    "the list of suppressed users is the destination": (
        {"suppressed": [{"source": "shop", "file": "quiet.csv"}], **to("quiet.csv")},
        DESTINATION,
        "suppressed[0].file",
    ),
}


@pytest.fixture
def shop(new_vip: Project) -> Project:
    folder = new_vip.folder
    new_vip.write("traits.csv", "user_id,plan\nada,pro\n")
    new_vip.write("secret.txt", "sqlite:///audience_sync.db")
    new_vip.write(".env", "STORE=sqlite:///audience_sync.db\n")
    new_vip.write("ca.pem", certifi.contents())
    (folder / "day").mkdir()
    new_vip.write("day/vip.csv", "user_id\nada\n")
    (folder / "symbolic.csv").symlink_to("vip.csv")
    (folder / "here").symlink_to(folder)
    os.link(folder / "vip.csv", folder / "hard.csv")
    with closing(sqlite3.connect(folder / "crm.db")) as crm:
        crm.execute("create table people (user_id text)")
    return new_vip


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.parametrize(("parts", "written", "other"), SHARED.values(), ids=SHARED)
def test_one_file_for_two_options_is_refused_and_stays_as_it_was(
    shop: Project, parts: dict[str, Any], written: str, other: str
) -> None:
    shop.configure(**{"audiences": [AUDIENCE], **parts})
    before = content(shop.folder)

    synced, checked = shop.run("sync"), shop.run("check", "--json")

    assert (synced.code, checked.code) == (2, 2)
    assert f"{written}: `" in synced.stderr
    assert other in synced.stderr
    assert [each["name"] for each in checked.json["checks"] if not each["good"]] == [written]
    assert content(shop.folder) == before


def test_the_store_may_be_in_a_database_that_is_a_source(shop: Project) -> None:
    query = "select 'ada' as user_id"
    shop.configure(
        store="sqlite:///crm.db",
        sources={"crm": {"database": "sqlite:///crm.db"}},
        audiences=[{"name": "VIP", "source": "crm", "query": query}],
    )

    assert (shop.run("check").code, shop.run("sync").code) == (0, 0)


@pytest.mark.parametrize("command", [("plan",), ("seed", "vip"), ("resync",), ("undo", "1", "--yes"), ("schedule",)])
def test_every_command_that_reads_the_config_refuses_it(shop: Project, command: tuple[str, ...]) -> None:
    shop.configure(audiences=[AUDIENCE], **to("vip.csv"))

    refused = shop.run(*command)

    assert refused.code == 2
    assert f"{DESTINATION}: `vip.csv` is also the file of `audiences[0].file`" in refused.stderr


@pytest.mark.parametrize("command", [("suppress", "ada"), ("erase", "ada"), ("db", "upgrade")])
def test_a_store_that_is_the_config_is_refused_by_commands_that_need_no_more(
    shop: Project, command: tuple[str, ...]
) -> None:
    shop.configure(store="sqlite:///config.yaml", audiences=[AUDIENCE])
    before = content(shop.folder)

    refused = shop.run(*command)

    assert refused.code == 2
    assert "store: `config.yaml` is also the file of the config" in refused.stderr
    assert content(shop.folder) == before


def test_different_files_of_one_folder_may_be_written_and_read(shop: Project) -> None:
    shop.configure(
        audiences=[{**AUDIENCE, "file": "v*.csv"}, {**AUDIENCE, "name": "Day", "file": "day"}],
        metrics={"file": "audience_sync.prom"},
        **to("day.jsonl"),
    )

    assert [shop.sync("vip").code, shop.sync("day").code] == [0, 0]


def test_two_options_may_name_a_device(shop: Project) -> None:
    nowhere = {"type": "file", "path": "/dev/null"}
    shop.configure(audiences=[AUDIENCE], destinations={"one": nowhere, "two": nowhere})

    assert shop.run("plan").code == 0


#: Files of a project that a plan may not replace, and what the message says.
NOT_A_PLAN = {
    "audience_sync.db": "is also the file of `store`",
    "audience_sync.db-wal": "lies next to the database of `store`",
    "config.yaml": "is also the file of the config",
    "vip.csv": "is also the file of `audiences[0].file`",
    "hard.csv": "is also the file of `audiences[0].file` (`vip.csv`, by a link)",
    "symbolic.csv": "is also the file of `audiences[0].file` (`vip.csv`, by a link)",
    "calls.jsonl": "is also the file of `destinations.log.path`",
    "notes.txt": "exists and is not a saved plan",
    "list.json": "exists and is not a saved plan",
    "image.png": "exists and is not a saved plan",
}


@pytest.mark.parametrize(("file", "words"), NOT_A_PLAN.items(), ids=NOT_A_PLAN)
def test_a_plan_replaces_no_file_that_is_no_plan(shop: Project, file: str, words: str) -> None:
    assert shop.sync().code == 0
    shop.write("notes.txt", "Buy milk.\n")
    shop.write("list.json", '{"format": 1}')
    shop.write("image.png", b"\x89PNG\r\n\x1a\n")
    before = content(shop.folder)

    refused = shop.run("plan", "--out", file)

    assert refused.code == 2
    assert f"{file}` {words}" in refused.stderr or f"{file} {words}" in refused.stderr
    assert content(shop.folder) == before


@pytest.mark.parametrize("file", ["audience_sync.db", "calls.jsonl", "later.csv"])
def test_a_plan_is_not_written_where_a_later_run_reads_or_writes(shop: Project, file: str) -> None:
    shop.configure(audiences=[{**AUDIENCE, "file": "*.csv"}])

    refused = shop.run("plan", "--out", file)

    assert refused.code == 2
    assert not (shop.folder / file).exists()


def test_a_plan_replaces_a_plan_also_by_a_link(shop: Project) -> None:
    (shop.folder / "link.plan").symlink_to("monday.plan")
    assert [shop.run("plan", "--out", "monday.plan").code, shop.run("plan", "--out", "link.plan").code] == [0, 0]

    assert (shop.folder / "link.plan").is_symlink()
    assert shop.sync("--plan", "monday.plan").code == 0
    assert [name for name in content(shop.folder) if "monday" in name] == ["monday.plan"]
    assert (shop.folder / "monday.plan").stat().st_mode & 0o777 == 0o600


#: Content of files that no run of this program wrote, and the end of one that it tore.
NOT_CALLS = {
    "notes": b"Buy milk.\n",
    "notes without a line end": b"Buy milk",
    "a table of users": b"user_id,plan\nada,pro\n",
    "another program's JSON lines": b'{"level": "info", "msg": "started"}\n',
    "a list": b'[{"type": "identify"}]\n',
    "deeply nested": b"[" * 60_000,
    "a database": b"SQLite format 3\0" + bytes(4080),
    "a compressed file": b"\x1f\x8b\x08\0\0\0\0\0",
    "nothing but zeros": bytes(100),
}


@pytest.mark.parametrize("found", NOT_CALLS.values(), ids=NOT_CALLS)
def test_calls_are_not_appended_to_a_file_of_something_else(shop: Project, found: bytes) -> None:
    file = shop.write("notes.txt", found)
    shop.configure(audiences=[AUDIENCE], **to("notes.txt"))

    synced, checked = shop.run("sync"), shop.run("check", "--json")

    assert (synced.code, checked.code) == (2, 2)
    assert f"{DESTINATION}: `notes.txt` exists and does not begin with an identify call: a run would" in synced.stderr
    assert [each["name"] for each in checked.json["checks"] if not each["good"]] == [DESTINATION]
    assert file.read_bytes() == found
    assert not shop.store.exists()


MESSAGE = b'{"type":"identify","messageId":"a1","userId":"eve","traits":{"vip":true}}\n'
OWN_CALLS = {
    "empty": (b"", b""),
    "of calls": (MESSAGE, MESSAGE),
    "of calls that another program wrote with spaces": (
        b'{ "userId": "eve", "type": "track", "messageId": "a1" }\n',
        b'{ "userId": "eve", "type": "track", "messageId": "a1" }\n',
    ),
    "of one call that a crash tore": (b'{"type":"iden', b""),
    "of a call and one that a crash tore": (MESSAGE + MESSAGE[:30], MESSAGE),
    "of a call longer than any buffer": (
        MESSAGE[:-3] + b',"bio":"' + b"x" * 200_000 + b'"}}\n',
        MESSAGE[:-3] + b',"bio":"' + b"x" * 200_000 + b'"}}\n',
    ),
}


@pytest.mark.parametrize(("found", "kept"), OWN_CALLS.values(), ids=OWN_CALLS)
def test_calls_are_appended_to_a_file_of_calls(shop: Project, found: bytes, kept: bytes) -> None:
    file = shop.write("calls.jsonl", found)
    shop.configure(audiences=[AUDIENCE])

    assert shop.run("sync").code == 0
    assert file.read_bytes().startswith(kept + b'{"type":"identify"')


@pytest.mark.parametrize("found", NOT_CALLS.values(), ids=NOT_CALLS)
def test_metrics_do_not_replace_a_file_of_something_else(shop: Project, found: bytes) -> None:
    file = shop.write("notes.txt", found)
    shop.configure(audiences=[AUDIENCE], metrics={"file": "notes.txt"})

    synced, checked = shop.run("sync"), shop.run("check", "--json")

    assert (synced.code, checked.code) == (2, 2)
    assert "metrics.file: `notes.txt` exists and does not hold metrics of audience-sync" in synced.stderr
    assert [each["name"] for each in checked.json["checks"] if not each["good"]] == ["metrics.file"]
    assert file.read_bytes() == found


@pytest.mark.parametrize("found", [b"", b"# HELP audience_sync_info The program.\n"], ids=["empty", "of metrics"])
def test_metrics_replace_metrics(shop: Project, found: bytes) -> None:
    file = shop.write("own.prom", found)
    shop.configure(audiences=[AUDIENCE], metrics={"file": "own.prom"})

    assert [shop.run("sync").code, shop.run("sync").code] == [0, 0]
    assert b"audience_sync_store_up 1.0" in file.read_bytes()


def test_another_jobs_metrics_stay(shop: Project) -> None:
    file = shop.write("backup.prom", "# HELP backup_seconds How long it took.\nbackup_seconds 3\n")
    shop.configure(audiences=[AUDIENCE], metrics={"file": "backup.prom"})

    assert shop.run("sync").code == 2
    assert file.read_text().endswith("backup_seconds 3\n")


#: Commands that read the store's part of the config alone, and write the store.
STORE_WRITERS = [("suppress", "ada"), ("unsuppress", "ada"), ("erase", "ada"), ("freeze", "vip"), ("db", "upgrade")]


@pytest.mark.parametrize("command", [*STORE_WRITERS, ("unfreeze", "vip"), ("reject", "1")])
def test_a_command_that_writes_the_store_alone_makes_no_database_of_a_sources_file(
    shop: Project, command: tuple[str, ...]
) -> None:
    file = shop.write("quiet.csv", "")
    shop.configure(
        store="sqlite:///quiet.csv", audiences=[AUDIENCE], suppressed=[{"source": "shop", "file": "quiet.csv"}]
    )

    refused = shop.run(*command)

    assert refused.code == 2
    assert "store: `quiet.csv` is also the file of `suppressed[0].file`" in refused.stderr
    assert file.read_bytes() == b""


@pytest.mark.parametrize("command", STORE_WRITERS)
def test_a_command_that_writes_the_store_alone_needs_no_secret_of_a_destination(
    shop: Project, command: tuple[str, ...]
) -> None:
    assert shop.sync().code == 0
    shop.configure(audiences=[AUDIENCE], destinations={"segment": {"type": "segment", "write_key": "${ABSENT_KEY}"}})

    assert shop.run(*command).code == 0


@pytest.mark.parametrize(
    ("command", "words"),
    {
        ("db", "backup", "vip_later.csv"): "`vip_later.csv` is also the file of `audiences[0].file`",
        ("db", "backup", "calls.jsonl"): "`calls.jsonl` is also the file of `destinations.log.path`",
        ("db", "backup", "audience_sync.db-wal"): "lies next to the database of `store`",
        ("db", "copy", "sqlite:///vip_later.csv"): "`vip_later.csv` is also the file of `audiences[0].file`",
        ("db", "copy", "sqlite:///config.yaml"): "`config.yaml` is also the file of the config",
        ("db", "copy", "sqlite:///own.prom"): "`own.prom` is also the file of `metrics.file`",
    }.items(),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_copy_of_the_store_is_not_written_where_a_run_reads_or_writes(
    shop: Project, command: tuple[str, ...], words: str
) -> None:
    shop.configure(audiences=[{**AUDIENCE, "file": "v*.csv"}], metrics={"file": "own.prom"}, **to("new.jsonl"))
    assert shop.run("sync").code == 0
    shop.configure(audiences=[{**AUDIENCE, "file": "v*.csv"}], metrics={"file": "own.prom"})
    before = content(shop.folder)

    refused = shop.run(*command)

    assert refused.code == 2
    assert words in refused.stderr
    assert content(shop.folder) == before


def test_a_backup_replaces_nothing(shop: Project) -> None:
    assert shop.sync().code == 0
    shop.write("notes.txt", "Buy milk.\n")
    before = content(shop.folder)
    (shop.folder / "dangling.db").symlink_to("elsewhere.db")

    codes = [
        shop.run("db", "backup", file).code
        for file in ("notes.txt", "vip.csv", "config.yaml", "hard.csv", "dangling.db")
    ]

    assert codes == [3, 2, 2, 2, 3]
    assert content(shop.folder) == before
