"""Parse durations, rates, shares and sizes: `5m`, `50/s`, `20%`, `768MB`.

Every parser raises ValueError with the remedy and without the text itself, which may be a secret.
"""

from __future__ import annotations

import re
from datetime import timedelta

#: No option has longer numbers. Python refuses to parse integers of more than 4,300 digits.
MAX_DIGITS = 100
TOO_LONG = f"a number has at most {MAX_DIGITS} digits"
_NUMBER = r"(\d+(?:\.\d+)?)"
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    number, unit = _parts(
        rf"{_NUMBER}(ms|s|m|h|d)", value, "a duration is a number and a unit: 500ms, 30s, 5m, 1.5h, 2d"
    )
    try:
        duration = timedelta(seconds=float(number) * _SECONDS[unit])
    except OverflowError:
        raise ValueError("the duration is too long") from None
    if not duration:
        raise ValueError("the duration must be more than zero")
    return duration


def duration_text(duration: timedelta) -> str:
    """A duration as in the config, in the largest unit that gives a whole number."""
    milliseconds = round(duration / timedelta(milliseconds=1))
    for unit in ("d", "h", "m", "s"):
        size = round(_SECONDS[unit] * 1000)
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def parse_rate(value: object) -> float:
    """A rate as a number per second."""
    number, unit = _parts(
        rf"{_NUMBER}/(s|m|h)", value, "a rate is a number per second, minute or hour: 50/s, 100/m, 3000/h"
    )
    rate = float(number) / _SECONDS[unit]
    if not rate:
        raise ValueError("the rate must be more than zero")
    return rate


def parse_share(value: object) -> float:
    """A share as a number: 1.0 is 100%. More than 100% can only be written as a percentage (`250%`)."""
    if isinstance(value, str) and re.fullmatch(r"[01]?\.\d+", value.strip()):
        value = float(value)  # as a variable gives it
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    (number,) = _parts(rf"{_NUMBER}\s*%", value, "a share is a percentage such as 20%, or a number from 0 to 1")
    return float(number) / 100


def parse_size(value: object) -> int:
    """A size in bytes. 1MB is 1,000,000 and 1MiB is 1,048,576."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    remedy = "a size is a number and a unit: 768MB, 1GB, 512MiB"
    number, unit = _parts(rf"{_NUMBER}\s*(b|[kmgt]i?b)", value, remedy)
    size = int(float(number) * (1024 if "i" in unit.lower() else 1000) ** "bkmgt".index(unit[0].lower()))
    if not size:
        raise ValueError("the size must be more than zero")
    return size


def parse_whole(text: str) -> int:
    """Digits as an integer. Raises ValueError for more than ``MAX_DIGITS``."""
    if len(text.strip()) > MAX_DIGITS:
        raise ValueError(TOO_LONG)
    return int(text)


def _parts(pattern: str, value: object, remedy: str) -> tuple[str, ...]:
    match = re.fullmatch(pattern, value.strip(), re.IGNORECASE) if isinstance(value, str) else None
    if match is None:
        raise ValueError(remedy)
    if any(len(part) > MAX_DIGITS for part in match.groups()):
        raise ValueError(TOO_LONG)
    return match.groups()
