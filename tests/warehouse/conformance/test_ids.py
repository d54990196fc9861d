"""User ids and names of audiences are those that every other source finds."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.warehouse.dialects.base import Kind
from audience_sync.workspace import Workspace

from .places import Place, Runs

MISSING, EMPTY, NOT_WHOLE = "no user id", "empty user id", "user id is not a whole number"
TOO_LONG = "user id is longer than 2,500 bytes"
#: Values, and each one's id.
VALID: dict[Kind, dict[Any, str]] = {
    Kind.TEXT: {
        each: each
        for each in (
            *("ada", "Ada", " ada", "ada ", "ada  ", "adä", "ada\u0308", "ADÄ", "ß", "ss", "ı", "i"),
            *("007", "7", "7.0", "1e5", "NULL", "null", "true", "0x1f", "-0"),
            *(
                "O'Brien",
                'say "hi"',
                "back\\slash",
                "\\u0041",
                "a%b",
                "a:b",
                "a\nb",
                "a\tb",
                ";--",
                "/* */",
                "{x}",
                "?",
            ),
            *("🦊", "文字", "\ufeffada", "\u200b", "x" * 2_500, "é" * 1_250),
        )
    },
    Kind.INTEGER: {0: "0", 7: "7", -7: "-7", 2**63 - 1: "9223372036854775807", -(2**63) + 1: "-9223372036854775807"},
    Kind.DECIMAL: {
        Decimal("42.00"): "42",
        Decimal("-7.00"): "-7",
        Decimal("0.00"): "0",
        Decimal("1234567890123456789012345678.00"): "1234567890123456789012345678",
    },
    Kind.DOUBLE: {42.0: "42", -7.0: "-7", 1e15: "1000000000000000", 2.0**53: "9007199254740992"},
    Kind.DATE: {date(2026, 5, 1): "2026-05-01", date(1999, 12, 31): "1999-12-31"},
}
#: Values, and why each of them is no id.
INVALID: dict[Kind, list[tuple[Any, str]]] = {
    Kind.TEXT: [
        (None, MISSING),
        ("", EMPTY),
        (" ", EMPTY),
        ("\t\r\n\x0b\x0c", EMPTY),
        ("\u3000\u00a0\u2003\u2028\u0085", EMPTY),
        ("x" * 2_501, TOO_LONG),
        ("é" * 1_251, TOO_LONG),
        ("🦊" * 626, TOO_LONG),
    ],
    Kind.INTEGER: [(None, MISSING)],
    Kind.DECIMAL: [(None, MISSING), (Decimal("0.50"), NOT_WHOLE), (Decimal("-42.01"), NOT_WHOLE)],
    Kind.DOUBLE: [(None, MISSING), (0.5, NOT_WHOLE), (-42.25, NOT_WHOLE), (2.0**60, NOT_WHOLE)],
    Kind.DATE: [(None, MISSING)],
}


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
def test_ids_are_written_as_every_source_writes_them(kind: Kind, place: Place, workspace: Workspace) -> None:
    members = place.write("members", [(each,) for each in VALID[kind]], kind=kind)

    found = Runs(place, workspace, f"select user_id from {members}").sync()

    assert (found.entered, found.invalid) == (set(VALID[kind].values()), {})


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
def test_rows_without_a_valid_id_are_counted_by_reason_in_every_run(
    kind: Kind, place: Place, workspace: Workspace
) -> None:
    valid = next(iter(VALID[kind]))
    rows = [(value,) for value, _ in INVALID[kind]]
    members = place.write("members", [(valid,), *rows, *rows], kind=kind)
    expected = {reason: 2 * sum(why == reason for _, why in INVALID[kind]) for _, reason in INVALID[kind]}
    runs = Runs(place, workspace, f"select user_id from {members}")

    assert runs.sync() == ({VALID[kind][valid]}, set(), expected)
    assert runs.sync() == (set(), set(), expected)


def test_a_text_with_a_nul_character_is_no_id(place: Place, workspace: Workspace) -> None:
    if not place.dialect.has_nul:
        pytest.skip("its texts have no NUL characters")
    members = place.write("members", [("ada",), ("a\0b",)])

    found = Runs(place, workspace, f"select user_id from {members}").sync()

    assert found == ({"ada"}, set(), {"user id contains a NUL character": 1})


def test_texts_are_equal_if_their_bytes_are(place: Place, workspace: Workspace) -> None:
    members = place.write("members", [("ada",), ("straße",)])
    runs = Runs(place, workspace, f"select user_id from {members}")
    runs.sync()
    place.write("members", [("Ada",), ("ada ",), ("strasse",), ("straße",)])

    assert runs.sync() == ({"Ada", "ada ", "strasse"}, {"ada"}, {})


def test_names_of_audiences_are_trimmed_and_a_row_needs_one(place: Place, workspace: Workspace) -> None:
    rows = [
        ("ada", "A"),
        ("ada", " A "),
        ("bob", "B c"),
        ("bob", "\tB "),
        ("cyd", None),
        ("dan", ""),
        ("eve", "  "),
        (None, "A"),
    ]
    lists = place.write("lists", rows, audience=Kind.TEXT)

    found = Runs(place, workspace, f"select user_id, audience from {lists}", name="audience").sync()

    assert found.entered == {("A", "ada"), ("B c", "bob"), ("\tB", "bob")}
    assert found.invalid == {"no audience name": 3, "no user id": 1}


def test_a_column_that_can_not_hold_ids_is_refused(place: Place, workspace: Workspace) -> None:
    members = place.write("members", [("ada",)])

    with pytest.raises(SourceError, match=r"column 'user_id' has the type .*, which can't hold user ids"):
        Runs(place, workspace, f"select true as user_id from {members}").sync()
