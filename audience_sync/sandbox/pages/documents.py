"""Give calls and users to scripts: JSON and CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from audience_sync.sandbox.json_text import json_value
from audience_sync.sandbox.pages.feed import kept_call
from audience_sync.sandbox.pages.texts import value_text
from audience_sync.sandbox.pages.visit import Visit
from audience_sync.sandbox.state.conditions import DAY
from audience_sync.sandbox.state.filters import read_user_filter
from audience_sync.sandbox.state.stored import StoredCall
from audience_sync.web.formats import iso
from audience_sync.web.tables import table_response

#: The most calls of a document, and rows and properties of a file.
MOST_CALLS, MOST_ROWS, MOST_COLUMNS = 1_000, 100_000, 50


def calls_document(visit: Visit) -> Response:
    """The newest calls, and how many came in the last 24 hours, by what became of them."""
    limit = min(visit.number("limit") or 100, MOST_CALLS)
    counts = visit.reader.calls_since(visit.now - DAY)
    return json_response(
        {
            "last_24_hours": {outcome.value: calls for outcome, calls in counts.items()},
            "calls": [_document(call) for call in visit.reader.calls(visit.call_filter(), limit)],
        }
    )


def call_document(visit: Visit) -> Response:
    """One call."""
    return json_response(_document(kept_call(visit)))


def _document(call: StoredCall) -> dict[str, Any]:
    return {
        "call": call.call,
        "at": iso(call.at),
        "destination": call.destination,
        "service": call.service,
        "type": call.type,
        "user": call.user_id,
        "event": call.event or None,
        "outcome": call.outcome.value,
        "status": call.status,
        "message_id": call.message_id or None,
        "changes": [
            {"property": each.property, "old": each.old if each.was_set else None, "new": each.new}
            for each in call.changes
        ],
        "problems": [{"code": each.code, "text": each.text, "is_fatal": bool(each.is_fatal)} for each in call.problems],
        "message": json_value(call.message) if call.message else None,
    }


def users_file(visit: Visit) -> Response:
    """The users that the filter finds, with the properties that most users have."""
    chosen = read_user_filter(visit.query)
    names = [each.property for each in visit.reader.properties(limit=MOST_COLUMNS)]

    def rows() -> Iterator[list[Any]]:
        for user in visit.reader.users(chosen, visit.now, limit=MOST_ROWS):
            values = [_plain(user.properties[name][0]) if name in user.properties else None for name in names]
            yield [user.destination, user.user_id, user.first_at, user.last_at, user.calls, *values]

    columns = ["destination", "user_id", "first_received", "last_received", "calls", *names]
    return table_response("sandbox-users", columns, rows(), kind="csv")


def _plain(value: Any) -> Any:
    return value_text(value, None) if isinstance(value, dict | list) else value


def json_response(document: object) -> Response:
    """Half a surrogate pair of an id stays the escape that JSON has for it."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    return Response(text.encode("utf-8", "backslashreplace") + b"\n", media_type="application/json")
