"""The query page answers a query of its address, as a page, as CSV and as JSON."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from cli.conftest import Project

from .small_week import PLAN, VIP, cells, look, text_of


class TestTheQueryPage:
    def test_shows_the_rows(self, small_week: Project) -> None:
        page = look(
            small_week, "/query", sql="select user_id from audience_members where audience_key = 'vip' order by user_id"
        )
        assert cells(page.text, "result") == [["ada"], ["eve"]]
        assert "2 rows" in text_of(page.text)

    def test_has_the_documented_questions_with_this_stores_names(self, small_week: Project) -> None:
        page = text_of(look(small_week, "/query").text)
        assert "Whose membership flaps?" in page
        assert "How did the last runs go?" in page

    def test_answers_as_csv_and_as_json(self, small_week: Project) -> None:
        sql = "select run, status from sync_runs order by run limit 2"
        assert look(small_week, "/query", sql=sql, format="csv").text == "run,status\r\n1,succeeded\r\n2,succeeded\r\n"
        assert json.loads(look(small_week, "/query", sql=sql, format="json").text) == [
            {"run": 1, "status": "succeeded"},
            {"run": 2, "status": "succeeded"},
        ]

    @pytest.mark.parametrize("kind", ["", "csv"])
    def test_explains_an_error_at_its_place(self, small_week: Project, kind: str) -> None:
        query = {"sql": "select user_id\nfrom audience_membrs"} | ({"format": kind} if kind else {})
        page = look(small_week, f"/query?{urlencode(query)}")
        assert "audience_membrs" in page.text
        assert "Did you mean audience_members" in text_of(page.text)
        if not kind:
            assert "line 2, column 6" in text_of(page.text)

    def test_keeps_the_query_in_its_field(self, small_week: Project) -> None:
        page = look(small_week, "/query", sql="select '</textarea><script>alert(1)</script>' as x").text
        assert "</textarea><script>" not in page
        assert "&lt;/textarea&gt;&lt;script&gt;" in page

    def test_never_runs_a_query_that_writes(self, small_week: Project) -> None:
        before = small_week.query("select count(*) from members")
        page = look(small_week, "/query", sql="delete from members")
        assert "The query was not answered" in page.text
        assert small_week.query("select count(*) from members") == before


class TestAViewWithoutItsTable:
    @pytest.fixture
    def trait_project(self, project: Project) -> Project:
        project.write("traits.csv", "user_id,plan,email\nada,pro,ada@example.org\nbob,free,bob@example.org\n")
        project.write_members("vip.csv", "ada")
        return project

    @pytest.mark.parametrize(
        ("view", "option", "value", "reason"),
        [
            ("trait_values", "trait_values_table", False, "The config has trait_values_table: false."),
            ("trait_values", "trait_values_table", 3, "up to 3 values, users times traits (trait_values_table)."),
            ("audience_members", "members_table", False, "The config has members_table: false."),
        ],
    )
    def test_is_named_with_the_option_that_fills_it(
        self, trait_project: Project, view: str, option: str, value: object, reason: str
    ) -> None:
        trait_project.configure(audiences=[VIP], computed_traits=[PLAN], **{option: value})
        trait_project.sync()
        page = text_of(look(trait_project, "/query", sql=f"select count(*) from {view.upper()}").text)
        assert f"The view {view} is empty. " in page
        assert reason in page
        assert f"With {option}: true in the config the next run fills it." in page
        assert f"{view} (empty)" in page
        other = text_of(look(trait_project, "/query", sql="select count(*) from sync_runs").text)
        assert f"The view {view} is empty." not in other
        trait_project.configure(audiences=[VIP], computed_traits=[PLAN], **{option: True})
        waiting = text_of(look(trait_project, "/query", sql=f"select * from {view}").text)
        assert f"The config has {option}: true now, so the next run fills it." in waiting
        trait_project.sync()
        filled = text_of(look(trait_project, "/query", sql=f"select * from {view}").text)
        assert f"The view {view} is empty" not in filled

    def test_is_not_named_if_there_is_nothing_to_show(self, project: Project) -> None:
        project.configure(audiences=[VIP])
        project.write("vip.csv", "user_id\n")
        project.sync()
        page = text_of(look(project, "/query", sql="select * from trait_values").text)
        assert "The view trait_values is empty" not in page

    def test_the_members_of_an_audience_are_offered_as_a_command_then(self, project: Project) -> None:
        project.configure(audiences=[VIP], members_table=False)
        project.write_members("vip.csv", "ada", "bob")
        project.sync()
        page = look(project, "/audiences/vip").text
        assert "audience-sync members vip" in text_of(page)
        assert "table=current" not in page
