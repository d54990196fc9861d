"""Make the addresses of pages from their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses of an application. ``paths``: of each page, with the names of its values in braces."""

    paths: Mapping[str, str]

    def __call__(self, page: str, *, anchor: str = "", **values: object) -> str:
        """The address of a page: ``href("run", run=46, anchor="sent")`` is ``/runs/46#sent``.

        Values that are not part of the path become its query; None and empty texts are left out.
        """
        path, rest = self.paths[page], dict(values)
        for name in list(rest):
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", quote(str(rest.pop(name)), safe=""))
        return with_query(path, rest) + (f"#{quote(anchor, safe='')}" if anchor else "")


def with_query(path: str, values: Mapping[str, object]) -> str:
    """The path with these values as its query; None and empty texts are left out."""
    given = {name: str(value) for name, value in values.items() if value is not None and value != ""}
    return f"{path}?{urlencode(given, errors='backslashreplace')}" if given else path
