"""Make the addresses of pages."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

#: The path of each page; a user's id is in the query, because it may be anything.
PATHS = {
    "home": "/",
    "audiences": "/audiences",
    "audience": "/audiences/{key}",
    "runs": "/runs",
    "run": "/runs/{run}",
    "users": "/users",
    "user": "/users",
    "destinations": "/destinations",
    "query": "/query",
}


def href(page: str, *, anchor: str = "", **values: object) -> str:
    """The address of a page on the server: ``href("run", run=46)`` is ``/runs/46``.

    Values that are not part of the path become its query; None is left out.
    """
    path, rest = PATHS[page], dict(values)
    for name in list(rest):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(str(rest.pop(name)), safe=""))
    return with_query(path, rest) + (f"#{quote(anchor, safe='')}" if anchor else "")


def with_query(path: str, values: Mapping[str, object]) -> str:
    """The path with these values as its query; None and empty texts are left out."""
    given = {name: str(value) for name, value in values.items() if value is not None and value != ""}
    return f"{path}?{urlencode(given)}" if given else path
