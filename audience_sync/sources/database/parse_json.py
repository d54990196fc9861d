"""Parse JSON values of databases, also those that are nested too deeply or have numbers of thousands of digits."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from audience_sync.sources.base import Unsendable
from audience_sync.sources.values.json_sql import NOT_JSON, TOO_DEEP

#: Python refuses to parse longer integers by default.
_MAX_INTEGER_DIGITS = 4_000


def parse_json(text: str | bytes) -> Any:
    """The value, or ``Unsendable``."""
    try:
        return json.loads(text, parse_int=_parse_integer)
    except RecursionError:
        return Unsendable(TOO_DEEP)
    except ValueError:
        return Unsendable(NOT_JSON)


def _parse_integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else Decimal(digits)
