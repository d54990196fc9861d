"""Durations, rates, shares, sizes and cron expressions are read as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audience_sync.config.json_schema import size_text
from audience_sync.config.read.units import (
    duration_text,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
)
from audience_sync.config.sections.cron import parse_cron
from audience_sync.config.sections.guard import Threshold


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1.5h", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        (timedelta(seconds=7), timedelta(seconds=7)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: object, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["5", 5, "5 minutes", "-5m", "", None, True, "m", "1e3s"])
def test_a_duration_without_a_unit_says_how_to_write_it(text: object) -> None:
    with pytest.raises(ValueError, match="a duration is a number and a unit: 500ms, 30s, 5m"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "message"), [("0s", "must be more than zero"), ("999999999999d", "too long")])
def test_a_duration_has_a_sensible_length(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_duration(text)


@pytest.mark.parametrize("text", ["2d", "36h", "90m", "30s", "500ms"])
def test_a_duration_is_shown_as_it_is_written(text: str) -> None:
    assert duration_text(parse_duration(text)) == text


@pytest.mark.parametrize(("text", "per_second"), [("50/s", 50.0), ("90/m", 1.5), ("3600/h", 1.0), ("0.5/s", 0.5)])
def test_a_rate_is_a_number_per_second_minute_or_hour(text: str, per_second: float) -> None:
    assert parse_rate(text) == per_second


@pytest.mark.parametrize("text", ["50", 50, "50/d", "/s", "fast", None, "0/s"])
def test_another_rate_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("value", "share"),
    [("20%", 0.2), (0.2, 0.2), ("0.2", 0.2), (1, 1.0), (0, 0.0), ("250%", 2.5), ("12.5 %", 0.125)],
)
def test_a_share_is_a_percentage_or_a_number_up_to_1(value: object, share: float) -> None:
    assert parse_share(value) == share


@pytest.mark.parametrize("value", ["1.5", "2", 1.5, 20, "%", "-5%", True, None])
def test_another_share_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a share is a percentage such as 20%, or a number from 0 to 1"):
        parse_share(value)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("768MB", 768_000_000),
        ("1GB", 1_000_000_000),
        ("512MiB", 536_870_912),
        ("1.5 gb", 1_500_000_000),
        ("10B", 10),
        (1024, 1024),
    ],
)
def test_a_size_is_a_number_and_a_unit(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["768", "768 megs", "iB", "5iB", True, None, -1])
def test_another_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a size is a number and a unit: 768MB, 1GB, 512MiB"):
        parse_size(text)


@pytest.mark.parametrize(("size", "text"), [(768_000_000, "768MB"), (2_000_000_000, "2GB"), (1025, "1025B")])
def test_a_size_is_shown_as_it_is_written(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("value", "threshold"),
    [
        ("30%", Threshold(share=0.3)),
        ("250%", Threshold(share=2.5)),
        (0.3, Threshold(share=0.3)),
        (1.0, Threshold(share=1.0)),
        (1, Threshold(count=1)),
        (5000, Threshold(count=5000)),
        ("5000", Threshold(count=5000)),
    ],
)
def test_a_limit_is_a_share_or_a_count(value: object, threshold: Threshold) -> None:
    assert Threshold.parse(value) == threshold


@pytest.mark.parametrize("value", ["many", -1, 1.5, True, None])
def test_another_limit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="write a share such as `30%`, or a whole number of users"):
        Threshold.parse(value)


@pytest.mark.parametrize(
    ("threshold", "text"),
    [(Threshold(share=0.3), "30%"), (Threshold(share=0.025), "2.5%"), (Threshold(count=5000), "5000")],
)
def test_a_limit_is_shown_as_it_is_written(threshold: Threshold, text: str) -> None:
    assert str(threshold) == text


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("*/15 * * * *", "*/15 * * * *"),
        ("0  6 * *   mon-fri", "0 6 * * mon-fri"),
        ("0 0 1,15 JAN-mar 7", "0 0 1,15 JAN-mar 7"),
        ("0-30/10 8-18 * * *", "0-30/10 8-18 * * *"),
        ("@daily", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ],
)
def test_a_cron_expression_is_what_a_crontab_takes(text: str, fields: str) -> None:
    assert parse_cron(text) == fields


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("@reboot", "five fields"),
        ("60 * * * *", "the minute must be from 0 to 59"),
        ("0 25 * * *", "the hour must be from 0 to 23"),
        ("0 0 0 * *", "the day of the month must be from 1 to 31"),
        ("0 0 * 13 *", "the month must be from 1 to 12"),
        ("0 0 * * 8", "the weekday must be from 0 to 7"),
        ("*/0 * * * *", "the minute's step"),
        ("30-10 * * * *", "the minute's range runs backwards"),
        ("1, * * * *", "the minute must be from 0 to 59"),
    ],
)
def test_a_wrong_cron_expression_names_the_field(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_cron(text)
