"""Check a cron expression: five valid fields, and at least one date that matches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EXAMPLE = "such as `*/15 * * * *` (minute, hour, day of the month, month, weekday)"


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        if text.lower() in self.names:
            return self.first + self.names.index(text.lower())
        if not re.fullmatch(r"[0-9]{1,2}", text) or not self.first <= int(text) <= self.last:
            raise ValueError(f"the {self.name} must be from {self.first} to {self.last}")
        return int(text)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 7, _WEEKDAYS),
)


def parse_cron(text: str) -> str:
    """The expression with single spaces, nicknames such as ``@daily`` as five fields. Raises ValueError."""
    parts = _NICKNAMES.get(text.strip().lower(), text).split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"a cron expression has five fields, {_EXAMPLE}")
    for field, part in zip(_FIELDS, parts, strict=True):
        for item in part.split(","):
            _check_item(field, item)
    try:
        next(CronSim(" ".join(parts), datetime(2000, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise ValueError("no month has such a day, so it would never run") from None
    return " ".join(parts)


def _check_item(field: _Field, item: str) -> None:
    base, slash, step = item.partition("/")
    if slash and not re.fullmatch(r"[1-9][0-9]{0,3}", step):
        raise ValueError(f"the {field.name}'s step, after `/`, must be a number from 1 on")
    if base == "*":
        return
    first, dash, last = base.partition("-")
    start = field.number(first)
    if dash and start > field.number(last):
        raise ValueError(f"the {field.name}'s range runs backwards")
