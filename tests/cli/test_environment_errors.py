"""Scarce memory, a removed folder, a damaged store and long numbers each have their own message."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import audience_sync.destinations.file
from audience_sync.destinations.boundary import destination_error_message
from audience_sync.errors import SourceError
from audience_sync.model import RunId
from audience_sync.sources.base import Source
from audience_sync.sources.boundary import BoundedSource

from .conftest import Project

NINES = "9" * 5_000
VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}

#: A line of the config with a number of 5,000 digits, and the option that is named.
LONG_NUMBERS = {
    "a whole number": (f"guard: {{at_least: {NINES}}}", "guard.at_least"),
    "a number with a fraction": (f"guard: {{max_removed: {NINES}.5}}", "guard.max_removed"),
    "where none is meant": (f"members_table: {NINES}", "members_table"),
    "in hexadecimal": (f"metrics: {{port: 0x{NINES}}}", "metrics.port"),
    "as text": (f'guard: {{max_removed: "{NINES}"}}', "guard.max_removed"),
    "a size": (f"memory_limit: {NINES}MB", "memory_limit"),
    "a duration": (f"schedule: {{every: {NINES}s}}", "schedule.every"),
    "a negative one": (f"guard: {{at_least: -{NINES}}}", "guard.at_least"),
}


@pytest.mark.parametrize(("line", "option"), LONG_NUMBERS.values(), ids=LONG_NUMBERS)
def test_a_number_of_thousands_of_digits_in_the_config_is_one_problem(vip: Project, line: str, option: str) -> None:
    with (vip.folder / "config.yaml").open("a") as config:
        config.write(f"{line}\n")

    refused = vip.sync()

    assert refused.code == 2
    assert [each["path"] for each in refused.json["problems"]] == [option]
    assert "a number has at most 100 digits" in refused.json["problems"][0]["message"]
    assert "999999" not in refused.stdout + refused.stderr


def test_an_id_of_a_hundred_digits_may_be_a_name(vip: Project) -> None:
    vip.configure(audiences=[{**VIP, "name": "9" * 90, "key": "nines"}])

    assert vip.sync().code == 0


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:s3cret@host:port/db",
        "postgresql://ana:pa/s3cret@host/db:x",
        "postgresql://ana:s3cret@[::1/db",
        "postgresql://host:s3cret/db",
        "postgresql://ana:s3cret@host/db?port=abc",
    ],
)
def test_a_url_of_the_store_with_a_port_that_is_not_a_number_is_refused_without_a_part_of_it(
    vip: Project, url: str
) -> None:
    vip.configure(audiences=[VIP], store=url)

    refused = vip.run("sync")

    assert refused.code == 3
    assert "s3cret" not in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("place", [16, 18, 24, 40, 44, 56, 92])
def test_a_store_with_a_damaged_header_is_damage(vip: Project, place: int) -> None:
    assert vip.sync().code == 0
    with closing(sqlite3.connect(vip.store)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    with vip.store.open("r+b") as file:
        file.seek(place)
        file.write(b"\xa5" * 64)

    ended = vip.run("sync")

    assert ended.code == 3
    assert "The file is damaged: restore a backup of the store." in ended.stderr


def test_a_memory_limit_that_no_machine_has_is_no_limit(vip: Project) -> None:
    vip.configure(audiences=[VIP], memory_limit="99999999999999999999TB")

    assert vip.sync().code == 0


@pytest.mark.parametrize(
    "deep", ["[" * 5_000 + "]" * 5_000, '{"a":' * 900 + "1" + "}" * 900, "[" * 101 + "]" * 101, "1" * 5_000]
)
def test_a_value_that_is_stored_too_deep_is_explained_as_its_text(vip: Project, deep: str) -> None:
    """As an earlier version stored it."""
    from audience_sync.history.explain.as_json import value_json
    from audience_sync.history.explain.value_history import ValueChange

    assert value_json(ValueChange(run=RunId(1), value=deep)) == {"value": deep}


def test_a_value_within_the_limit_is_explained_as_json() -> None:
    from audience_sync.history.explain.as_json import value_json
    from audience_sync.history.explain.value_history import ValueChange

    brackets_in_text = '{"a": "[[[\\"[", "b": [[1]]}'
    assert value_json(ValueChange(run=RunId(1), value=brackets_in_text)) == {"value": {"a": '[[["[', "b": [[1]]}}


#: Statements that put bytes into a store which are no text.
NO_TEXT = {
    "a name": "update properties set name = cast(x'ff41' as text)",
    "a run": "update runs set command = cast(x'c328' as text)",
    "an identity": "update installation set uuid = cast(x'ff' as text)",
    "the lease": "update lease set holder = cast(x'ff' as text)",
}


@pytest.mark.parametrize("statement", NO_TEXT.values(), ids=NO_TEXT)
def test_text_in_a_store_that_is_no_utf_8_is_damage(vip: Project, statement: str) -> None:
    assert vip.sync().code == 0
    with closing(sqlite3.connect(vip.store)) as connection, connection:
        connection.execute(statement)

    ended = [vip.run("sync"), vip.run("history"), vip.run("explain", "ada")]

    damaged = [each for each in ended if each.code]
    assert damaged
    assert {each.code for each in damaged} == {3}
    for each in damaged:
        assert "text in it is not UTF-8" in each.stderr
        assert "The file is damaged: restore a backup of the store." in " ".join(each.stderr.split())


def test_a_schema_with_a_name_that_is_no_text_is_damage(vip: Project) -> None:
    assert vip.sync().code == 0
    with closing(sqlite3.connect(vip.store)) as connection, connection:
        connection.execute("pragma writable_schema = on")
        connection.execute("update sqlite_schema set name = cast(x'ff27' as text), sql = 'no' where name = 'runs'")

    ended = vip.run("sync")

    assert ended.code == 3
    assert "The file is damaged: restore a backup of the store." in " ".join(ended.stderr.split())


def limited(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


@pytest.mark.parametrize(
    "error",
    [
        "MemoryError()",
        "OSError(12, 'no')",
        "ImportError('x: failed to map segment')",
        'RuntimeError("can\'t start new thread")',
        "SystemError('error return without exception set')",
    ],
)
def test_a_lack_of_memory_is_said_with_what_to_do(vip: Project, error: str) -> None:
    bug = (
        "import audience_sync.sync.plan_run as planning\n\n"
        "def plan_run(*parts, **options):\n    raise {}\n\nplanning.plan_run = plan_run\n"
    )
    vip.write("sitecustomize.py", bug.replace("{}", error))
    vip.environment["PYTHONPATH"] = str(vip.folder)

    ended = vip.run_afresh("sync")

    assert ended.code == 3
    assert "error: there was not enough memory: " in ended.stderr
    assert "Give the process more memory (`ulimit -v`, a container's limit), or lower `memory_limit`" in ended.stderr


def test_a_process_that_may_not_load_its_libraries_says_so(vip: Project) -> None:
    ended = subprocess.run(
        vip.command("sync"),
        cwd=vip.folder,
        env=vip.environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: limited(150_000_000),
    )

    assert ended.returncode == 3
    assert "error: there was not enough memory: " in ended.stderr


@pytest.mark.parametrize("megabytes", [300, 400, 700, 1_000])
def test_an_address_space_that_is_too_small_is_refused_before_a_run_begins_to_load(
    vip: Project, megabytes: int
) -> None:
    """The C library would end the process in the middle, without a word of ours."""
    vip.run("sync")
    assert len(vip.sent()) == 3
    vip.write_members("vip.csv", "carl")
    for command in ("sync", "plan", "check", "members vip"):
        ended = subprocess.run(
            vip.command(*command.split()),
            cwd=vip.folder,
            env=vip.environment,
            capture_output=True,
            text=True,
            preexec_fn=lambda: limited(megabytes * 1_000_000),
        )
        assert ended.returncode == 3, command
        assert f"the process may use {megabytes:,} MB of address space (`ulimit -v`), and needs at least 1,200 MB" in (
            ended.stderr
        )
        assert "\n  Remove that limit: ulimit -v unlimited\n" in ended.stderr
    assert vip.sent() == []


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(12, "Cannot allocate memory"), RuntimeError("can't start new thread")],
)
def test_a_destination_that_lacks_memory_is_not_blamed_for_its_code(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        exec(compile("raise error", audience_sync.destinations.file.__file__, "exec"), {"error": error})

    assert destination_error_message(raised.value, ()) == (
        "there was not enough memory: give the process more (`ulimit -v`, a container's limit)"
    )


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(12, "Cannot allocate memory"), RuntimeError("can't start new thread")],
)
def test_a_source_that_lacks_memory_is_not_blamed_for_its_data(error: Exception) -> None:
    def opened() -> Source:
        raise error

    with pytest.raises(SourceError, match=r"^source 'shop' can't be read: there was not enough memory"):
        BoundedSource("shop", opened).check()


@pytest.mark.parametrize(
    "command",
    ["check", "history", "show 1", "sync", "plan", "db check", "db upgrade", "explain ada", "init", "members vip"],
)
def test_a_working_folder_that_was_removed_has_its_message(tmp_path: Path, command: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    start = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.argv[1], sys.argv[1:])"
    arguments = [sys.executable, "-c", start, sys.executable, "-m", "audience_sync", *command.split()]

    ended = subprocess.run(arguments, cwd=gone, env=dict(os.environ), capture_output=True, text=True)

    assert ended.returncode == 2
    assert "the folder that the command was started in was removed" in ended.stderr
    assert "hange into an existing folder" in ended.stderr
