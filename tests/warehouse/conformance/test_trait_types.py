"""A trait whose value has changed is found, whatever its type: two values have one text only if they are sent alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.warehouse.dialects.base import Dialect
from audience_sync.sources.warehouse.dialects.clickhouse import ClickHouse
from audience_sync.sources.warehouse.dialects.postgresql import PostgreSQL
from audience_sync.sources.warehouse.dialects.spark import Spark
from audience_sync.workspace import Workspace
from warehouse.sail import SPARK

from .duckdb_engine import DuckDB
from .places import Place
from .trait_runs import TraitRuns

Pairs = Mapping[str, tuple[str, str]]
#: Two hours of a night in autumn, of which New York's clocks show the same.
SUMMER, WINTER = "2026-11-01 05:30:00", "2026-11-01 06:30:00"
IN_NEW_YORK = "toTimeZone(toDateTime('{}', 'UTC'), 'America/New_York')"
#: Sail has none.
COLLATIONS: Pairs = {"text": ("'a' collate UTF8_LCASE", "'A' collate UTF8_LCASE")} if SPARK else {}
PAIRS: Mapping[type[Dialect], Pairs] = {
    Spark: {
        "boolean": ("true", "false"),
        "decimal": ("cast(0.10 as decimal(38, 2))", "cast(0.11 as decimal(38, 2))"),
        "double": ("cast('0.1' as double)", "cast('0.10000000000000002' as double)"),
        "float": ("cast('0.1' as float)", "cast('0.10000001' as float)"),
        "time": (f"timestamp '{SUMMER} UTC'", f"timestamp '{WINTER} UTC'"),
        "time without a zone": ("timestamp_ntz '2026-01-01 00:00:00'", "timestamp_ntz '2026-01-01 00:00:00.001'"),
        "list": ("array('a, b')", "array('a', 'b')"),
        "list of times": (f"array(timestamp '{SUMMER} UTC')", f"array(timestamp '{WINTER} UTC')"),
        "object": ("named_struct('a', 'x, y', 'b', 'z')", "named_struct('a', 'x', 'b', 'y, z')"),
        "object in a list": ("array(named_struct('a', cast(null as int)))", "array(cast(null as struct<a: int>))"),
        "map": ("map('a', 'b, c -> d')", "map('a', 'b', 'c', 'd')"),
        "map without a value": ("map('a', cast(null as string))", "map('a', 'null')"),
        "nothing": ("null", "'null'"),
        **COLLATIONS,
    },
    PostgreSQL: {
        "double": ("0.1::float8", "0.10000000000000002::float8"),
        "time": (f"timestamptz '{SUMMER} UTC'", f"timestamptz '{WINTER} UTC'"),
        "list": ("array['a, b']", "array['a', 'b']"),
        "list of times": (f"array[timestamptz '{SUMMER} UTC']", f"array[timestamptz '{WINTER} UTC']"),
        "JSON": ("""'{"a": 1}'::jsonb""", """'{"a": "1"}'::jsonb"""),
        "nothing": ("null", "'null'"),
    },
    ClickHouse: {
        "time": (IN_NEW_YORK.format(SUMMER), IN_NEW_YORK.format(WINTER)),
        "list": ("['a, b']", "['a', 'b']"),
    },
    DuckDB: {"list": ("['a, b']", "['a', 'b']")},
}


#: Values that are compared nowhere: on Spark, two of them that are equal differ in their texts.
INCOMPARABLE: Mapping[type[Dialect], Sequence[str]] = {
    Spark: ("map(array('a'), 1)", "map(named_struct('a', 1), 1)", "array(map(X'00', 1))")
}


@pytest.fixture
def pairs(place: Place) -> Pairs:
    return next((pairs for dialect, pairs in PAIRS.items() if type(place.dialect) is dialect), {})


@pytest.fixture
def runs(place: Place, pairs: Pairs, workspace: Workspace) -> TraitRuns:
    return TraitRuns(place, workspace, traits=[f"trait_{number}" for number, _ in enumerate(pairs)])


def rows(pairs: Pairs, *, changed: bool) -> str:
    """A query for a user for each type, with a column for each type. ``changed``: whether the user's own has."""
    users = (
        ", ".join(
            f"{other if changed and name == user else one} as trait_{number}"
            for number, (name, (one, other)) in enumerate(pairs.items())
        )
        for user in pairs
    )
    return " union all ".join(
        f"select '{user}' as user_id, {values}" for user, values in zip(pairs, users, strict=True)
    )


def test_a_value_of_any_type_that_has_changed_is_found(runs: TraitRuns, pairs: Pairs) -> None:
    if not pairs:
        pytest.skip("its values are compared in the tests of traits")
    runs.query = rows(pairs, changed=False)
    assert runs.found(runs.sync()).keys() == pairs.keys()
    assert runs.found(runs.sync()) == {}

    runs.query = rows(pairs, changed=True)
    changed = runs.found(runs.sync())

    assert changed.keys() == pairs.keys()
    assert all(len(values) == 1 for values in changed.values())
    assert runs.found(runs.sync()) == {}


def test_a_value_without_a_text_of_its_own_is_refused(place: Place, workspace: Workspace) -> None:
    if not (values := INCOMPARABLE.get(type(place.dialect))):
        pytest.skip("each value has one text")
    for value in values:
        runs = TraitRuns(place, workspace, traits=["labels"], query=f"select 'ada' as user_id, {value} as labels")
        with pytest.raises(SourceError, match=r"column 'labels' has the type .*map<.*, whose values can't be compared"):
            runs.sync()
