"""Refuse what a source that compares snapshots itself can't do: `compare: in_warehouse`, or `state` on Spark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig
from audience_sync.config.validate.cross_checks import compares, entries
from audience_sync.config.validate.priority_groups import audience_names, audience_positions
from audience_sync.config.validate.pydantic_errors import as_list, as_mapping

_IN_WAREHOUSE, _ON_SPARK = "`compare: in_warehouse`", "`state`"


def find_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    sources = as_mapping(tree.get("sources"))
    instead = {name: _instead(name, source) for name, source in sources.items() if compares(source)}
    mine = {path[1]: (path, entry) for path, entry in entries(tree, "audiences") if entry.get("source") in instead}
    for path, entry in mine.values():
        yield from _audience_problems(entry, path, instead[entry["source"]])
    if mine and tree.get("aliases"):
        _, first = next(iter(mine.values()))
        what = f"`aliases` move members to other ids, which source '{first['source']}' does not know"
        yield ConfigProblem(("aliases",), f"{what}. {instead[first['source']]}")
    positions = audience_positions(audience_names(as_list(tree.get("audiences"))))
    for group, members in as_mapping(tree.get("priority_groups")).items():
        for index, member in enumerate(as_list(members)):
            position = positions.get(member) if isinstance(member, str) else None
            if position in mine:
                source = mine[position][1]["source"]
                what = f"'{member}' is compared in source '{source}', which does not know the audiences before it"
                yield ConfigProblem(("priority_groups", group, index), f"{what}. {instead[source]}")


def _instead(name: str, source: object) -> str:
    option = _ON_SPARK if as_mapping(source).get("state") is not None else _IN_WAREHOUSE
    return f"Remove it, or remove {option} from source '{name}': then every row is fetched and compared here"


def _audience_problems(entry: Mapping[str, Any], path: ConfigPath, instead: str) -> Iterator[ConfigProblem]:
    if entry.get("ids") is not None:
        yield ConfigProblem((*path, "ids"), f"source '{entry['source']}' compares one column of ids. {instead}")
    if as_mapping(entry.get("expect")).get("rows") is not None:
        what = f"source '{entry['source']}' reports changes, not the number of rows"
        yield ConfigProblem((*path, "expect", "rows"), f"{what}. {instead}")
