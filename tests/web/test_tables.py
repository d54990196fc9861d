"""Rows are saved as CSV and JSON with everything a program needs, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

from audience_sync.web.events import message
from audience_sync.web.tables import csv_text, json_text, table_response
from audience_sync.web.templating import script_json

AT = datetime(2026, 11, 29, 5, 0, tzinfo=UTC)
COLUMNS = ["run", "user_id", "at", "refused", "error"]


def test_csv_has_plain_numbers_times_in_utc_and_empty_cells_for_nothing() -> None:
    text = csv_text(COLUMNS, [[1505, 'a "b", c\nd', AT, True, None], [-3, "é", AT, False, ""]])
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows == [
        COLUMNS,
        ["1505", 'a "b", c\nd', "2026-11-29 05:00:00", "true", ""],
        ["-3", "é", "2026-11-29 05:00:00", "false", ""],
    ]


def test_a_cell_that_a_spreadsheet_would_run_begins_with_an_apostrophe() -> None:
    text = csv_text(["user_id"], [["=1+1"], ["+49 170"], ["-x"], ["@a"], ["-12.5"], ["+3"]])
    assert text.split("\r\n")[1:7] == ["'=1+1", "'+49 170", "'-x", "'@a", "-12.5", "+3"]


def test_json_has_one_row_a_line_and_times_as_everywhere() -> None:
    text = json_text(COLUMNS, [[1, "a", AT, None, 2.5]])
    assert json.loads(text) == [{"run": 1, "user_id": "a", "at": "2026-11-29T05:00:00Z", "refused": None, "error": 2.5}]
    assert json_text(COLUMNS, []) == "[]\n"


def test_a_file_to_save_has_a_harmless_name() -> None:
    answer = table_response('../a "b"\r\nX: y', ["a"], [[1]], kind="csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="a-b-X-y.csv"'


def test_data_for_a_script_can_not_end_their_element() -> None:
    text = str(script_json({"id": "</script><!-- & \u2028"}))
    assert "<" not in text
    assert json.loads(text) == {"id": "</script><!-- & \u2028"}


def test_a_message_keeps_its_lines() -> None:
    assert message("<p>a\n</p>", event="x") == "event: x\ndata: <p>a\ndata: </p>\n\n"
    assert message("") == "data: \n\n"
