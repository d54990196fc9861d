"""Half a surrogate pair in JSON lines is one invalid row, or one invalid value."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_sync.sources.values.surrogates import SurrogateScanner, replace_halves

from .conftest import Read, Write

LINES = (
    '{"user_id": "ada", "note": "a \\ud83d\\ude00", "plan": {"a": "x"}}\n'
    '{"user_id": "\\ud800", "note": "b", "plan": {"a": "x"}}\n'
    '{"user_id": "bob", "note": "c \\udc00", "plan": {"a": "x"}}\n'
    '{"user_id": "cyd", "note": "\\\\ud800", "plan": {"a": ["\\uDFFF"]}}\n'
)
NOTES = [("ada", '"a 😀"'), (None, '"b"'), ("bob", None), ("cyd", '"\\\\ud800"')]
HALF = "has half a surrogate pair in its text"


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_row_or_a_value_is_invalid_alone(name: str, write: Write, read: Read) -> None:
    write(name, gzip.compress(LINES.encode()) if name.endswith(".gz") else LINES)
    snapshot = read(file=name, traits={"note": "note"})
    assert sorted(snapshot.rows, key=str) == sorted(NOTES, key=str)
    assert snapshot.invalid_rows == [
        (name, 2, "\ufffd", "user id contains half a surrogate pair"),
        (name, 3, "bob", f"column 'note' {HALF}"),
    ]


def test_a_value_within_an_object_is_invalid_with_all_of_it(write: Write, read: Read) -> None:
    write("a.jsonl", LINES)
    snapshot = read(file="a.jsonl", traits={"plan": "plan"})
    assert dict(snapshot.rows)["bob"] == '{"a":"x"}'
    assert dict(snapshot.rows)["cyd"] is None
    assert snapshot.invalid_rows[-1] == ("a.jsonl", 4, "cyd", f"column 'plan' {HALF}")


def test_an_array_in_utf_16_has_the_same_rule(write: Write, read: Read) -> None:
    write("a.json", ("[" + ",".join(LINES.splitlines()) + "]").encode("utf-16"))
    snapshot = read(file="a.json", encoding="utf-16", traits={"note": "note"})
    assert sorted(snapshot.rows, key=str) == sorted(NOTES, key=str)


def test_a_query_over_the_file_has_the_same_rule(write: Write, read: Read) -> None:
    write("a.jsonl", LINES)
    snapshot = read(query="select user_id, upper(note) as note from 'a.jsonl'", traits={"note": "note"})
    assert sorted(snapshot.rows, key=str) == sorted(
        [("ada", '"A 😀"'), (None, '"B"'), ("bob", None), ("cyd", '"\\\\UD800"')], key=str
    )
    assert [each[2:] for each in snapshot.invalid_rows] == [
        ("\ufffd", "user id contains half a surrogate pair"),
        ("bob", f"column 'note' {HALF}"),
    ]


def test_a_column_that_is_not_read_costs_nothing(write: Write, read: Read) -> None:
    write("a.jsonl", '{"user_id": "ada", "other": "\\ud800"}\n')
    assert read(file="a.jsonl").rows == [("ada",)]
    assert read(file="a.jsonl").invalid_rows == []


ESCAPES = st.lists(st.sampled_from(["\\ud83d", "\\ude00", "\\\\", "\\u00e9", "ud83d", "x", "\\n"]), max_size=12)


@given(parts=ESCAPES, size=st.integers(min_value=1, max_value=20))
def test_however_a_text_is_cut_each_half_gets_a_placeholder_and_nothing_else(parts: list[str], size: int) -> None:
    import json

    text = "".join(parts).encode()
    chunks = [text[place : place + size] for place in range(0, len(text), size)]
    meant = json.loads(b'"' + text + b'"')
    found = json.loads(b'"' + b"".join(replace_halves(chunks)) + b'"')
    assert found == "".join("\ufdd0" if "\ud800" <= each <= "\udfff" else each for each in meant)
    halves = SurrogateScanner()
    for chunk in chunks:
        halves.scan(chunk)
    halves.scan(b"", is_last=True)
    assert halves.found or found == meant
