"""Explain the errors of a connection pooler between the program and PostgreSQL."""

from __future__ import annotations

import re

_STATEMENT_MODE = "transaction blocks not allowed in statement pooling mode"
_PARAMETER = re.compile(r"unsupported startup parameter(?: in options)?: (?P<name>\w+)")


def pooler_refusal(message: str) -> tuple[str, str] | None:
    """The meaning of a pooler's error, and the remedy; None for every other error."""
    if _STATEMENT_MODE in message:
        return (
            "the pooler before it is in statement mode, which refuses transactions",
            "Write `pool_mode = transaction` (or `session`) for this database in pgbouncer.ini, or give the address "
            "of PostgreSQL itself.",
        )
    if found := _PARAMETER.search(message):
        return (
            f"the pooler before it refuses the parameter `{found['name']}` of the address",
            "Remove it from the URL and set its value for the role, in PostgreSQL (`alter role ... set ...`), or give "
            "the address of PostgreSQL itself.",
        )
    return None
