"""Check the rules that span several sections of the config.

The checks run before the sections are validated, and skip values of an unexpected form, so that one report has all
problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audience_sync.config.read.paths import Spreadsheet, files_problem, state_problem, store_problem, url_problem
from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig, dotted
from audience_sync.config.sections.snapshot import HERE, IN_WAREHOUSE
from audience_sync.config.validate.pydantic_errors import as_list, as_mapping
from audience_sync.text import unknown_name_message

#: Computed traits per config: each needs memory during the diff, in addition to what DuckDB counts.
MAX_TRAITS = 250
_NOTHING = "there is nothing to sync: give at least one entry in `audiences` or `computed_traits`"
_BOTH_IDS = "it has both `ids` and `user_id`: make the column of `user_id` the first of `ids`, and remove `user_id`"
_ONE_ID = "it needs at least two columns. For one column, write `user_id: COLUMN` instead"
_MODIFIED_MISSING = "`max_age` needs `modified` here: a query for the time of the newest change"
#: The kinds of sources, and what messages call each.
_KINDS = {"files": "has files", "database": "is a database", "spark": "is on Spark"}
#: A kind of `files`, which has sheets in place of files.
_SHEETS = "Google Sheets"
_NOT_FOR_SHEETS = "`{option}` is not possible for `{source}`, which is a Google spreadsheet: remove it"
#: Options of a source, the kind that has them, and what else to do in place of them on some kinds.
_OF_ONE_KIND = {
    "partitions": ("files", {}),
    "compare": ("database", {"spark": ". It compares in Spark if it has `state`"}),
    "schema": ("database", {"spark": ". Its `state` can be a schema"}),
    "state": ("spark", {"database": ". It compares itself with `compare: in_warehouse`"}),
}
_SPARK_ADDRESS = re.compile(r"sc://[^/;\s]+(/(;\S*)?)?")
_SPARK_URL = "it must be the URL of a Spark Connect server: `sc://spark.internal:15002`"
_FILES_ONLY = "`{option}` is for `files` sources, and `{source}` {kind}"
_FILE_OPTIONS = {"file": f"{_FILES_ONLY}: give a `query`", "partitions": f"{_FILES_ONLY}: remove it"}
#: Options of an entry that a kind of source does not have, with the problem.
_NOT_FOR = {
    "database": _FILE_OPTIONS,
    "spark": _FILE_OPTIONS,
    "files": {
        "probe": "remove it. Changed files of `{source}` are detected automatically; `probe` is for databases and "
        "Spark."
    },
    _SHEETS: {
        "query": "`{source}` is a Google spreadsheet: give the name of a sheet as `file`",
        **dict.fromkeys(("probe", "partitions", "sheet"), _NOT_FOR_SHEETS),
    },
}
_EXPECT_NOT_FOR = {
    "database": {"marker": _FILES_ONLY, "manifest": _FILES_ONLY},
    "spark": {"marker": _FILES_ONLY, "manifest": _FILES_ONLY},
    "files": {
        "modified": "remove it. When the files of `{source}` were written is detected automatically; `modified` is "
        "for databases and Spark."
    },
    _SHEETS: dict.fromkeys(("marker", "manifest", "max_age", "modified"), _NOT_FOR_SHEETS),
}


def find_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    if not tree.get("audiences") and not tree.get("computed_traits"):
        yield ConfigProblem(("audiences",), _NOTHING)
    yield from store_problems(tree)
    if isinstance(state := tree.get("state"), str) and (problem := state_problem(state)):
        yield ConfigProblem(("state",), problem)
    sources = as_mapping(tree.get("sources"))
    for name, source in sources.items():
        yield from _one_of(source, tuple(_KINDS), ("sources", name))
        yield from _option_problems(name, as_mapping(source))
        if isinstance(url := as_mapping(source).get("database"), str) and (problem := url_problem(url)):
            yield ConfigProblem(("sources", name, "database"), problem)
        if isinstance(url := as_mapping(source).get("files"), str) and (problem := files_problem(url)):
            yield ConfigProblem(("sources", name, "files"), problem)
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
    if any(map(compares, sources.values())):
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


def _kind_of(source: Mapping[str, Any]) -> str | None:
    return next((kind for kind in _KINDS if source.get(kind) is not None), None)


def _kind_of_entry(source: Mapping[str, Any]) -> str | None:
    """The kind of a source, as it counts for the options of what is read from it."""
    files = source.get("files")
    return _SHEETS if isinstance(files, str) and Spreadsheet.parse(files) else _kind_of(source)


def _option_problems(name: str, source: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Options that another kind of source has, and a URL that Spark's client can't read."""
    kind = _kind_of(source)
    for option, (only, instead) in _OF_ONE_KIND.items():
        if kind not in (None, only) and source.get(option) not in (None, HERE):
            message = f"`{option}` is for `{only}` sources, and `{name}` {_KINDS[kind]}: remove it"
            yield ConfigProblem(("sources", name, option), f"{message}{instead.get(kind, '')}")
    if isinstance(url := source.get("spark"), str) and not _SPARK_ADDRESS.fullmatch(url):
        yield ConfigProblem(("sources", name, "spark"), _SPARK_URL)


def _source_problems(entry: Mapping[str, Any], sources: Mapping[str, Any], path: ConfigPath) -> Iterator[ConfigProblem]:
    """Problems with the entry's source, and options that do not apply to its kind."""
    yield from _one_of(entry, ("file", "query"), path)
    name, expect = entry.get("source"), as_mapping(entry.get("expect"))
    if not isinstance(name, str):
        return
    if name not in sources:
        yield ConfigProblem((*path, "source"), unknown_name_message("source", name, sources))
        return
    kind = _kind_of_entry(as_mapping(sources[name]))
    if kind is None:
        return
    for given, not_for, at in ((entry, _NOT_FOR, path), (expect, _EXPECT_NOT_FOR, (*path, "expect"))):
        for option, message in not_for[kind].items():
            if given.get(option) is not None:
                yield ConfigProblem((*at, option), message.format(option=option, source=name, kind=_KINDS.get(kind)))
    if kind in ("database", "spark") and expect.get("max_age") is not None and expect.get("modified") is None:
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


def compares(source: object) -> bool:
    """Whether a source compares snapshots itself."""
    options = as_mapping(source)
    return options.get("compare") == IN_WAREHOUSE or options.get("state") is not None


def _one_of(entry: object, names: Sequence[str], path: ConfigPath) -> Iterator[ConfigProblem]:
    if not isinstance(entry, Mapping):
        return
    given = [name for name in names if entry.get(name) is not None]
    if not given:
        *others, last = (f"`{name}`" for name in names)
        yield ConfigProblem(path, f"it needs {', '.join(others)} or {last}")
    if len(given) > 1:
        yield ConfigProblem(
            path, f"it has both `{given[0]}` and `{given[1]}`: keep one, and remove the other or set it to null"
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
