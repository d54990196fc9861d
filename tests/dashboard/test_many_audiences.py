"""With many audiences every list has pages of 50, and the files have all of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli.conftest import Project

from audience_sync.dashboard.files import write_files

from .small_week import NOW, cells, look, site_of, text_of

COUNT = 60


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path) -> Project:
    """One run of 60 audiences, whose names are in a column."""
    project = Project(tmp_path_factory.mktemp("many"))
    shutil.copy(sqlite_schema, project.store)
    rows = [f"u{number},Audience {number:02}" for number in range(COUNT)]
    project.write("members.csv", "\n".join(["user_id,audience", *rows, ""]))
    project.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "members.csv"}])
    project.sync()
    return project


@pytest.mark.parametrize(("path", "heading"), [("/audiences", "main"), ("/runs/1", "au")])
def test_a_list_has_pages_of_50_with_links_between_them(many: Project, path: str, heading: str) -> None:
    first, second = look(many, path).text, look(many, path, number=2).text
    assert [row[0].split(" audience_")[0] for row in cells(first, heading)] == [f"Audience {n:02}" for n in range(50)]
    assert [row[0].split(" audience_")[0] for row in cells(second, heading)] == [
        f"Audience {n:02}" for n in range(50, COUNT)
    ]
    assert "1–50 of 60 Next" in text_of(first)
    assert "51–60 of 60 Previous" in text_of(second)
    assert cells(look(many, path, number=9).text, heading) == cells(second, heading)


def test_home_names_25_and_leads_to_all(many: Project) -> None:
    page = look(many, "/").text
    assert len(cells(page, "auds")) == 25
    assert "25 of 60 All audiences" in text_of(page)


@pytest.fixture
def many_holds(project: Project) -> Project:
    """A run that holds the last 8 of 30 audiences, whose rows are gone."""
    project.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "members.csv"}])
    for count in (30, 22):
        rows = [f"u{number},Audience {number:02}" for number in range(count)]
        project.write("members.csv", "\n".join(["user_id,audience", *rows, ""]))
        assert project.run("sync").code in (0, 4)
    return project


def test_home_names_first_what_needs_a_person(many_holds: Project) -> None:
    names = [row[0] for row in cells(look(many_holds, "/").text, "auds")]
    assert names[:9] == [*(f"Audience {number}" for number in range(22, 30)), "Audience 00"]


def test_a_run_shows_some_of_its_holds_and_one_command_for_all(many_holds: Project) -> None:
    page = text_of(look(many_holds, "/runs/2").text)
    shown = [number for number in range(22, 30) if f"audience-sync approve 2 audience_{number}" in page]
    assert shown == [22, 23, 24, 25, 26]
    assert "3 more holds: Audience 27, Audience 28, Audience 29." in page
    for command in ("show 2", "approve 2", "reject 2"):
        assert f"audience-sync {command} Copy" in page


def test_files_have_no_pages_to_turn(many: Project, tmp_path: Path) -> None:
    write_files(site_of(many), tmp_path / "site", now=NOW)
    for name, heading in (("audiences.html", "main"), ("run-1.html", "au")):
        assert len(cells((tmp_path / "site" / name).read_text("utf-8"), heading)) == COUNT
