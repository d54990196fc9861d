"""``members`` writes CSV that every reader reads back."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from audience_sync.cli.base.layout import display_id

from .conftest import Project
from .terminal import at_a_terminal

#: Ids that a reader of CSV could take for something else, as the store has them.
AWKWARD = {
    "carriage return": "a\rb",
    "line end": "a\nb",
    "quote": 'say "hi"',
    "comma": "a,b",
    "escape sequence": "a\x1b[31mb",
    "next line": "a\x85b",
    "space within": "a b",
    "formula": "=1+1",
}


@pytest.fixture
def project(project: Project, sqlite_schema: Path) -> Project:
    shutil.copy(sqlite_schema, project.store)
    return project


def synced(project: Project, *users: str) -> None:
    project.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.jsonl"}])
    project.write("vip.jsonl", "".join(f"{json.dumps({'user_id': user})}\n" for user in users))
    assert project.run("sync").code == 0


@pytest.mark.parametrize("user", AWKWARD.values(), ids=AWKWARD)
def test_an_id_is_read_back_as_it_was_written(project: Project, user: str) -> None:
    synced(project, "ada", user)
    rows = list(csv.reader(io.StringIO(project.run("members", "vip").stdout, newline="")))
    assert rows[0] == ["user_id", "member_since"]
    assert sorted(row[0] for row in rows[1:]) == sorted(["ada", user])


def test_only_the_ids_that_need_quotes_have_them(project: Project) -> None:
    synced(project, "ada", "Zoë", "a b", "a,b", 'say "hi"', "a\rb")
    written = [line.rpartition(",")[0] for line in project.run("members", "vip").stdout.split("\n")[1:-1]]
    assert written == ["Zoë", '"a\rb"', "a b", '"a,b"', "ada", '"say ""hi"""']


def test_on_a_terminal_control_characters_are_escaped_and_the_file_is_offered(project: Project) -> None:
    synced(project, "ada", "a\x1b[31mb")
    _, seen, err = at_a_terminal(project, "members", "vip")
    assert "\x1b" not in seen
    assert '"""a\\u001b[31mb"""' in seen
    assert err == "2 members of vip. As a file: audience-sync members vip > vip.csv\n"


def test_an_audience_without_members_has_its_header(project: Project) -> None:
    synced(project, "ada")
    assert project.run("members", "vip", "--at", "2020-01-01").stdout == "user_id,member_since\n"
    assert project.run("members", "vip", "--at", "2020-01-01", "--json").stdout == ""


def test_an_unknown_audience_writes_no_header(project: Project) -> None:
    synced(project, "ada")
    wrong = project.run("members", "nope")
    assert (wrong.code, wrong.stdout) == (2, "")


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ("ada", "ada"),
        ("Zo\u00eb", "Zo\u00eb"),
        ("a\x7fb", '"a\\u007fb"'),
        ("a\x9b31mb", '"a\\u009b31mb"'),
        ("\x1b[31mred", '"\\u001b[31mred"'),
        ("a\u202eb", '"a\\u202eb"'),
        ("a\u200bb", '"a\\u200bb"'),
        ("a\U000e0001b", '"a\\udb40\\udc01b"'),
    ],
)
def test_an_id_for_people_has_no_sign_that_controls_a_terminal(user: str, shown: str) -> None:
    assert display_id(user) == shown
