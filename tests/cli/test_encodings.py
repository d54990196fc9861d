"""No encoding of the surroundings ends a command: programs get UTF-8, people get what their terminal can show."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from forks import STUCK

from .conftest import Project

LATIN_1 = {"PYTHONIOENCODING": "latin-1"}
ASCII = {"PYTHONIOENCODING": "ascii"}
#: A locale without letters beyond ASCII, and Python kept from doing better.
BARE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(params=[LATIN_1, ASCII, BARE], ids=["latin-1", "ascii", "bare locale"])
def project(project: Project, request: pytest.FixtureRequest, sqlite_schema: Path) -> Project:
    shutil.copy(sqlite_schema, project.store)
    project.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"log": {"type": "file", "path": "rufe-日本.jsonl"}},
    )
    project.write_members("vip.csv", "ada", "日本", "Zoë")
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        project.environment.pop(name, None)
    project.environment.update(request.param)
    return project


def output(project: Project, *arguments: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        project.command(*arguments), cwd=project.folder, env=project.environment, capture_output=True, timeout=STUCK
    )
    return done.returncode, done.stdout, done.stderr


def test_a_run_whose_output_the_encoding_cannot_show_succeeds(project: Project) -> None:
    code, out, err = output(project, "sync")
    assert (code, err) == (0, b"")
    assert b"Run 1 succeeded" in out
    assert [user for user, _ in project.sent("rufe-日本.jsonl")] == ["Zoë", "ada", "日本"]


def test_members_are_utf8_whatever_the_encoding_is(project: Project) -> None:
    output(project, "sync")
    code, out, _ = output(project, "members", "vip")
    rows = list(csv.reader(io.StringIO(out.decode("utf-8"))))
    assert (code, [row[0] for row in rows]) == (0, ["user_id", "Zoë", "ada", "日本"])
    code, out, _ = output(project, "members", "vip", "--json")
    assert [json.loads(line)["user_id"] for line in out.decode("utf-8").splitlines()] == ["Zoë", "ada", "日本"]


@pytest.mark.parametrize(
    "arguments",
    [["history"], ["explain", "日本"], ["check"], ["plan"]],
    ids=lambda value: value[0],
)
def test_every_answer_ends_with_0_and_its_json_is_utf8(project: Project, arguments: list[str]) -> None:
    output(project, "sync")
    code, out, err = output(project, *arguments)
    assert (code, err) == (0, b"")
    assert out
    code, out, _ = output(project, *arguments, "--json")
    assert code == 0
    assert json.loads(out.decode("utf-8"))


def test_ids_on_the_command_line_and_on_stdin_are_utf8(project: Project) -> None:
    output(project, "sync")
    assert output(project, "suppress", "日本")[0] == 0
    done = subprocess.run(
        project.command("suppress", "-"),
        cwd=project.folder,
        env=project.environment,
        input="\ufeffZoë\n日本\n".encode(),
        capture_output=True,
        timeout=STUCK,
    )
    said = b"1 user suppressed, 1 already was. Nothing is sent to suppressed users, not even `false`.\n"
    assert (done.returncode, done.stdout) == (0, said)
    assert project.query("select user_id from suppressions order by user_id") == [("Zoë",), ("日本",)]


def test_an_error_that_the_encoding_cannot_show_is_printed(project: Project) -> None:
    code, out, err = output(project, "members", "日本")
    assert (code, out) == (2, b"")
    assert b"no audience '" in err


def test_json_logs_are_utf8(project: Project) -> None:
    output(project, "sync")
    project.environment["AUDIENCE_SYNC_LOG"] = "json"
    _, _, err = output(project, "members", "日本")
    assert "日本" in json.loads(err.decode("utf-8"))["message"]
