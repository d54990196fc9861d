"""`dashboard --out` writes the pages as files that need no server."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from cli.conftest import Project

from audience_sync.dashboard.file_links import for_files
from audience_sync.dashboard.files import FolderError, refuse_foreign, write_files

from .small_week import MASK, NOW, site_of


@pytest.fixture
def written(small_week: Project, tmp_path: Path) -> Path:
    write_files(site_of(small_week, masked=True), tmp_path / "site", now=NOW)
    return tmp_path / "site"


class TestTheFiles:
    def test_have_a_page_for_each_run_and_audience(self, written: Path) -> None:
        pages = {path.name for path in written.glob("*.html")}
        assert pages == {
            *("index.html", "audiences.html", "runs.html", "destinations.html"),
            *("audience-vip.html", "audience-newsletter.html"),
            *(f"run-{run}.html" for run in range(1, 6)),
        }

    def test_link_to_files_that_exist_and_to_nothing_else(self, written: Path) -> None:
        for page in written.glob("*.html"):
            for address in re.findall(r'\b(?:href|src)="([^"]*)"', page.read_text("utf-8")):
                if address.startswith(("#", "data:")):
                    continue
                target, _, _ = address.partition("#")
                assert not target.startswith(("/", "http")), f"{page.name}: {address}"
                assert (written / unquote(target)).is_file(), f"{page.name}: {address}"

    def test_have_no_form_and_no_id(self, written: Path) -> None:
        for page in written.rglob("*"):
            if page.suffix in (".html", ".csv", ".json", ".sql"):
                text = page.read_text("utf-8")
                assert "<form" not in text
                assert not re.search(r"\b(bob|eve|cyd)\b", text), page.name
        assert MASK.id("bob") in (written / "audience-vip.html").read_text("utf-8")

    def test_show_ids_only_if_asked_to(self, small_week: Project, tmp_path: Path) -> None:
        write_files(site_of(small_week), tmp_path / "site", now=NOW)
        assert ">bob<" in (tmp_path / "site" / "audience-vip.html").read_text("utf-8")

    def test_have_the_chart_with_its_script_and_data(self, written: Path) -> None:
        page = (written / "audience-vip.html").read_text("utf-8")
        assert 'src="static/vendor/uPlot.iife.min.js"' in page
        assert '<svg class="area"' in page

    def test_leave_nothing_next_to_them(self, written: Path) -> None:
        assert [path.name for path in written.parent.iterdir() if path.name != "site"] == []


class TestTheCommand:
    def test_writes_pseudonyms_and_counts_what_it_wrote(self, small_week: Project, tmp_path: Path) -> None:
        done = small_week.run("dashboard", "--out", str(tmp_path / "site"), "--json")
        assert done.code == 0, done.stderr
        assert {name: done.json[name] for name in ("pages", "runs", "audiences", "ids")} == {
            "pages": 11,
            "runs": 5,
            "audiences": 2,
            "ids": "masked",
        }

    def test_refuses_another_folder_and_a_use_that_means_nothing(self, small_week: Project, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        other = small_week.run("dashboard", "--out", str(tmp_path))
        assert (other.code, "notes.txt" in other.stderr) == (2, True)
        assert small_week.run("dashboard", "--show-ids").code == 2

    def test_without_a_store_names_the_first_command(self, project: Project, tmp_path: Path) -> None:
        project.configure(audiences=[])
        project.store.unlink()
        done = project.run("dashboard", "--out", str(tmp_path / "site"))
        assert "The first run creates it: audience-sync sync" in done.stderr
        assert not (tmp_path / "site").exists()


class TestAFolder:
    def test_of_ours_is_replaced(self, small_week: Project, written: Path) -> None:
        (written / "run-1.html").write_text("old")
        write_files(site_of(small_week, masked=True), written, now=NOW)
        assert (written / "run-1.html").read_text("utf-8") != "old"

    def test_with_other_files_is_left_alone(self, small_week: Project, written: Path) -> None:
        (written / "notes.txt").write_text("mine")
        with pytest.raises(FolderError, match=r"notes\.txt"):
            write_files(site_of(small_week), written, now=NOW)
        assert (written / "notes.txt").read_text() == "mine"

    def test_that_is_not_ours_is_left_alone(self, small_week: Project, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "a.txt").write_text("mine")
        with pytest.raises(FolderError, match=r"a\.txt"):
            refuse_foreign(tmp_path / "mine")

    def test_that_is_empty_is_used(self, small_week: Project, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert write_files(site_of(small_week), tmp_path / "empty", now=NOW).runs == 5

    def test_that_is_a_file_or_a_link_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "link").symlink_to(tmp_path)
        for name in ("file", "link"):
            with pytest.raises(FolderError, match="not a folder"):
                refuse_foreign(tmp_path / name)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a class="x" href="/runs/4">4</a>', '<a class="x" href="run-4.html">4</a>'),
        ('<a href="/runs/4#sent">4</a>', '<a href="run-4.html#sent">4</a>'),
        ('<a href="/runs/5">5</a>', "5"),
        ('<a href="/runs/4?x=1">older</a>', "older"),
        ('<a href="data/x.csv">CSV</a>', '<a href="data/x.csv">CSV</a>'),
        ('<a href="#main">skip</a>', '<a href="#main">skip</a>'),
        ('<link rel="stylesheet" href="/static/0123abc/style.css">', '<link rel="stylesheet" href="static/style.css">'),
        ('a<form action="/x"><input></form>b', "ab"),
    ],
)
def test_links_are_relative_or_gone(html: str, expected: str) -> None:
    assert for_files(html, {"/runs/4": "run-4.html"}) == expected
