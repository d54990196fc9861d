"""Write the metadata of a store for Datasette: internal tables hidden, the questions of docs/database.md as queries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

#: The paragraph before a query; its first question is the title.
_EXAMPLE = re.compile(r"((?:^[^\n]+\n)+)\n```sql\n(.*?)```", re.MULTILINE | re.DOTALL)
#: Values of the example in the queries, and the fields of a form in their place.
_FIELDS = {
    "'big_spenders'": ":audience",
    "'new_customers'": ":other_audience",
    "'plan'": ":trait",
    "'connect'": ":destination",
    "'eve'": ":user",
    "'2026-03-05'": ":day",
    "'2026-03-04 12:00:00'": ":time",
    "= 42": "= :run",
}


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a block."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def datasette_metadata(document: str, tables: Iterable[str]) -> str:
    """The metadata as YAML. ``document``: the page of the database; ``tables``: those that no person needs."""
    queries = {_name(title): {"title": title, "sql": sql} for title, sql in _questions(document)}
    hidden: Mapping[str, Any] = {name: {"hidden": True} for name in sorted(tables)}
    metadata = {
        "title": "Audience Sync",
        "description": "The views are the public interface; the tables behind them may change.",
        "databases": {"audience_sync": {"tables": hidden, "queries": queries}},
    }
    return yaml.dump(metadata, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _questions(document: str) -> Iterable[tuple[str, str]]:
    for text, query in _EXAMPLE.findall(document):
        title = re.split(r"(?<=\?)\s", " ".join(text.split()))[0].replace("run 42", "a run")
        for value, field in _FIELDS.items():
            query = query.replace(value, field)
        yield title, query.strip()


def _name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
