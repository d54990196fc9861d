"""Is one value that can't be sent one user's, whatever it is and wherever it comes from?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url

from .conftest import Project

Database = Callable[..., str]
OUT_OF_YEARS = "column 'v' is a time outside of the years 1 to 9999 (UTC)"
TOO_DEEP = "column 'v' is nested deeper than 100 levels"
TOO_MANY_DIGITS = "column 'v' has a number of more than 1,000 digits"
HALF_A_PAIR = "column 'v' has half a surrogate pair in its text"

#: The time zone of the session, an SQL expression, what is sent (None: nothing), and why.
POSTGRESQL = {
    "the earliest time, in Berlin": (
        "Europe/Berlin",
        "timestamptz '0001-01-01 00:00:00+00'",
        "0001-01-01T00:00:00.000Z",
        None,
    ),
    "before it, in Berlin": ("Europe/Berlin", "timestamptz '0001-01-01 00:00:00'", None, OUT_OF_YEARS),
    "the earliest time, in New York": (
        "America/New_York",
        "timestamptz '0001-01-01 00:00:00+00'",
        "0001-01-01T00:00:00.000Z",
        None,
    ),
    "the last second, in New York": ("America/New_York", "timestamptz '9999-12-31 23:59:59'", None, OUT_OF_YEARS),
    "the last second of UTC, in Berlin": (
        "Europe/Berlin",
        "timestamptz '9999-12-31 23:59:59+00'",
        "9999-12-31T23:59:59.000Z",
        None,
    ),
    "the last second without a zone": (
        "America/New_York",
        "timestamp '9999-12-31 23:59:59'",
        "9999-12-31T23:59:59.000Z",
        None,
    ),
    "infinity": ("UTC", "timestamptz 'infinity'", None, None),
    "infinity without a zone": ("UTC", "timestamp '-infinity'", None, None),
    "an infinite date": ("UTC", "date 'infinity'", None, None),
    "an infinite number": ("UTC", "'Infinity'::float8", None, None),
    "not a number": ("UTC", "'NaN'::numeric", None, None),
    "a date before Christ": ("UTC", "date '0044-03-15 BC'", None, OUT_OF_YEARS),
    "a time before Christ": ("UTC", "timestamp '0044-03-15 12:00 BC'", None, OUT_OF_YEARS),
    "a year of five digits": ("UTC", "date '12026-01-01'", None, OUT_OF_YEARS),
    "an array of times": (
        "America/New_York",
        "array[timestamptz '2026-01-01 00:00+00']",
        ["2026-01-01T00:00:00.000Z"],
        None,
    ),
    "infinity in an array": ("UTC", "array[timestamptz 'infinity']", [None], None),
    "a year of five digits in an array": ("UTC", "array[timestamp '12026-01-01']", None, OUT_OF_YEARS),
    "midnight at the end of a day": ("UTC", "time '24:00:00'", "24:00:00", None),
    "JSON with 5,000 digits": ("UTC", "jsonb_build_object('x', '1e5000'::numeric)", None, TOO_MANY_DIGITS),
    "a number of 5,000 digits": ("UTC", "'1e5000'::numeric", None, TOO_MANY_DIGITS),
    "JSON nested 100 deep": (
        "UTC",
        "(repeat('[', 100) || repeat(']', 100))::jsonb",
        json.loads("[" * 100 + "]" * 100),
        None,
    ),
    "JSON nested 101 deep": ("UTC", "(repeat('[', 101) || repeat(']', 101))::json", None, TOO_DEEP),
    "JSON nested 5,000 deep": ("UTC", "(repeat('[', 5000) || repeat(']', 5000))::json", None, TOO_DEEP),
    "half a surrogate pair in JSON": ("UTC", """'{"a": "\\ud800"}'::json""", None, HALF_A_PAIR),
}


def _ask(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.mark.parametrize(("zone", "value", "sent", "reason"), POSTGRESQL.values(), ids=POSTGRESQL.keys())
def test_of_postgresql_a_value_is_sent_or_rejected_alone(
    zone: str, value: str, sent: Any, reason: str | None, vip: Project, new_url: Database
) -> None:
    url = new_url("postgresql")
    _ask(url, f"alter database {make_url(url).database} set timezone = '{zone}'")
    vip.configure(
        sources={"shop": {"files": "."}, "wh": {"database": url}},
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[
            {
                "source": "wh",
                "query": f"select 'ada' as user_id, {value} as v, 7 as n union all select 'bob', null, 8",
                "traits": ["v", "n"],
            }
        ],
    )
    result = vip.sync()
    assert result.code == 0, result.stdout
    traits = dict(vip.sent())
    assert traits["ada"] == {"vip": True, "n": 7} | ({} if sent is None else {"v": sent})
    assert traits["bob"] == {"vip": True, "n": 8}
    assert traits["cyd"] == {"vip": True}
    assert vip.query("select file, row, user_id, reason from rejected_rows") == (
        [("the query", 1, "ada", reason)] if reason else []
    )
    assert result.json["traits"]["invalid"] == (1 if reason else 0)
