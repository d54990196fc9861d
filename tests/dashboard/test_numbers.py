"""What the pages show is what `history`, `show` and `status` answer, on both databases."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from .conftest import Get
from .html import number, read
from .week import Week

RUNS = range(1, 12)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_week_has_the_numbers_of_its_story(week: Week) -> None:
    """The fixture itself: each run ended as its comment has it."""
    runs = week.project.run("history", "--json").json["runs"]
    statuses = {run["run"]: (run["command"], run["status"]) for run in runs}
    assert statuses == {
        1: ("sync", "succeeded"),
        2: ("sync", "partial"),
        3: ("sync", "partial"),
        4: ("sync", "partial"),
        5: ("undo 3", "partial"),
        6: ("sync", "held"),
        7: ("approve", "partial"),
        8: ("sync", "interrupted"),
        9: ("sync", "failed"),
        10: ("sync", "partial"),
        11: ("sync", "held"),
    }


def test_the_list_of_runs_has_the_numbers_of_history(week: Week, get: Get) -> None:
    shown = read(get("/runs").text).tables[0]
    history = week.project.run("history", "--json").json["runs"]
    assert [number(row[0]) for row in shown.rows] == [run["run"] for run in history]
    for row, run in zip(shown.rows, history, strict=True):
        cells = dict(zip(shown.head, row, strict=True))
        assert cells["Status"] == run["status"]
        assert cells["Command"] == run["command"]
        for column, name in (
            ("Entered", "entered"),
            ("Delivered", "delivered"),
            ("Refused", "refused"),
            ("Pending", "pending"),
        ):
            assert number(cells[column]) == run[name], (run["run"], column)
        assert -number(cells["Left"]) == run["left"]


@pytest.mark.parametrize("run", RUNS)
def test_the_page_of_a_run_has_the_numbers_of_show(week: Week, get: Get, run: int) -> None:
    page = read(get(f"/runs/{run}").text)
    show: dict[str, Any] = week.project.run("show", str(run), "--json").json
    audiences = page.table("Audiences") if show["audience_syncs"] else None
    if audiences:
        names = {name: number(cell) for name, cell in audiences.column("After").items()}
        assert sorted(names.values()) == sorted(each["members_after"] for each in show["audience_syncs"])
        assert sum(number(each) for each in audiences.column("Entered").values()) == show["entered"]
        assert -sum(number(each) for each in audiences.column("Left").values()) == show["left"]
        invalid = sum(each["invalid"] for each in show["audience_syncs"])
        assert sum(number(each) for each in audiences.column("Invalid rows").values()) == invalid
    deliveries = page.table("Deliveries")
    for each in show["deliveries"]:
        for column, name in (
            ("Calls", "calls"),
            ("Accepted", "delivered"),
            ("Refused", "refused"),
            ("Pending", "pending"),
        ):
            assert number(deliveries.column(column)[each["destination"]]) == each[name]
    refused = show["refusals"]
    if refused:
        counts = [number(row[2]) for row in page.table("Refused, by reason").rows]
        assert sum(counts) == len(refused)
    else:
        assert "No call was refused in this run." in page.text
    if show["invalid_rows"]:
        assert sum(number(row[2]) for row in page.table("Invalid rows").rows) == len(show["invalid_rows"])


def test_the_members_and_the_changes_of_home_are_those_of_history(week: Week, get: Get) -> None:
    page = read(get("/").text)
    members = page.table("Audiences").column("Members")
    for name, key in (("Order Completed Last 30days", "order_completed_last_30days"), ("Churn Risk", "churn_risk")):
        newest = week.project.run("history", key, "--limit", "1", "--json").json["runs"][0]
        assert number(members[name]) == newest["members_after"]
    assert members["Win Back Winter"] == "–"


def test_home_says_what_needs_a_person_and_what_to_type(week: Week, get: Get) -> None:
    page = read(get("/").text)
    for command in (
        "audience-sync approve 11 order_completed_last_30days",
        "audience-sync reject 11 order_completed_last_30days",
        "audience-sync retry --destination connect",
        "audience-sync retry --destination segment",
        "audience-sync seed win_back_winter",
    ):
        assert command in page.text
    assert "1 audience is held" in page.text
    refused = week.project.query("select destination, count(*) from refused_calls group by destination order by 1")
    for destination, count in refused:
        assert number(page.table("Destinations").column("Refused")[destination]) == count


def test_destinations_have_the_numbers_of_the_views(week: Week, get: Get) -> None:
    page = get("/destinations?range=30d").text
    query = "select destination, sum(delivered), sum(refused) from deliveries group by destination"
    sums = {name: (accepted, refused) for name, accepted, refused in week.project.query(query)}
    rows = rows_of(get("/destinations?range=30d&format=csv&table=calls").text)
    for name, (accepted, refused) in sums.items():
        mine = [row for row in rows if row["destination"] == name]
        assert sum(int(row["delivered"]) for row in mine) == accepted
        assert sum(int(row["refused"]) for row in mine) == refused
    for status in ("503", "429", "400", "200"):
        assert f">{status}<" in page
    assert "device token has expired" in page
    assert "Remove the token in the source" in page
    answers = rows_of(get("/destinations?range=30d&format=csv&table=answers").text)
    requests = week.project.query("select count(*) from requests")[0][0]
    assert sum(int(row["requests"]) for row in answers) == requests


def test_every_table_is_saved_as_csv_and_json_with_the_same_rows(get: Get) -> None:
    for path, tables in (
        ("/runs", ["runs"]),
        ("/", ["runs", "audiences", "destinations"]),
        ("/runs/2", ["stages", "audiences", "deliveries", "refusals", "invalid_rows"]),
        ("/destinations", ["destinations", "calls", "answers", "refused"]),
    ):
        for table in tables:
            saved = get(f"{path}?format=csv&table={table}")
            assert saved.headers["content-type"] == "text/csv; charset=utf-8"
            same = json.loads(get(f"{path}?format=json&table={table}").text)
            assert len(rows_of(saved.text)) == len(same)
            if same:
                assert rows_of(saved.text)[0].keys() == same[0].keys()


def test_a_filter_leaves_the_runs_that_match(get: Get) -> None:
    def runs(query: str) -> list[str]:
        return [row[0] for row in read(get(f"/runs?{query}").text).tables[0].rows]

    assert runs("status=held") == ["11", "6"]
    assert runs("status=failed") == ["9"]
    assert runs("audience=win_back_winter") == ["11", "10"]
    assert runs("before=4") == ["3", "2", "1"]
    assert "No run matches this filter." in get("/runs?from=2020-01-01&to=2020-01-02").text
    assert [row["run"] for row in rows_of(get("/runs?status=held&format=csv").text)] == ["11", "6"]
