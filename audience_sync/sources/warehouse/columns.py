"""Find the columns of a query, and the SQL that a comparison reads from them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import duplicate_column, missing_column, wanted_columns
from audience_sync.sources.warehouse.comparison_sql import ComparedColumns, column_of
from audience_sync.sources.warehouse.dialects.base import CheckedText
from audience_sync.sources.warehouse.engine import Engine
from audience_sync.sources.warehouse.fetch import CORRECT_QUERY
from audience_sync.sources.warehouse.traits_sql import TraitColumns

QUERY_NAME = "the query"


class QueryColumns(Struct, frozen=True):
    """The columns of a query: SQL for the user id and the audience's name, and the types of all by name.

    ``traits``: the columns that are values of traits.
    """

    user_id: CheckedText
    name: CheckedText | None
    types: Mapping[str, str]
    traits: tuple[str, ...]

    @property
    def of_audience(self) -> ComparedColumns:
        return ComparedColumns(self.user_id, self.name)

    @property
    def of_traits(self) -> TraitColumns:
        return TraitColumns(self.user_id, {name: self.types[name] for name in self.traits})

    @property
    def generic_types(self) -> dict[str, str]:
        return {name: generic_type(kind) for name, kind in self.types.items()}


def find_columns(engine: Engine, request: SnapshotRequest) -> QueryColumns:
    """The columns of a query. No row is read. Raises SourceError for one that is missing, or can't be compared.

    Where connections can be read-only, this refuses a query that writes.
    """
    with engine.explaining("the query failed", CORRECT_QUERY, request.query):
        columns = engine.columns(request.query or "")
    names, types = [name for name, _ in columns], dict(columns)
    for name in wanted_columns(request):
        if name not in names:
            raise missing_column(QUERY_NAME, name, names, request)
        if names.count(name) > 1:
            raise duplicate_column(QUERY_NAME, name)
    dialect = engine.dialect
    user_id = dialect.user_id(column_of(dialect, request.user_id), types[request.user_id])
    if user_id is None:
        what = f"column {request.user_id!r} has the type {types[request.user_id]}"
        remedy = "Choose another column, or cast this one to text."
        raise SourceError(f"{QUERY_NAME}: {what}, which can't hold user ids. {remedy}")
    name_text = request.name and dialect.name(column_of(dialect, request.name), types[request.name])
    traits = tuple(dict.fromkeys(each.column for each in request.traits.values()))
    for trait in traits:
        if not dialect.is_comparable(types[trait]):
            what = f"column {trait!r} has the type {types[trait]}, whose values can't be compared"
            raise SourceError(f"{QUERY_NAME}: {what}. Remove its trait, or cast it to text in the query.")
    return QueryColumns(user_id, name_text or None, types, traits)
