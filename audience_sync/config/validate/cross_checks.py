"""Check the rules that span several sections of the config.

The checks run before the sections are validated, and skip values of an unexpected form, so that one report has all
problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audience_sync.config.read.paths import state_problem, store_problem, url_problem
from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig, dotted
from audience_sync.config.sections.snapshot import IN_WAREHOUSE
from audience_sync.config.validate.pydantic_errors import as_list, as_mapping
from audience_sync.text import unknown_name_message

#: Computed traits per config: each needs memory during the diff, in addition to what DuckDB counts.
MAX_TRAITS = 250
_NOTHING = "there is nothing to sync: give at least one entry in `audiences` or `computed_traits`"
_BOTH_IDS = "it has both `ids` and `user_id`: make the column of `user_id` the first of `ids`, and remove `user_id`"
_ONE_ID = "it needs at least two columns. For one column, write `user_id: COLUMN` instead"
_MODIFIED_MISSING = "for a database, `max_age` needs `modified`: a query for the time of the newest change"
_FILES_ONLY = "`{option}` is for `files` sources, and `{source}` is a database"
#: Options that a kind of source does not have, with the problem.
_NOT_FOR = {
    "database": {"file": f"{_FILES_ONLY}: give a `query`", "partitions": f"{_FILES_ONLY}: remove it"},
    "files": {"probe": "remove it. Changed files of `{source}` are detected automatically; `probe` is for databases."},
}
_EXPECT_NOT_FOR = {
    "database": {"marker": _FILES_ONLY, "manifest": _FILES_ONLY},
    "files": {
        "modified": "remove it. When the files of `{source}` were written is detected automatically; `modified` is "
        "for databases."
    },
}


def find_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    if not tree.get("audiences") and not tree.get("computed_traits"):
        yield ConfigProblem(("audiences",), _NOTHING)
    yield from store_problems(tree)
    if isinstance(state := tree.get("state"), str) and (problem := state_problem(state)):
        yield ConfigProblem(("state",), problem)
    sources = as_mapping(tree.get("sources"))
    for name, source in sources.items():
        yield from _one_of(source, ("files", "database"), ("sources", name))
        if as_mapping(source).get("partitions") is not None and "database" in as_mapping(source):
            message = _NOT_FOR["database"]["partitions"].format(option="partitions", source=name)
            yield ConfigProblem(("sources", name, "partitions"), message)
        if isinstance(url := as_mapping(source).get("database"), str) and (problem := url_problem(url)):
            yield ConfigProblem(("sources", name, "database"), problem)
    for part in ("audiences", "computed_traits", "suppressed", "aliases"):
        for path, entry in entries(tree, part):
            yield from _source_problems(entry, sources, path)
    for path, entry in (*entries(tree, "audiences"), *entries(tree, "computed_traits")):
        yield from _ids_problems(entry, path)
    for path, entry in entries(tree, "audiences"):
        yield from _audience_problems(entry, as_mapping(tree.get("destinations")), path)
    count = sum(len(as_list(entry.get("traits"))) for _, entry in entries(tree, "computed_traits"))
    if count > MAX_TRAITS:
        yield ConfigProblem(
            ("computed_traits",), f"{count:,} traits are too many: a config can have at most {MAX_TRAITS}"
        )
    yield from _schedule_problems(tree, ())
    yield from _names_from_problems(tree)
    if any(as_mapping(source).get("compare") == IN_WAREHOUSE for source in sources.values()):
        from audience_sync.config.validate import in_warehouse

        yield from in_warehouse.find_problems(tree)


def store_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    if isinstance(store := tree.get("store"), str) and (problem := store_problem(store)):
        yield ConfigProblem(("store",), problem)


def entries(tree: RawConfig, part: str) -> Iterator[tuple[ConfigPath, Mapping[str, Any]]]:
    """The entries of a list in the config that are mappings, with their config paths."""
    for index, value in enumerate(as_list(tree.get(part))):
        if isinstance(value, Mapping):
            yield (part, index), value


def _source_problems(entry: Mapping[str, Any], sources: Mapping[str, Any], path: ConfigPath) -> Iterator[ConfigProblem]:
    """Problems with the entry's source, and options that do not apply to its kind."""
    yield from _one_of(entry, ("file", "query"), path)
    name, expect = entry.get("source"), as_mapping(entry.get("expect"))
    if not isinstance(name, str):
        return
    if name not in sources:
        yield ConfigProblem((*path, "source"), unknown_name_message("source", name, sources))
        return
    source = as_mapping(sources[name])
    for given, not_for, at in ((entry, _NOT_FOR, path), (expect, _EXPECT_NOT_FOR, (*path, "expect"))):
        for option, message in (pair for kind in not_for if kind in source for pair in not_for[kind].items()):
            if given.get(option) is not None:
                yield ConfigProblem((*at, option), message.format(option=option, source=name))
    if "database" in source and expect.get("max_age") is not None and expect.get("modified") is None:
        yield ConfigProblem((*path, "expect"), _MODIFIED_MISSING)


def _ids_problems(entry: Mapping[str, Any], path: ConfigPath) -> Iterator[ConfigProblem]:
    """`ids` has several columns, each once, and replaces `user_id`."""
    ids = entry.get("ids")
    if not isinstance(ids, list):
        return
    if entry.get("user_id") is not None:
        yield ConfigProblem((*path, "ids"), _BOTH_IDS)
    if len(ids) < 2:
        yield ConfigProblem((*path, "ids"), _ONE_ID)
    for index, column in enumerate(ids):
        if column in ids[:index]:
            yield ConfigProblem((*path, "ids", index), f"`{column}` appears twice: remove it here")


def _audience_problems(
    entry: Mapping[str, Any], destinations: Mapping[str, Any], path: ConfigPath
) -> Iterator[ConfigProblem]:
    yield from _one_of(entry, ("name", "names_from"), path)
    if entry.get("names_from") is not None and entry.get("key") is not None:
        yield ConfigProblem((*path, "key"), "`names_from` creates many audiences, each with its own key: remove `key`")
    for index, name in enumerate(as_list(entry.get("destinations"))):
        if isinstance(name, str) and name not in destinations:
            yield ConfigProblem((*path, "destinations", index), unknown_name_message("destination", name, destinations))
    yield from _schedule_problems(entry, path)


def _schedule_problems(entry: Mapping[str, Any], path: ConfigPath) -> Iterator[ConfigProblem]:
    yield from _one_of(entry.get("schedule"), ("cron", "every"), (*path, "schedule"))


def _one_of(entry: object, names: tuple[str, str], path: ConfigPath) -> Iterator[ConfigProblem]:
    if not isinstance(entry, Mapping):
        return
    given = [name for name in names if entry.get(name) is not None]
    if not given:
        yield ConfigProblem(path, f"it needs `{names[0]}` or `{names[1]}`")
    if len(given) > 1:
        yield ConfigProblem(
            path, f"it has both `{names[0]}` and `{names[1]}`: keep one, and remove the other or set it to null"
        )


def _names_from_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    first: dict[tuple[str, str], ConfigPath] = {}
    for path, entry in entries(tree, "audiences"):
        if entry.get("names_from") is None:
            continue
        pair = (str(entry.get("source")), str(entry["names_from"]))
        if pair in first:
            message = f"{dotted(first[pair])} already reads this column of this source: make one query of both"
            yield ConfigProblem((*path, "names_from"), message)
        first.setdefault(pair, path)
