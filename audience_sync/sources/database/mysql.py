"""Read values of MySQL and MariaDB as what they mean: zero dates, times, bits, JSON; and stop their queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from pymysql.constants import FIELD_TYPE
from sqlalchemy import Engine

from audience_sync.sources.base import Unsendable
from audience_sync.sources.database.parse_json import parse_json
from audience_sync.sources.values.json_sql import UNREADABLE

#: Generic types of codes that the driver's own type objects don't have, or not rightly.
TYPE_NAMES: Mapping[int, str] = {
    FIELD_TYPE.NEWDECIMAL: "number",
    FIELD_TYPE.BIT: "number",
    FIELD_TYPE.TIME: "text",
    FIELD_TYPE.JSON: "json",
    **dict.fromkeys((FIELD_TYPE.TINY_BLOB, FIELD_TYPE.BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB), "text"),
}
#: The beginning of a date that means no date.
_NO_DATE = "0000-00-00"


def _time(text: str) -> datetime | Unsendable | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _unreadable(text)


def _date(text: str) -> date | Unsendable | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return _unreadable(text)


def _unreadable(text: str) -> Unsendable | None:
    """None for a zero date, and Unsendable for a date with a month or a day of zero."""
    return None if text.startswith(_NO_DATE) else Unsendable(UNREADABLE)


_READERS: Mapping[int, Callable[[Any], Any]] = {
    FIELD_TYPE.DATE: _date,
    FIELD_TYPE.NEWDATE: _date,
    FIELD_TYPE.DATETIME: _time,
    FIELD_TYPE.TIMESTAMP: _time,
    FIELD_TYPE.TIME: str,
    FIELD_TYPE.BIT: lambda data: int.from_bytes(data, "big"),
    FIELD_TYPE.JSON: parse_json,
}


def accept_unsupported_values(connection: Any) -> None:
    """Read values that Python does not support as None or ``Unsendable``, and others as what they mean."""
    connection.decoders.update(_READERS)


def abandon_answer(connection: Any) -> None:
    """Forget the rows that were not fetched: the driver would fetch them when it closes a cursor."""
    if connection._result is not None:
        connection._result.unbuffered_active = False


def kill(engine: Engine, thread: int, seconds: float) -> None:
    """End a connection and its query over another connection. ``seconds``: for each step of it.

    To end the query alone is not enough: a server that writes rows waits until the network times out.
    """
    dialect = engine.dialect
    arguments, options = dialect.create_connect_args(engine.url)
    limits = {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds}
    other: Any = dialect.connect(*arguments, **{**options, **limits})
    try:
        with other.cursor() as cursor:
            cursor.execute(f"KILL {thread}")
    finally:
        other.close()
