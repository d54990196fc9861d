"""Tables, label blocks and prose are laid out for a width, or for a pipe."""

from __future__ import annotations

import pytest

from audience_sync.cli.base.layout import PIPE, Column, Screen, json_lines, labelled, prose, table
from audience_sync.cli.views.summary import merged, warning_text
from audience_sync.text import duration, form, listed, pluralize, share_of

AUDIENCES = (
    Column("audience"),
    Column("status"),
    Column("members", right=True, keep=True),
    Column("entered", right=True),
    Column("left", right=True),
    Column("invalid", right=True),
)
ROWS = [("order_completed_last_30days", "created", 1377, 1377, 0, 2), ("big_spenders", "created", 575, 575, 0, 0)]
DESTINATIONS = (
    Column("destination"),
    Column("delivered", right=True, keep=True),
    Column("requests", right=True, lost=2),
    Column("address", lost=1),
)
WAYS = [("segment", 4900, 221, "http://127.0.0.1:18471/v1/batch")]


@pytest.mark.parametrize(
    ("warning", "text"),
    [
        pytest.param(
            "lists of shop: 3 rows without an audience name were skipped.",
            "warning: lists of shop: 3 rows without an audience name were skipped.",
            id="of a source",
        ),
        pytest.param(
            "audience 'vip': the hold of run 2 has ended.", "Audience 'vip': the hold of run 2 has ended.", id="of one"
        ),
        pytest.param(
            "computed trait 'plan': the hold of run 2 would end.",
            "Computed trait 'plan': the hold of run 2 would end.",
            id="of one trait",
        ),
        pytest.param(
            "computed traits name, plan: the hold of run 8 has ended.",
            "Computed traits name, plan: the hold of run 8 has ended.",
            id="of several traits",
        ),
        pytest.param(
            "computed traits of shop: 2 users have rows with different values.",
            "warning: computed traits of shop: 2 users have rows with different values.",
            id="of a source of traits",
        ),
        pytest.param("Skipped: vip is retired.", "Skipped: vip is retired.", id="with a label of its own"),
        pytest.param("aliases of a\x1b[2J: 1 row", 'warning: "aliases of a\\u001b[2J: 1 row"', id="of an odd name"),
    ],
)
def test_a_warning_has_its_label_or_is_a_sentence(warning: str, text: str) -> None:
    assert warning_text(warning) == text


def test_holds_that_ended_for_one_reason_share_a_sentence() -> None:
    assert merged(
        [
            "computed trait 'name': the hold of run 8 has ended. The new snapshot is within the limits.",
            "computed traits of shop: 2 users have rows with different values.",
            "audience 'vip': the hold of run 8 has ended. The new snapshot is within the limits.",
            "computed trait 'plan': the hold of run 8 has ended. The new snapshot is within the limits.",
            "computed trait 'city': the hold of run 7 has ended. The new snapshot is within the limits.",
        ]
    ) == [
        "computed traits name, plan: the hold of run 8 has ended. The new snapshot is within the limits.",
        "computed traits of shop: 2 users have rows with different values.",
        "audience 'vip': the hold of run 8 has ended. The new snapshot is within the limits.",
        "computed trait 'city': the hold of run 7 has ended. The new snapshot is within the limits.",
    ]


def test_a_terminal_leaves_out_a_column_that_is_zero_in_all_rows() -> None:
    assert table(AUDIENCES, ROWS, Screen(80)) == [
        "audience                     status   members  entered  invalid",
        "order_completed_last_30days  created    1,377    1,377        2",
        "big_spenders                 created      575      575        0",
    ]


def test_a_pipe_has_every_column() -> None:
    assert table(AUDIENCES, ROWS, PIPE) == [
        "audience                     status   members  entered  left  invalid",
        "order_completed_last_30days  created    1,377    1,377     0        2",
        "big_spenders                 created      575      575     0        0",
    ]


def test_a_table_that_is_too_wide_for_a_narrow_terminal_is_stacked() -> None:
    assert table(AUDIENCES, ROWS, Screen(60), stack_if_narrow=True) == [
        "audience",
        "  status   members  entered  invalid",
        "order_completed_last_30days",
        "  created    1,377    1,377        2",
        "big_spenders",
        "  created      575      575        0",
    ]


def test_a_pipe_never_stacks() -> None:
    wide = [("k" * 300, "created", 1, 1, 0, 0)]
    assert (
        table(AUDIENCES, wide, PIPE, stack_if_narrow=True)[1]
        == f"{'k' * 300}  created        1        1     0        0"
    )


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (80, "destination  delivered  requests  address"),
        (60, "destination  delivered  requests"),
        (30, "destination  delivered"),
    ],
)
def test_columns_are_lost_in_their_order(width: int, headings: str) -> None:
    assert table(DESTINATIONS, WAYS, Screen(width))[0] == headings


def test_a_key_is_never_cut() -> None:
    key = "an_audience_with_a_key_that_is_much_longer_than_a_line_of_a_narrow_terminal"
    assert key in table(AUDIENCES, [(key, "held", 1, 0, 0, 0)], Screen(60))


def test_a_kept_column_stays_though_it_is_zero() -> None:
    assert table(DESTINATIONS, [("log", 0, 0, "")], Screen(80)) == ["destination  delivered", "log                  0"]


def test_a_table_without_rows_has_no_lines() -> None:
    assert table(AUDIENCES, [], PIPE) == []


def test_wide_characters_fill_two_columns() -> None:
    assert table((Column("audience"), Column("n", right=True)), [("大きな", 7), ("vip", 12)], Screen(80)) == [
        "audience   n",
        "大きな     7",
        "vip       12",
    ]


def test_a_note_stands_under_its_row_wrapped_at_its_indent() -> None:
    rows = [(10, "failed"), (9, "succeeded")]
    notes = [["there is no column 'customer_id' in the file"], []]
    assert table((Column("run", right=True), Column("status")), rows, Screen(30), notes=notes) == [
        "run  status",
        " 10  failed",
        "     there is no column",
        "     'customer_id' in the file",
        "  9  succeeded",
    ]


def test_colour_repeats_a_word_and_headings_are_bold() -> None:
    rows = [("vip", "held")]
    assert table((Column("audience"), Column("status")), rows, Screen(80, colour=True)) == [
        "\x1b[1maudience\x1b[0m  \x1b[1mstatus\x1b[0m",
        "vip       \x1b[31mheld\x1b[0m",
    ]


def test_a_block_wraps_at_the_indent_of_its_texts() -> None:
    pairs = [("Change", "878 of 1,376 members (64%) would leave, 1 user would enter"), ("Limit", "30%"), ("Since", "")]
    assert labelled(pairs, Screen(50)) == [
        "  Change  878 of 1,376 members (64%) would leave,",
        "          1 user would enter",
        "  Limit   30%",
    ]


def test_a_block_in_a_pipe_is_not_wrapped() -> None:
    assert labelled([("Reason", "word " * 60)], PIPE) == ["  Reason  " + ("word " * 60).rstrip()]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 20, [""]),
        ("one two three", 20, ["one two three"]),
        ("one two three", 7, ["one two", "three"]),
        ("see /a/path/that/is/longer/than/the/line here", 12, ["see", "/a/path/that/is/longer/than/the/line", "here"]),
        ("first line\nsecond", 80, ["first line", "second"]),
    ],
)
def test_prose_is_wrapped_between_words(text: str, width: int, lines: list[str]) -> None:
    assert prose(text, Screen(width)) == lines


def test_json_is_broken_after_a_comma_between_two_values() -> None:
    text = '{"createdAt":"2021-12-12","name":"Schmidt, Emil","loyalty_member":false}'
    assert json_lines(text, Screen(40), start="  0042  ") == [
        '  0042  {"createdAt":"2021-12-12",',
        '         "name":"Schmidt, Emil",',
        '         "loyalty_member":false}',
    ]


def test_what_is_left_out_of_json_is_counted() -> None:
    text = '{"a":"11111111111111111111","b":"22222222222222222222","c":3,"d":4}'
    assert json_lines(text, Screen(40), start="  7  ", most=2) == [
        '  7  {"a":"11111111111111111111",',
        '      "b":"22222222222222222222","c":3,',
        "      ... 1 more}",
    ]


@pytest.mark.parametrize(
    ("items", "most", "count", "text"),
    [
        (["a"], 5, None, "a"),
        (["a", "b", "c"], 2, None, "a, b and 1 more"),
        (["a", "b"], 5, 1002, "a, b and 1,000 more"),
        ([], 5, None, ""),
    ],
)
def test_a_list_counts_what_it_leaves_out(items: list[str], most: int, count: int | None, text: str) -> None:
    assert listed(items, most=most, count=count) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(878, 1376, "64%"), (0, 10, "0%"), (10, 10, "100%"), (1, 1000, "< 1%"), (999, 1000, "> 99%"), (3, 0, "-")],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(part: int, whole: int, text: str) -> None:
    assert share_of(part, whole) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.4, "< 1 s"), (9.2, "9 s"), (60, "1 min"), (125, "2 min 5 s"), (12_000, "3 h 20 min")],
)
def test_a_duration_has_its_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_one_is_singular() -> None:
    assert (pluralize(1, "call"), pluralize(1234, "call"), form(1, "was"), form(2, "was")) == (
        "1 call",
        "1,234 calls",
        "was",
        "were",
    )


def test_a_long_label_has_its_text_under_it_on_a_terminal() -> None:
    name = "segment_production_europe_west"
    pairs = [(name, "Segment deletes users by regulation: in its Privacy Portal"), ("log", "remove the lines")]
    assert labelled(pairs, Screen(50)) == [
        f"  {name}",
        "    Segment deletes users by regulation: in its",
        "    Privacy Portal",
        "  log",
        "    remove the lines",
    ]
    assert labelled(pairs, PIPE) == [
        f"  {name}  Segment deletes users by regulation: in its Privacy Portal",
        f"  log{' ' * 27}  remove the lines",
    ]
