"""Refuse what a source with `compare: in_warehouse` can't do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig
from audience_sync.config.sections.snapshot import IN_WAREHOUSE
from audience_sync.config.validate.cross_checks import entries
from audience_sync.config.validate.priority_groups import audience_names, audience_positions
from audience_sync.config.validate.pydantic_errors import as_list, as_mapping

_INSTEAD = "Remove it, or remove `compare: in_warehouse` from the source: then every row is fetched and compared here"


def find_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    compared = set[str]()
    for name, source in as_mapping(tree.get("sources")).items():
        if as_mapping(source).get("compare") != IN_WAREHOUSE:
            continue
        compared.add(name)
        if "database" not in source:
            message = f"`compare: in_warehouse` is for `database` sources, and `{name}` has files: remove it"
            yield ConfigProblem(("sources", name, "compare"), message)
    if not compared:
        return
    mine = {path[1]: (path, entry) for path, entry in entries(tree, "audiences") if entry.get("source") in compared}
    for path, entry in mine.values():
        yield from _audience_problems(entry, path)
    if mine and tree.get("aliases"):
        what = "`aliases` move members to other ids, which the warehouse does not know"
        yield ConfigProblem(("aliases",), f"{what}. {_INSTEAD}")
    positions = audience_positions(audience_names(as_list(tree.get("audiences"))))
    for group, members in as_mapping(tree.get("priority_groups")).items():
        for index, member in enumerate(as_list(members)):
            if isinstance(member, str) and positions.get(member) in mine:
                what = f"'{member}' is compared in the warehouse, which does not know the audiences before it"
                yield ConfigProblem(("priority_groups", group, index), f"{what}. {_INSTEAD}")


def _audience_problems(entry: Mapping[str, Any], path: ConfigPath) -> Iterator[ConfigProblem]:
    if entry.get("ids") is not None:
        yield ConfigProblem((*path, "ids"), f"the warehouse compares one column of ids. {_INSTEAD}")
    if as_mapping(entry.get("expect")).get("rows") is not None:
        what = "the warehouse reports changes, not the number of rows"
        yield ConfigProblem((*path, "expect", "rows"), f"{what}. {_INSTEAD}")
