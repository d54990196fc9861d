"""Check the rules that span several sections of the config.

The checks run before the sections are validated, and skip values of an unexpected form, so that one report has all
problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audience_sync.config.read.paths import store_problem, url_problem
from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig, dotted
from audience_sync.config.validate.pydantic_errors import as_list, as_mapping
from audience_sync.text import unknown_name_message

#: Computed traits per config: each needs memory during the diff, in addition to what DuckDB counts.
MAX_TRAITS = 250
_NOTHING = "there is nothing to sync: give at least one entry in `audiences` or `computed_traits`"
_FILE_OF_DATABASE = "`file` is for `files` sources, and `{source}` is a database: give a `query`"
_FILE_EXPECTED = "`{option}` is for `files` sources, and `{source}` is a database"
_MODIFIED_OF_FILES = (
    "remove it. When the files of `{source}` were written is detected automatically; `modified` is for databases."
)
_BOTH_IDS = "it has both `ids` and `user_id`: make the column of `user_id` the first of `ids`, and remove `user_id`"
_ONE_ID = "it needs at least two columns. For one column, write `user_id: COLUMN` instead"
_MODIFIED_MISSING = "for a database, `max_age` needs `modified`: a query for the time of the newest change"
_PARTITIONS_OF_DATABASE = "`partitions` is for `files` sources, and `{source}` is a database: remove it"
_PROBE_OF_FILES = "remove it. Changed files of `{source}` are detected automatically; `probe` is for databases."


def find_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    audiences, traits = as_list(tree.get("audiences")), as_list(tree.get("computed_traits"))
    if not tree.get("audiences") and not tree.get("computed_traits"):
        yield ConfigProblem(("audiences",), _NOTHING)
    yield from store_problems(tree)
    sources = as_mapping(tree.get("sources"))
    for name, source in sources.items():
        yield from _one_of(source, ("files", "database"), ("sources", name))
        if as_mapping(source).get("partitions") is not None and "database" in as_mapping(source):
            yield ConfigProblem(("sources", name, "partitions"), _PARTITIONS_OF_DATABASE.format(source=name))
        if isinstance(url := as_mapping(source).get("database"), str) and (problem := url_problem(url)):
            yield ConfigProblem(("sources", name, "database"), problem)
    for path, entry in (*entries(audiences, "audiences"), *entries(traits, "computed_traits")):
        yield from _ids_problems(entry, path)
        yield from _expect_problems(entry, sources, (*path, "expect"))
    for path, entry in entries(audiences, "audiences"):
        yield from _source_problems(entry, sources, path)
        yield from _audience_problems(entry, as_mapping(tree.get("destinations")), path)
    for path, entry in entries(traits, "computed_traits"):
        yield from _source_problems(entry, sources, path)
    count = sum(len(as_list(entry.get("traits"))) for _, entry in entries(traits, "computed_traits"))
    if count > MAX_TRAITS:
        yield ConfigProblem(
            ("computed_traits",), f"{count:,} traits are too many: a config can have at most {MAX_TRAITS}"
        )
    for part in ("suppressed", "aliases"):
        for path, entry in entries(as_list(tree.get(part)), part):
            yield from _source_problems(entry, sources, path)
    yield from _schedule_problems(tree, ())
    yield from _names_from_problems(audiences)


def store_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    if isinstance(store := tree.get("store"), str) and (problem := store_problem(store)):
        yield ConfigProblem(("store",), problem)


def entries(values: Sequence[Any], part: str) -> Iterator[tuple[ConfigPath, Mapping[str, Any]]]:
    """The entries of a list that are mappings, with their config paths."""
    for index, value in enumerate(values):
        if isinstance(value, Mapping):
            yield (part, index), value


def _source_problems(entry: Mapping[str, Any], sources: Mapping[str, Any], path: ConfigPath) -> Iterator[ConfigProblem]:
    yield from _one_of(entry, ("file", "query"), path)
    source = entry.get("source")
    if not isinstance(source, str):
        return
    if source not in sources:
        yield ConfigProblem((*path, "source"), unknown_name_message("source", source, sources))
    elif entry.get("file") is not None and "database" in as_mapping(sources[source]):
        yield ConfigProblem((*path, "file"), _FILE_OF_DATABASE.format(source=source))
    elif entry.get("partitions") is not None and "database" in as_mapping(sources[source]):
        yield ConfigProblem((*path, "partitions"), _PARTITIONS_OF_DATABASE.format(source=source))
    elif entry.get("probe") is not None and "files" in as_mapping(sources[source]):
        yield ConfigProblem((*path, "probe"), _PROBE_OF_FILES.format(source=source))


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


def _expect_problems(entry: Mapping[str, Any], sources: Mapping[str, Any], path: ConfigPath) -> Iterator[ConfigProblem]:
    """Expectations that do not apply to the kind of source."""
    expect, source = as_mapping(entry.get("expect")), entry.get("source")
    if "files" in as_mapping(sources.get(str(source))):
        if expect.get("modified") is not None:
            yield ConfigProblem((*path, "modified"), _MODIFIED_OF_FILES.format(source=source))
        return
    for option in ("marker", "manifest"):
        if expect.get(option) is not None:
            yield ConfigProblem((*path, option), _FILE_EXPECTED.format(option=option, source=source))
    if expect.get("max_age") is not None and expect.get("modified") is None:
        yield ConfigProblem(path, _MODIFIED_MISSING)


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


def _names_from_problems(audiences: Sequence[Any]) -> Iterator[ConfigProblem]:
    first: dict[tuple[str, str], ConfigPath] = {}
    for path, entry in entries(audiences, "audiences"):
        if entry.get("names_from") is None:
            continue
        pair = (str(entry.get("source")), str(entry["names_from"]))
        if pair in first:
            message = f"{dotted(first[pair])} already reads this column of this source: make one query of both"
            yield ConfigProblem((*path, "names_from"), message)
        first.setdefault(pair, path)
