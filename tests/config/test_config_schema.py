"""The JSON Schema accepts what the program accepts, and the reference is made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml
from config_reference import reference_markdown
from jsonschema import Draft202012Validator

from audience_sync.config.json_schema import json_schema
from audience_sync.config.sections.base import DestinationOptions

from .test_config_loading import PRODUCT

Errors = Callable[[str], list[str]]

START = """
sources: {shop: {files: data}}
audiences: [{name: VIP, source: shop, file: vip.csv}]
"""


@pytest.fixture
def schema(destination_types: Mapping[str, type[DestinationOptions]]) -> dict[str, Any]:
    return json_schema(destination_types)


@pytest.fixture
def errors(schema: dict[str, Any]) -> Errors:
    """The places where a text isn't as the schema says."""
    validator = Draft202012Validator(schema)
    return lambda text: [error.json_path for error in validator.iter_errors(yaml.safe_load(text))]


def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


def test_the_products_example_is_valid(errors: Errors) -> None:
    assert errors(PRODUCT) == []


@pytest.mark.parametrize(
    "more",
    [
        pytest.param("schedule: '@daily'", id="a cron expression alone"),
        pytest.param("schedule: {every: 1.5h}", id="a time between runs"),
        pytest.param("guard: {max_removed: 500, max_added: 0.5, at_least: 0}", id="counts and shares"),
        pytest.param("memory_limit: 512MiB", id="a size"),
        pytest.param("members_table: ${TABLE}", id="a variable for a truth"),
        pytest.param("guard: {at_least: '${N:-5}'}", id="a variable for a number"),
        pytest.param("trait_values_table: 5000", id="a size of a table"),
        pytest.param("trait_values_table: false", id="no table"),
        pytest.param("trait_values_table: ${SIZE}", id="a variable for the size of a table"),
        pytest.param("destinations: {a: {type: file, path: x, timeout: '${T}'}}", id="a variable for a duration"),
        pytest.param(
            "computed_traits: [{source: shop, query: q, traits: [{column: a, type: date}]}]",
            id="a trait in full",
        ),
        pytest.param("environments: {production: {destinations: {a: {path: x}}}}", id="a piece of a part"),
    ],
)
def test_what_the_program_takes_is_valid(errors: Errors, more: str) -> None:
    assert errors(f"{START}{more}\n") == []


@pytest.mark.parametrize(
    ("more", "place"),
    [
        pytest.param("gard: {}", "$", id="an unknown option"),
        pytest.param("guard: {max_removd: 1}", "$.guard", id="an unknown option further down"),
        pytest.param("guard: {max_removed: lots}", "$.guard.max_removed", id="no share"),
        pytest.param("memory_limit: 768", "$.memory_limit", id="no unit"),
        pytest.param("schedule: {cron: a, every: 5m}", "$.schedule", id="two schedules"),
        pytest.param("sources: {a: {}}", "$.sources.a", id="a source of nothing"),
        pytest.param("sources: {a: {files: x, database: y}}", "$.sources.a", id="a source of both"),
        pytest.param("audiences: [{source: a, file: b}]", "$.audiences[0]", id="no name"),
        pytest.param("audiences: [{name: a, source: a, file: b, query: c}]", "$.audiences[0]", id="file and query"),
        pytest.param("destinations: {a: {type: fiel, path: x}}", "$.destinations.a", id="an unknown type"),
        pytest.param("destinations: {a: {path: x}}", "$.destinations.a", id="no type"),
        pytest.param(
            "destinations: {a: {type: segment, write_key: k, path: x}}",
            "$.destinations.a",
            id="another type's option",
        ),
        pytest.param("environments: {production: {stor: x}}", "$.environments.production", id="an unknown override"),
    ],
)
def test_what_the_program_refuses_is_not_valid(errors: Errors, more: str, place: str) -> None:
    assert errors(f"{START}{more}\n") == [place]


def test_a_config_without_audiences_and_traits_is_not_valid(errors: Errors) -> None:
    assert errors("store: sqlite:///a.db\n") == ["$"]


def test_defaults_are_written_as_in_the_config(schema: dict[str, Any]) -> None:
    file = schema["$defs"]["FileOptions"]["properties"]
    assert schema["properties"]["memory_limit"]["default"] == "768MB"
    assert schema["$defs"]["Guard"]["properties"]["max_removed"]["default"] == "30%"
    assert file["timeout"]["default"] == "30s"
    assert schema["$defs"]["SegmentOptions"]["properties"]["rate_limit"]["default"] == "1000/s"
    assert "default" not in file["batch_size"]


def test_every_option_has_a_description(schema: dict[str, Any]) -> None:
    options = [
        (name, option)
        for part in [schema, *schema["$defs"].values()]
        for name, option in part.get("properties", {}).items()
    ]
    assert [name for name, option in options if not option.get("description")] == []


def test_a_table_has_a_row_for_each_option(schema: dict[str, Any]) -> None:
    assert reference_markdown(schema, "# Guard\n\n<!-- table Guard -->\n") == (
        "# Guard\n"
        "\n"
        "| option | type | default | what it does |\n"
        "|---|---|---|---|\n"
        "| `max_removed` | [share](#units) or count | `30%` | Maximum number of members who may leave in one "
        "run, or of users who may lose the value of a computed trait: a share of those before, or a count. |\n"
        "| `max_added` | [share](#units) or count | `100%` | Maximum number of users who may enter in one run, as a "
        "share or a count; the first creation is not guarded. |\n"
        "| `at_least` | whole number | `100` | Shares apply only if at least this number of rows changes, so "
        "that a small audience may change freely. |\n"
        "| `tolerance` | [share](#units) | `5%` | A held snapshot counts as the same while at most this share of "
        "the users that it would change differs. |\n"
        "| `together` | [limits](#guard) |  | Limits for all audiences of a run together, "
        "in addition to those of each. |\n"
    )


def test_a_destinations_table_has_what_the_others_have_not(schema: dict[str, Any]) -> None:
    text = reference_markdown(schema, "<!-- destinations -->")
    assert text.startswith(
        "### `type: file`\n"
        "\n"
        "A file.\n"
        "\n"
        "| option | type | default | what it does |\n"
        "|---|---|---|---|\n"
        "| `path` | text | required | The file. |\n"
        "\n"
        "### `type: zendesk_connect`\n"
    )
    assert "| `rate_limit` | [rate](#units) | `1000/s` | Most requests in a time. |" in text
    assert "| `private_key` | text (secret) | required | The private key. |" in text
