"""Write the values of properties in a service's types: booleans as text, dates as numbers, no null."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Literal

from msgspec import Struct

from audience_sync.destinations.messages.identify import json_text
from audience_sync.sql import quote_literal

#: A date or a time of ISO 8601 as a JSON text; a time without a zone is in UTC.
DATE = r'"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"'
_DATE = re.compile(DATE, re.ASCII)


@cache
def _literals(as_text: bool, null: str) -> Mapping[str, str]:
    quoted = {each: f'"{each}"' if as_text else each for each in ("true", "false")}
    return {**quoted, "null": '""' if null == "empty" else "null"}


class ValueTypes(Struct, frozen=True, kw_only=True):
    """The types that a service stores.

    ``as_text``: booleans, numbers and objects are texts. ``null``: it stays, it is an empty text, or the names of the
    properties without a value have a place of their own in the item. ``dates``: they stay, or are numbers since 1970,
    or texts in a format of ``strftime``.
    """

    as_text: bool = False
    null: Literal["keep", "empty", "unset"] = "keep"
    dates: str = "iso"  # or "seconds", "milliseconds", a format

    @property
    def literals(self) -> Mapping[str, str]:
        """The texts of true, false and null."""
        return _literals(self.as_text, self.null)

    def write(self, value: str) -> str:
        """Return the JSON text of a value in the service's type."""
        literal = self.literals.get(value)
        if literal is not None:
            return literal
        if value[0] == '"':
            return value if self.dates == "iso" or not _DATE.fullmatch(value) else self._date(value)
        return json_text(value) if self.as_text else value

    def _date(self, value: str) -> str:
        try:
            moment = datetime.fromisoformat(value[1:-1])
        except ValueError:  # 30 February
            return value
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        number = _NUMBERS.get(self.dates)
        written = str(number(moment)) if number else moment.strftime(self.dates)
        return written if number and not self.as_text else f'"{written}"'


_NUMBERS: Mapping[str, Callable[[datetime], int]] = {
    "seconds": lambda moment: int(moment.replace(microsecond=0).timestamp()),
    "milliseconds": lambda moment: round(moment.timestamp() * 1000),
}


#: The same in SQL, without and with an offset: ``encode`` handles those with one.
_DATE_SQL = r'":"(\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?)"'
_OFFSET_DATE_SQL = r'":"\d{4}-\d\d-\d\dT[0-9:.]+[+-][0-9:]+"'


def _date_sql(types: ValueTypes) -> str:
    """Return the JSON text of ``date``; NULL for a date that does not exist."""
    moment = "try_cast(date as timestamp)"
    numbers = {
        "seconds": f"cast(epoch_ms(date_trunc('second', {moment})) // 1000 as varchar)",
        "milliseconds": f"cast(epoch_ms({moment}) as varchar)",
    }
    written = numbers.get(types.dates, f"strftime({moment}, {quote_literal(types.dates)})")
    return written if types.dates in numbers and not types.as_text else f"'\"' || {written} || '\"'"


def plain_object_sql(column: str) -> list[str]:
    """Return the conditions, in SQL, under which ``":`` is nothing but the end of a key: no text begins with it."""
    return [f"not contains({column}, '{each}')" for each in ("\\", ':":', ',":', '{":', '": ')]


def value_types_sql(types: ValueTypes, column: str) -> tuple[str, list[str]]:
    """Return an object with its values in these types, as SQL, and the conditions under which it is right.

    It is NULL if one of its dates does not exist.
    """
    conditions: list[str] = []
    written = column
    if types.as_text:
        conditions += [f"not contains({column}, ':[')", f"not contains(substr({column}, 2), '{{')"]
        for literal in ("true", "false"):
            written = f"""replace({written}, '":{literal}', '":"{literal}"')"""
        written = f"""regexp_replace({written}, '":(-?[0-9][^,}}]*)', '":"\\1"', 'g')"""
    if types.null == "empty":
        written = f"""replace({written}, '":null', '":""')"""
    if types.null == "unset":
        conditions.append(f"not contains({column}, '\":null')")
    if types.dates != "iso":
        conditions.append(f"not regexp_matches({column}, '{_OFFSET_DATE_SQL}')")
        dates = f"regexp_extract_all({column}, '{_DATE_SQL}', 1)"
        replaced = f"lambda text, date: replace(text, concat('\"', date, '\"'), {_date_sql(types)})"
        reduced = f"list_reduce(list_prepend({written}, {dates}), {replaced})"
        written = f"case when regexp_matches({column}, '{_DATE_SQL}') then {reduced} else {written} end"
    if conditions:
        conditions = [*plain_object_sql(column), *conditions]
    return written, conditions
