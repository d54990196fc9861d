"""Make the addresses of the sandbox's pages."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

PATHS = {
    "home": "/",
    "call": "/calls/{call}",
    "users": "/users",
    "user": "/user",
    "events": "/events",
    "setup": "/setup",
    "live": "/live",
}


def href(page: str, *, anchor: str = "", **values: object) -> str:
    """The address of a page: ``href("call", call=7)`` is ``/calls/7``. Other values become the query."""
    path, rest = PATHS[page], dict(values)
    for name in list(rest):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(str(rest.pop(name)), safe=""))
    return with_query(path, rest) + (f"#{quote(anchor, safe='')}" if anchor else "")


def with_query(path: str, values: Mapping[str, object]) -> str:
    """The path with these values as its query; None and empty texts are left out."""
    given = {name: str(value) for name, value in values.items() if value is not None and value != ""}
    return f"{path}?{urlencode(given, errors='backslashreplace')}" if given else path
