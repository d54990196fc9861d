"""Refuse what a source that compares snapshots itself can't do: `compare: in_warehouse`, or `state` on Spark."""

from __future__ import annotations

from collections.abc import Iterator

from audience_sync.config.read.problems import ConfigProblem, RawConfig
from audience_sync.config.validate.cross_checks import compares, entries
from audience_sync.config.validate.pydantic_errors import as_mapping

_IN_WAREHOUSE, _ON_SPARK = "`compare: in_warehouse`", "`state`"
_IN_ROWS = (
    "For several ids of a user, select a row for each: `select user_id from vip union all select email from vip`."
)


def find_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    sources = as_mapping(tree.get("sources"))
    instead = {name: _instead(name, source) for name, source in sources.items() if compares(source)}
    both = [*entries(tree, "audiences"), *entries(tree, "computed_traits")]
    compared = [(path, entry) for path, entry in both if entry.get("source") in instead]
    for path, entry in compared:
        if entry.get("ids") is not None:
            what = f"source '{entry['source']}' compares one column of ids. {_IN_ROWS}"
            yield ConfigProblem((*path, "ids"), f"{what} {instead[entry['source']]}")
    if compared and tree.get("aliases"):
        _, first = compared[0]
        what = f"`aliases` move users to other ids, which source '{first['source']}' does not know"
        yield ConfigProblem(("aliases",), f"{what}. {instead[first['source']]}")


def _instead(name: str, source: object) -> str:
    option = _ON_SPARK if as_mapping(source).get("state") is not None else _IN_WAREHOUSE
    return f"Remove it, or remove {option} from source '{name}': then every row is fetched and compared here"
