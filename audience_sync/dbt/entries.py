"""Make entries of the config from the models that have ``meta.audience_sync``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy.sql.compiler import RESERVED_WORDS

from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig
from audience_sync.config.outline import key_of_trait
from audience_sync.config.read.problems import ConfigPath, ConfigProblem, dotted
from audience_sync.config.sections.snapshot import SnapshotConfig
from audience_sync.config.validate import cross_checks, property_keys
from audience_sync.config.validate.pydantic_errors import as_mapping, validate
from audience_sync.dbt.manifest import META, NONE_MARKED, Manifest, Node
from audience_sync.dbt.names import ids_by_name, shortest_name
from audience_sync.errors import DbtProjectError, Problem
from audience_sync.model import USER_ID
from audience_sync.text import unknown_option_message

Entry = dict[str, Any]
#: Options of an entry that come from the model itself.
_FROM_MODEL = frozenset({"source", "file", "query", "dbt_model"})
#: Options for files.
_FOR_FILES = frozenset({"encoding", "sheet", "partitions"})
_EPHEMERAL = (
    "the model is ephemeral: dbt makes no table of it that could be read. Give it `materialized: table`, or `view`"
)
_FORM = "it must be a mapping of options, such as `{name: Churn Risk, user_id: customer_id}`, a list of them, or `true`"
_BOTH = "it has both `name` and `traits`: write a list with two mappings, one for the audience and one for the traits"
_COLUMN = "it has no effect at a column. Mark the model, and name the column in its `traits`"
#: Adapters whose SQL quotes names by backticks.
_BACKTICKS = frozenset({"bigquery", "clickhouse", "databricks", "mysql", "spark"})


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a dbt project, in the form of the config; each has its ``dbt_model``."""

    audiences: tuple[Entry, ...]
    computed_traits: tuple[Entry, ...]

    @property
    def destinations(self) -> tuple[str, ...]:
        """The destinations that they name, in order."""
        named = (each.get("destinations") or () for each in (*self.audiences, *self.computed_traits))
        return tuple(dict.fromkeys(name for names in named for name in names))


def read_entries(manifest: Manifest, source: str, *, without: Set[str] = frozenset()) -> Entries:
    """The entries for the models that have ``meta.audience_sync``, read from this source of the config.

    ``without``: keys of traits that are left out. Raises DbtProjectError with every problem, by the path of its option.
    """
    problems = list(_marked_columns(manifest))
    if not manifest.marked and not problems:
        raise DbtProjectError([Problem("", NONE_MARKED)])
    ids = ids_by_name(manifest.with_rows)
    found: dict[str, list[tuple[ConfigPath, Entry]]] = {"audiences": [], "computed_traits": []}
    for unique_id, node in manifest.marked.items():
        if node.is_ephemeral:
            problems.append(Problem(_shown(_path_of(node)), _EPHEMERAL))
            continue
        for path, options in _specifications(node):
            wrong = list(_problems(path, options))
            problems += (Problem(_shown(each.path), each.message) for each in wrong)
            if not wrong:
                part, left = "audiences", options
                if "traits" in options:
                    traits = [each for each in options["traits"] if key_of_trait(each) not in without]
                    part, left = "computed_traits", {**options, "traits": traits}
                    if not traits:
                        continue
                name = shortest_name(unique_id, ids)
                entry = _entry(node, left, source, name, manifest.metadata.adapter_type or "")
                found[part].append((path, entry))
    entries = Entries(*(tuple(entry for _, entry in found[part]) for part in ("audiences", "computed_traits")))
    paths = {(part, index): path for part, pairs in found.items() for index, (path, _) in enumerate(pairs)}
    problems += _problems_of_all(entries, source, paths)
    if problems:
        raise DbtProjectError(problems)
    return entries


def _marked_columns(manifest: Manifest) -> Iterator[Problem]:
    for node in manifest.with_rows.values():
        for name in (name for name, column in node.columns.items() if column.is_marked):
            yield Problem(_shown((node.described_in, node.name, "columns", name, "meta", META)), _COLUMN)


def _path_of(node: Node) -> ConfigPath:
    return (node.described_in, node.name, "meta", META)


def _shown(path: ConfigPath) -> str:
    """``models/schema.yml: churn_risk.meta.audience_sync.name``"""
    file, *rest = path
    return f"{file}: {dotted(tuple(rest))}" if file else dotted(tuple(rest))


def _specifications(node: Node) -> Iterator[tuple[ConfigPath, Any]]:
    """What a model becomes, one entry each, with its path in the description of the model."""
    path, marked = _path_of(node), node.marked
    if isinstance(marked, list) and marked:
        yield from (((*path, index), each) for index, each in enumerate(marked))
    else:
        yield path, {} if marked is True else marked


def _problems(path: ConfigPath, options: Any) -> Iterator[ConfigProblem]:
    """The problems with the options of one entry. Those that its model decides are problems, too."""
    if not isinstance(options, Mapping):
        yield ConfigProblem(path, _FORM)
        return
    is_traits = "traits" in options
    if is_traits and not {"name", "names_from", "key"}.isdisjoint(options):
        yield ConfigProblem(path, _BOTH)
        return
    model: type[SnapshotConfig] = ComputedTraitsConfig if is_traits else AudienceConfig
    allowed = [each for each in model.model_fields if each not in _FROM_MODEL | _FOR_FILES]
    allowed += [] if is_traits else ["traits"]
    unknown = [name for name in options if name not in allowed]
    for name in unknown:
        if name in _FROM_MODEL:
            message = "the model itself decides this: remove it"
        else:
            message = unknown_option_message(str(name), allowed)
        yield ConfigProblem((*path, str(name)), message)
    known = {name: value for name, value in options.items() if name not in unknown}
    yield from validate(model, {**known, "source": "warehouse", "query": "select 1"}, path)[1]


def _problems_of_all(entries: Entries, source: str, paths: Mapping[tuple[str, int], ConfigPath]) -> Iterator[Problem]:
    """The problems of entries together, such as two with one key, by the paths in the descriptions of the models."""
    tree = {
        "sources": {source: {"database": "sqlite:///warehouse.db"}},
        "audiences": list(entries.audiences),
        "computed_traits": list(entries.computed_traits),
        "destinations": {name: {"type": "file"} for name in entries.destinations},
    }
    found = [*cross_checks.find_problems(tree), *property_keys.find_problems(tree, frozenset())]
    for each in found:
        path, message = next((at for key, at in paths.items() if key == each.path[:2]), None), each.message
        for (part, index), other in paths.items():
            message = re.sub(rf"\b{part}\[{index}\]", _shown(other).replace("\\", r"\\"), message)
        if path is not None:
            yield Problem(_shown((*path, *each.path[2:])), message)


def _entry(node: Node, options: Mapping[str, Any], source: str, dbt_model: str, adapter: str) -> Entry:
    """The entry in the order in which people write it: what it is, where it is from, the rest."""
    options = dict(options)
    start: Entry = {name: options.pop(name) for name in ("name", "names_from", "key") if name in options}
    if "traits" not in options and start.keys().isdisjoint({"name", "names_from"}):
        start = {"name": node.name, **start}
    quoted = {name for name, column in node.columns.items() if column.quote}
    columns = ", ".join(_written(column, adapter, column in quoted) for column in _columns({**start, **options}))
    query = f"select {columns} from {node.relation}"
    return {**start, "source": source, "dbt_model": dbt_model, "query": query, **options}


def _columns(options: Mapping[str, Any]) -> list[str]:
    """The columns that an entry reads, each once."""
    traits = (each if isinstance(each, str) else as_mapping(each).get("column") for each in options.get("traits", ()))
    ids = options.get("ids") or [options.get("user_id") or USER_ID]
    return list(dict.fromkeys(filter(None, [*ids, options.get("names_from"), *traits])))


def _written(column: str, adapter: str, is_quoted: bool) -> str:
    """The column as dbt's SQL has it: plain where that is the same, so that its case does not matter.

    ``is_quoted``: the project quotes it itself, so that its case does.
    """
    if not is_quoted and re.fullmatch(r"[A-Za-z_]\w*", column, re.ASCII) and column.lower() not in RESERVED_WORDS:
        return column
    if adapter in _BACKTICKS:
        return f"`{column.replace('`', '``')}`"
    if adapter == "snowflake" and not is_quoted and column.isidentifier():
        column = column.upper()
    return '"{}"'.format(column.replace('"', '""'))
