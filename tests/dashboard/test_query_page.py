"""The query page answers a query of its address, as a page, as CSV and as JSON."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from cli.conftest import Project

from .small_week import cells, look, text_of


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
