"""The pages of audiences show the numbers that the commands print."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from html import unescape
from urllib.parse import urlencode

import pytest
from cli.conftest import Project

from audience_sync.dashboard.queries import audience

from .small_week import MASK, NEWS, VIP, cells, dated, facts, json_of, look, text_of


class TestTheList:
    def test_has_every_audience_with_its_members_state_and_changes(self, small_week: Project) -> None:
        page = look(small_week, "/audiences")
        assert page.status == 200
        rows = {row[0].split()[0]: row for row in cells(page.text, "main")}
        assert rows["VIP"][1:4] == ["2", "0", "0"]
        assert rows["VIP"][5] == "held"
        assert rows["Newsletter"][1] == "4"
        for key, name in (("vip", "VIP"), ("newsletter", "Newsletter")):
            members = small_week.run("members", key).stdout.splitlines()[1:]
            assert rows[name][1] == str(len(members))

    def test_counts_memberships(self, small_week: Project) -> None:
        assert "6 memberships in 2 audiences" in text_of(look(small_week, "/audiences").text)

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ({"q": "news"}, ["Newsletter"]),
            ({"q": "VIP"}, ["VIP"]),
            ({"status": "held"}, ["VIP"]),
            ({"source": "shop"}, ["Newsletter", "VIP"]),
            ({"sort": "members"}, ["Newsletter", "VIP"]),
            ({"q": "<script>"}, []),
        ],
    )
    def test_is_filtered_and_sorted_by_its_address(
        self, small_week: Project, query: dict[str, str], names: list[str]
    ) -> None:
        page = look(small_week, f"/audiences?{urlencode(query)}")
        found = [row[0].split()[0] for row in cells(page.text, "main")] if names else []
        assert found == names
        if not names:
            assert "No audience matches" in page.text
            assert "&lt;script&gt;" in page.text
            assert "<script>alert" not in page.text

    def test_of_an_empty_store_says_what_fills_it(self, project: Project) -> None:
        project.configure(audiences=[VIP])
        assert "audience-sync plan" in text_of(look(project, "/audiences").text)

    def test_shows_audiences_that_wait_are_frozen_or_retired(self, project: Project) -> None:
        project.configure(audiences=[VIP, {**NEWS, "initial": "manual"}, {**NEWS, "name": "Old"}])
        project.write_members("vip.csv", "ada")
        project.write_members("news.csv", "ada", "bob")
        project.sync()
        project.run("freeze", "vip", "--reason", "campaign")
        project.run("retire", "old", "--yes")
        rows = {row[0].split()[0]: row for row in cells(look(project, "/audiences").text, "main")}
        assert {name: row[5] for name, row in rows.items()} == {
            "VIP": "frozen",
            "Newsletter": "waiting",
            "Old": "retired",
        }

    def test_is_saved_as_csv(self, small_week: Project) -> None:
        rows = list(csv.DictReader(io.StringIO(look(small_week, "/audiences", format="csv").text)))
        assert [(row["key"], row["members"]) for row in rows] == [("newsletter", "4"), ("vip", "2")]


class TestAnAudience:
    def test_has_the_history_that_the_command_prints(self, small_week: Project) -> None:
        page = look(small_week, "/audiences/vip", range="all").text
        found = re.search(r'<script type="application/json" id="d">(.*?)</script>', page)
        assert found
        data = json.loads(found[1])
        history = json_of(small_week, "history", "vip")["runs"]
        printed = {each["run"]: each for each in history}
        assert dict(zip(data["run"], data["members"], strict=True)) == {
            run: each["members_after"] for run, each in printed.items()
        }
        assert dict(zip(data["run"], data["left"], strict=True)) == {
            run: -each["left"] for run, each in printed.items()
        }
        # The first creation is an event, and no bar.
        assert data["entered"][0] == 0
        assert data["entered"][1:] == [printed[run]["entered"] for run in data["run"][1:]]

    def test_shows_the_hold_with_both_commands(self, small_week: Project) -> None:
        page = text_of(look(small_week, "/audiences/vip").text)
        assert "Held since run 5" in page
        assert "2 of 2 members would leave" in page
        assert "audience-sync approve 5 vip" in page
        assert "audience-sync reject 5 vip" in page

    def test_lists_who_entered_and_left_newest_first(self, small_week: Project) -> None:
        rows = cells(look(small_week, "/audiences/vip").text, "who")
        assert [(row[1], row[2], row[3]) for row in rows] == [
            ("bob", "left", "4"),
            ("bob", "entered", "3"),
            ("eve", "entered", "3"),
            ("bob", "left", "2"),
        ]

    @pytest.mark.parametrize("at_once", [1, 2, 200])
    def test_names_who_comes_and_goes(self, small_week: Project, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audience, "RUNS_AT_ONCE", at_once)
        (row,) = cells(look(small_week, "/audiences/vip").text, "flap")
        assert row[:2] == ["bob", "3"]

    def test_shows_the_overlap_in_both_directions(self, small_week: Project) -> None:
        rows = cells(look(small_week, "/audiences/vip").text, "overlap")
        assert [row[0] for row in rows] == ["VIP", "Newsletter"]
        # VIP is ada and eve, the newsletter ada, bob, cyd and dan.
        assert rows[0][1:] == ["2 members", "50% 1"]
        assert rows[1][1:] == ["25% 1", "4 members"]

    def test_says_that_there_is_no_overlap_without_rows_of_members(self, project: Project) -> None:
        project.configure(audiences=[VIP, NEWS], members_table=False)
        project.write_members("vip.csv", "ada")
        project.write_members("news.csv", "ada")
        project.sync()
        assert "members_table: false" in text_of(look(project, "/audiences/vip").text)

    def test_marks_what_people_and_guards_did(self, project: Project) -> None:
        project.configure(audiences=[VIP], guard={"at_least": 1, "max_removed": "40%"})
        for run, members in enumerate((["ada", "bob"], ["ada", "bob", "cyd"], ["ada"]), 1):
            project.write_members("vip.csv", *members)
            project.sync()
            dated(project, run, run)
        project.run("approve", "3", "vip")
        project.run("undo", "4", "--yes")
        page = look(project, "/audiences/vip", range="all")
        assert [row[:2] for row in cells(page.text, "chart")] == [
            ["held", "run 5"],  # the source would repeat what was undone
            ["undone", "run 5"],
            ["approved", "run 4"],
            ["held", "run 3"],
            ["created", "run 1"],
        ]

    def test_that_has_never_been_loaded_claims_no_members_and_names_the_command(self, project: Project) -> None:
        project.configure(audiences=[VIP])
        assert project.run("sync").code == 3
        page = text_of(look(project, "/audiences/vip").text)
        assert "The last run could not load it. No file 'vip.csv'" in page
        assert "Nothing was sent. audience-sync check" in page
        assert "It has no members yet." in page
        assert "No user has entered or left yet." in page
        assert "since it was created" not in page
        assert "the other audiences" not in text_of(look(project, "/runs/1").text)

    def test_that_no_run_has_synced_yet_is_named_with_the_command_that_does(self, project: Project) -> None:
        project.configure(audiences=[VIP])
        project.write_members("vip.csv", "ada")
        project.sync()
        project.configure(audiences=[VIP, {**NEWS, "name": "Fresh"}, {**NEWS, "name": "Wave", "initial": "manual"}])
        for key, command in (("fresh", "audience-sync sync fresh"), ("wave", "audience-sync seed wave")):
            page = look(project, f"/audiences/{key}")
            assert page.status == 404
            assert "is in the config, but no run has synced it yet" in text_of(page.text)
            assert command in text_of(page.text)
        assert "There is no audience with the key “nothing”" in text_of(look(project, "/audiences/nothing").text)

    def test_still_shows_the_invalid_rows_of_a_source_that_has_not_changed(self, project: Project) -> None:
        project.configure(audiences=[VIP, NEWS])
        os.utime(project.write("vip.csv", 'user_id,plan\nada,a\n"",b\n"",c\n'), (1, 1))
        project.write_members("news.csv", "ada")
        project.sync()
        project.write_members("news.csv", "ada", "bob")
        project.sync()
        project.query("update runs set started_at = '2026-03-01 06:00:00.000000', finished_at = started_at")
        page = look(project, "/audiences/vip").text
        assert cells(page, "invalid") == [["empty user id", "2", "2, 3 vip.csv"]]
        run = text_of(look(project, "/runs/2").text)
        assert "2 rows of VIP, whose source has not changed since run 1." in run
        assert "None." not in run
        assert "whose source has not changed" not in text_of(look(project, "/runs/1").text)
        rows = list(csv.DictReader(io.StringIO(look(project, "/audiences/vip", format="csv", table="invalid").text)))
        assert [(row["run"], row["row"]) for row in rows] == [("1", "2"), ("1", "3")]

    def test_groups_the_invalid_rows_of_the_last_run(self, project: Project) -> None:
        project.configure(audiences=[VIP])
        project.write("vip.csv", 'user_id,name\nada,a\n"",b\n"",c\n')
        project.sync()
        page = look(project, "/audiences/vip").text
        assert facts(page)["Invalid rows"] == "2 run 1"
        assert cells(page, "invalid") == [["empty user id", "2", "2, 3 vip.csv"]]

    def test_describes_its_entry_in_the_config(self, small_week: Project) -> None:
        page = text_of(look(small_week, "/audiences/vip").text)
        assert "File vip.csv" in page
        assert "max_removed 60%" in page

    def test_that_does_not_exist_is_not_found(self, small_week: Project) -> None:
        page = look(small_week, "/audiences/%3Cscript%3E")
        assert page.status == 404
        assert "<script>" not in page.text.replace('<script src="', "").replace("</script>", "")

    def test_has_tables_whose_queries_give_the_same_rows_as_their_files(self, small_week: Project) -> None:
        page = look(small_week, "/audiences/vip").text
        links = re.findall(r'href="([^"]+)">CSV</a> <a href="[^"]+">JSON</a> <a href="([^"]+)">Query</a>', page)
        assert len(links) == 3  # members over time, who entered and left, members now
        for saved, query in ((unescape(file), unescape(sql)) for file, sql in links):
            rows = look(small_week, saved).text
            assert len(rows.splitlines()) > 1
            assert look(small_week, f"{query}&format=csv").text == rows

    def test_has_the_members_that_the_command_lists(self, small_week: Project) -> None:
        saved = csv.DictReader(io.StringIO(look(small_week, "/audiences/vip", format="csv", table="current").text))
        listed = csv.DictReader(io.StringIO(small_week.run("members", "vip").stdout))
        assert [row["user_id"] for row in saved] == [row["user_id"] for row in listed]

    def test_has_pages_of_changes_without_gaps(self, project: Project) -> None:
        project.configure(audiences=[VIP], guard={"at_least": 1000})
        users = [f"u{number:03}" for number in range(130)]
        project.write_members("vip.csv", "zed")
        project.sync()
        project.write_members("vip.csv", "zed", *users)
        project.sync()
        for masked in (False, True):
            seen, address = list[str](), "/audiences/vip"
            for _ in range(10):
                page = look(project, address, masked=masked).text
                seen += [row[1] for row in cells(page, "who")]
                following = re.search(r'href="([^"#]+)#who" rel="next"', page)
                if following is None:
                    break
                address = following[1].replace("&amp;", "&")
                assert not (masked and re.search("u[0-9]{3}", address))
            assert seen == [MASK.id(each) if masked else each for each in users]
