"""A value that can't be sent concerns its user only, whatever it is and wherever it comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import duckdb
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
    "an interval of months": ("UTC", "interval '1 month 2 days 03:04:05.6'", "1 mon 2 days 03:04:05.6", None),
    "an interval of a million years": ("UTC", "interval '1000000 years'", "1000000 years", None),
    "an infinite interval": ("UTC", "interval 'infinity'", None, None),
    "a range of numbers": ("UTC", "int4range(1, 5)", "[1,5)", None),
    "a range without an end": ("UTC", "tsrange('2026-01-01', null)", '["2026-01-01 00:00:00",)', None),
    "a range from before Christ": (
        "UTC",
        "daterange('0044-03-15 BC', '2026-01-01')",
        '["0044-03-15 BC",2026-01-01)',
        None,
    ),
    "an array of infinite ranges": ("UTC", "array[tsrange('-infinity', 'infinity')]", ["[-infinity,infinity)"], None),
    "several ranges": ("UTC", "'{[1,3),[5,7)}'::int4multirange", "{[1,3),[5,7)}", None),
    "bits": ("UTC", "B'10101'", "10101", None),
    "38 digits": ("UTC", "repeat('9', 38)::numeric", 10**38 - 1, None),
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
def test_of_postgresql_a_value_is_sent_or_invalid_alone(
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
    assert vip.query("select file, row, user_id, reason from invalid_rows") == (
        [("the query", 1, "ada", reason)] if reason else []
    )
    assert result.json["traits"]["invalid"] == (1 if reason else 0)


def test_one_odd_value_of_sqlite_is_one_users(vip: Project) -> None:
    _ask(
        f"sqlite:///{vip.folder}/wh.db",
        "create table plans (user_id, plan)",
        "insert into plans values ('ada', 'free'), ('bob', x'ff'), ('cyd', cast(x'6aff' as text))",
        "insert into plans values (cast(x'ff' as text), 1)",
        "insert into plans values ('dee', 9e999), ('eve', 9223372036854775807)",
    )
    vip.configure(
        sources={"shop": {"files": "."}, "wh": {"database": "sqlite:///wh.db"}},
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "wh", "query": "select user_id, plan, 7 as n from plans", "traits": ["plan", "n"]}],
    )
    assert vip.sync().code == 0
    assert dict(vip.sent()) == {
        "ada": {"vip": True, "plan": "free", "n": 7},
        "bob": {"vip": True, "n": 7},
        "cyd": {"vip": True, "n": 7},
        "dee": {"n": 7},
        "eve": {"plan": 9223372036854775807, "n": 7},
    }
    assert vip.query("select row, user_id, reason from invalid_rows order by row") == [
        (2, "bob", "column 'plan' holds bytes, which have no form in JSON"),
        (3, "cyd", "column 'plan' has text that is not UTF-8"),
        (4, "\ufffd", "user id has text that is not UTF-8"),
    ]


TYPES = {
    "text": ("'7'", "7"),
    "number": ("'7'", 7),
    "boolean": ("'true'", True),
    "date": ("'2026-01-01'", "2026-01-01T00:00:00.000Z"),
    "json": ("'[7]'", [7]),
}


@pytest.mark.parametrize("odd", ["x'00'", "cast(x'ff' as text)"], ids=["bytes", "not UTF-8"])
@pytest.mark.parametrize(("kind", "plain"), TYPES.items(), ids=TYPES.keys())
def test_one_odd_value_is_invalid_alone_whatever_type_the_config_gives_it(
    kind: str, plain: tuple[str, Any], odd: str, vip: Project
) -> None:
    written, sent = plain
    _ask(
        f"sqlite:///{vip.folder}/wh.db",
        "create table plans (user_id, v)",
        f"insert into plans values ('ada', {written}), ('bob', {odd})",
    )
    vip.configure(
        sources={"wh": {"database": "sqlite:///wh.db"}},
        computed_traits=[
            {"source": "wh", "query": "select * from plans", "traits": [{"column": "v", "type": kind}]},
        ],
    )
    result = vip.sync()
    assert (result.code, result.json["traits"]["invalid"]) == (0, 1)
    assert vip.sent() == [("ada", {"v": sent})]


def test_times_that_the_config_calls_dates_are_invalid_alone(vip: Project) -> None:
    vip.write(
        "days.csv",
        "user_id,day\nada,2026-01-01\nbob,infinity\ncyd,12026-01-01\ndee,0044-03-15 BC\neve,2026-01-01T24:00\n"
        "fay,0000-01-01\ngus,-0044-03-15\n",
    )
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "days.csv", "traits": [{"column": "day", "type": "date"}]}],
    )
    assert vip.sync().code == 0
    assert dict(vip.sent()) == {
        "ada": {"vip": True, "day": "2026-01-01T00:00:00.000Z"},
        "bob": {"vip": True},
        "cyd": {"vip": True},
        "eve": {"day": "2026-01-02T00:00:00.000Z"},
    }
    assert vip.query("select user_id, reason from invalid_rows order by row") == [
        (user, "column 'day' is a time outside of the years 1 to 9999 (UTC)") for user in ("cyd", "dee", "fay", "gus")
    ]


#: An expression of DuckDB, what is sent (None: nothing), and whether it is invalid.
PARQUET = {
    "nanoseconds in a zone": ("'2026-01-01 00:00:00.5+02'::timestamptz_ns", "2025-12-31T22:00:00.500Z", False),
    "infinite nanoseconds in a zone": ("'infinity'::timestamptz_ns", None, False),
    "nanoseconds": ("timestamp_ns '1677-09-22 00:00:00'", "1677-09-22T00:00:00.000Z", False),
    "milliseconds": ("timestamp_ms '9999-12-31 23:59:59.999'", "9999-12-31T23:59:59.999Z", False),
    "the last time of a zone": ("timestamptz '294247-01-10 04:00:54.775806+00'", None, True),
    "the first time of a zone": ("timestamptz '290309-12-22 (BC) 00:00:00+00'", None, True),
    "the last time without a zone": ("timestamp '294247-01-10 04:00:54.775806'", None, True),
    "the last day": ("date '5881580-07-10'", None, True),
    "an infinite day": ("date '-infinity'", None, False),
    "nanoseconds in a list": ("['2026-01-01 00:00:00+02'::timestamptz_ns]", ["2025-12-31T22:00:00.000Z"], False),
}


@pytest.mark.parametrize(("value", "sent", "is_invalid"), PARQUET.values(), ids=PARQUET.keys())
def test_of_parquet_a_time_is_sent_or_invalid_alone(vip: Project, value: str, sent: Any, is_invalid: bool) -> None:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"copy (select 'ada' as user_id, {value} as v, 7 as n) to '{vip.folder}/v.parquet'")
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "v.parquet", "traits": ["v", "n"]}],
    )
    assert vip.sync().code == 0
    assert dict(vip.sent())["ada"] == {"vip": True, "n": 7} | ({} if sent is None else {"v": sent})
    assert vip.query("select user_id, reason from invalid_rows") == ([("ada", OUT_OF_YEARS)] if is_invalid else [])


#: An expression of DuckDB, and what is sent (None: nothing, and one invalid value).
BYTES = {
    "in a struct": ("{'a': 'x'::blob, 'b': 1}", None),
    "in a list": ("['x'::blob]", None),
    "in a map": ("map {'a': 'x'::blob}", None),
    "as a map's key": ("map {'x'::blob: 1}", None),
    "in a list of structs, with times": ("[{'a': 'x'::blob, 't': timestamp '2026-01-01'}]", None),
    "that are NULL": ("{'a': null::blob, 'b': 1}", {"a": None, "b": 1}),
}


@pytest.mark.parametrize(("value", "sent"), BYTES.values(), ids=BYTES.keys())
def test_bytes_within_a_value_of_parquet_make_it_invalid_alone(vip: Project, value: str, sent: Any) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 'ada' as user_id, {value} as v, 7 as n) to '{vip.folder}/v.parquet'")
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "v.parquet", "traits": ["v", "n"]}],
    )
    assert vip.sync().code == 0
    assert dict(vip.sent())["ada"] == {"vip": True, "n": 7} | ({} if sent is None else {"v": sent})
    assert vip.query("select user_id, reason from invalid_rows") == (
        [("ada", "column 'v' holds bytes, which have no form in JSON")] if sent is None else []
    )
