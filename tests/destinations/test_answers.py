"""An answer has the same meaning in every protocol."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from audience_sync.destinations.base import Answer, Meaning
from audience_sync.destinations.http.statuses import StatusTable, excerpt, judge_status, retry_after, truncate

NOW = datetime(2026, 3, 1, 6, 0, 0, tzinfo=UTC)
DATE = {"date": "Sun, 01 Mar 2026 06:00:00 GMT"}


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (None, Meaning.RETRY),
        (200, Meaning.DELIVERED),
        (202, Meaning.DELIVERED),
        (204, Meaning.DELIVERED),
        (301, Meaning.STOP),
        (304, Meaning.STOP),
        (400, Meaning.REFUSED),
        (401, Meaning.STOP),
        (402, Meaning.STOP),
        (403, Meaning.STOP),
        (404, Meaning.STOP),
        (405, Meaning.STOP),
        (406, Meaning.STOP),
        (407, Meaning.STOP),
        (408, Meaning.RETRY),
        (410, Meaning.STOP),
        (411, Meaning.STOP),
        (413, Meaning.REFUSED),
        (414, Meaning.STOP),
        (415, Meaning.STOP),
        (418, Meaning.REFUSED),
        (421, Meaning.STOP),
        (422, Meaning.REFUSED),
        (425, Meaning.RETRY),
        (426, Meaning.STOP),
        (429, Meaning.SLOW_DOWN),
        (431, Meaning.STOP),
        (500, Meaning.RETRY),
        (501, Meaning.STOP),
        (502, Meaning.RETRY),
        (503, Meaning.RETRY),
        (504, Meaning.RETRY),
        (505, Meaning.STOP),
        (511, Meaning.STOP),
        (529, Meaning.RETRY),
        (103, Meaning.RETRY),
        (999, Meaning.RETRY),
    ],
)
def test_a_status_has_one_meaning(status: int | None, meaning: Meaning) -> None:
    assert StatusTable().meaning(status) is meaning


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"retry-after": "30"}, 30, id="seconds"),
        pytest.param({"retry-after": " 1.5 "}, 1.5, id="a fraction, with spaces"),
        pytest.param({"retry-after": "Sun, 01 Mar 2026 06:00:45 GMT"}, 45, id="a date"),
        pytest.param({"retry-after": "Sun, 01 Mar 2026 05:00:00 GMT"}, 0, id="a date that is over"),
        pytest.param({"x-ratelimit-reset": "12"}, 12, id="seconds until the reset"),
        pytest.param({"x-ratelimit-reset": "1772344860"}, 60, id="a moment of the reset"),
        pytest.param({"retry-after": "5", "x-ratelimit-reset": "12"}, 12, id="both: the later"),
        pytest.param({"retry-after": "20", "x-ratelimit-reset": "12"}, 20, id="both: the later, first"),
        pytest.param({"retry-after": "86400"}, 300, id="a day: five minutes at most"),
        pytest.param({"retry-after": "99999999999999999999"}, None, id="no sensible number"),
        pytest.param({"retry-after": "-5"}, None, id="a negative number"),
        pytest.param({"retry-after": "soon"}, None, id="words"),
        pytest.param({"retry-after": "nan"}, None, id="not a number"),
        pytest.param({"retry-after": "١٢"}, None, id="digits of another script"),
        pytest.param({"retry-after": "soon", "x-ratelimit-reset": "3"}, 3, id="one of them is words"),
    ],
)
def test_the_time_to_wait_is_read_from_the_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_a_date_cannot_be_read_without_knowing_the_time() -> None:
    assert retry_after({"retry-after": "Sun, 01 Mar 2026 06:00:45 GMT"}, None) is None


def test_a_date_is_read_against_the_servers_own_clock() -> None:
    answer = Answer(503, headers={"retry-after": "Sun, 01 Mar 2026 06:00:45 GMT", **DATE})
    assert judge_status(answer, StatusTable(), "").retry_after == 45


def test_a_reset_time_counts_only_where_the_answer_is_too_many_requests() -> None:
    headers = {"x-ratelimit-reset": "60"}
    assert judge_status(Answer(500, headers=headers), StatusTable(), "").retry_after is None
    assert judge_status(Answer(429, headers=headers), StatusTable(), "").retry_after == 60


@pytest.mark.parametrize(
    ("answer", "detail", "reason"),
    [
        (Answer(401), "", "HTTP 401: the key is not accepted. Correct it under `destinations.NAME`"),
        (
            Answer(401),
            "invalid write key",
            "HTTP 401: the key is not accepted. Correct it under `destinations.NAME` (invalid write key)",
        ),
        (Answer(302), "", "HTTP 302: the address redirects. Correct `destinations.NAME.url`"),
        (Answer(400), "Bad Request", "HTTP 400: Bad Request"),
        (Answer(500), "", "HTTP 500"),
        (Answer(None, error="connection refused"), "", "connection refused"),
    ],
)
def test_a_reason_says_what_happened_and_what_to_do(answer: Answer, detail: str, reason: str) -> None:
    assert judge_status(answer, StatusTable(), detail).reason == reason


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"Bad Request\n", "Bad Request", id="plain"),
        pytest.param(b"a\r\n\tb\x00\x1b[31mc", "a b [31mc", id="one printable line"),
        pytest.param(b"caf\xe9", "caf�", id="no UTF-8"),
        pytest.param("日本".encode(), "日本", id="another script"),
        pytest.param(b"  <!doctype html><p>Sorry", "", id="a page"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_an_excerpt_is_one_printable_line(body: bytes, text: str) -> None:
    assert excerpt(body) == text


def test_of_an_answer_300_characters_are_shown() -> None:
    assert truncate("x" * 300) == "x" * 300
    assert truncate("x" * 301) == "x" * 299 + "…"


def test_of_an_answer_that_was_cut_the_end_is_not_trusted() -> None:
    assert excerpt(b"no such key" + b" " * 65_520 + b"s3cre", ["s3cret"]) == "no such key"


def test_an_excerpt_masks_secrets() -> None:
    assert excerpt(b"no such key: s3cret!", ["s3cret"]) == "no such key: ***!"
