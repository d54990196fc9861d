"""Build the JSON Schema of config.yaml, which editors use, from the config's models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from audience_sync.config.models import ConfigFile
from audience_sync.config.read.units import duration_text
from audience_sync.config.sections.base import DestinationOptions
from audience_sync.config.sections.guard import Threshold

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: These options come first in an editor's completion and in the reference; the others keep the models' order.
_FIRST = ("type", "name", "names_from", "key", "column")
_VARIABLE = {
    "description": "A variable: `${NAME}`, `${NAME:-default}` or `${file:/path}`.",
    "type": "string",
    "pattern": r"\$\{[^}]+\}",
}
_EXACTLY_ONE: dict[str, list[tuple[str, ...]]] = {
    "SourceConfig": [("files", "database", "spark")],
    "AudienceConfig": [("file", "query"), ("name", "names_from")],
    "ComputedTraitsConfig": [("file", "query")],
    "Schedule": [("cron", "every")],
}


class _Generator(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return duration_text(dft)
        return str(dft) if isinstance(dft, Threshold) else super().encode_default(dft)


def schema_text(destination_types: Mapping[str, type[DestinationOptions]]) -> str:
    """The same as a document."""
    return json.dumps(json_schema(destination_types), indent=2, ensure_ascii=False) + "\n"


def json_schema(destination_types: Mapping[str, type[DestinationOptions]]) -> Schema:
    """The schema (draft 2020-12) of a config whose destinations are of these types."""
    models: list[type[BaseModel]] = [ConfigFile, *destination_types.values()]
    references, schema = models_json_schema([(model, "validation") for model in models], schema_generator=_Generator)
    definitions: Schema = {name: _plain(inner) for name, inner in schema["$defs"].items()}
    names = {
        kind: references[options, "validation"]["$ref"].rpartition("/")[2]
        for kind, options in destination_types.items()
    }
    for kind, name in names.items():
        _name_type(definitions[name], kind)
    for name, groups in _EXACTLY_ONE.items():
        definitions[name]["allOf"] = [{"oneOf": [{"required": [part]} for part in group]} for group in groups]
    root = {**definitions.pop("ConfigFile"), "anyOf": _something_to_sync()}
    _set_destinations(root, list(names.values()))
    _set_environments(root)
    definitions["variable"] = _VARIABLE
    head = {"$schema": DIALECT, "title": "Audience Sync: config.yaml"}
    return {**head, **root, "$defs": _used(definitions, root)}


def _something_to_sync() -> list[Schema]:
    return [{"required": ["audiences"]}, {"required": ["computed_traits"]}]


def _used(definitions: Schema, root: Schema) -> Schema:
    """Drop the definitions that nothing refers to; pydantic adds some."""
    text = json.dumps([root, definitions])
    return {name: inner for name, inner in definitions.items() if f'"#/$defs/{name}"' in text}


def _name_type(options: Schema, kind: str) -> None:
    described = options["properties"]["type"].get("description")
    options["properties"]["type"] = {"const": kind, "description": described}
    options["required"] = ["type", *(name for name in options.get("required", []) if name != "type")]


def _set_destinations(root: Schema, names: list[str]) -> None:
    choices = [{"$ref": f"#/$defs/{name}"} for name in names]
    root["properties"]["destinations"]["additionalProperties"] = {"oneOf": choices}


def _set_environments(root: Schema) -> None:
    """An environment may override any piece of a section, so the schema fixes only the sections' names."""
    parts: Schema = {name: True for name in root["properties"] if name != "environments"}
    override = {"type": ["object", "null"], "properties": parts, "additionalProperties": False}
    root["properties"]["environments"]["additionalProperties"] = override


def _plain(schema: Any) -> Any:
    """The schema without titles and null alternatives, with defaults as a person writes them in the config."""
    if isinstance(schema, list):
        return [_plain(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(inner) for name, inner in schema.items() if name != "title"}
    if "properties" in schema:  # an option may be called `title`
        names = sorted(schema["properties"], key=lambda name: name not in _FIRST)
        plain["properties"] = {name: _option(schema["properties"][name]) for name in names}
    return plain


def _option(schema: Schema) -> Schema:
    option: Schema = _without_null(_plain(schema))
    if option.get("default", 0) is None or isinstance(option.get("default"), dict | list):
        del option["default"]  # an absent option has no value, and a section has its own defaults
    for is_kind, text in _WRITTEN:
        if "default" in option and is_kind(option):
            option["default"] = text(option["default"])
    return _or_variable(option)


def _without_null(option: Schema) -> Schema:
    choices = [choice for choice in option.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) != 1:
        return {**option, "anyOf": choices} if choices else option
    rest = {name: value for name, value in option.items() if name != "anyOf"}
    return {**choices[0], **rest}


def _or_variable(option: Schema) -> Schema:
    """Allow `${NAME}` in place of a number, a boolean, a choice, or a text with a pattern."""
    choices = option.get("anyOf", [option])
    is_plain = all(each.get("type") in ("integer", "number", "boolean") for each in choices)
    if is_plain or "pattern" in option or "enum" in option:
        about = {name: option.pop(name) for name in ("default", "description", "examples") if name in option}
        return {"anyOf": [*(option.get("anyOf") or [option]), {"$ref": "#/$defs/variable"}]} | about
    return option


def size_text(size: int) -> str:
    """Bytes as a person writes them in the config, in the largest unit that gives a whole number."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def _has_unit(unit: str) -> Callable[[Schema], bool]:
    return lambda option: unit in option.get("pattern", "") and isinstance(option["default"], int | float)


_WRITTEN: tuple[tuple[Callable[[Schema], bool], Callable[[Any], str]], ...] = (
    (_has_unit("/(s|m|h)"), lambda default: f"{default:g}/s"),
    (_has_unit("[Bb]"), size_text),
    (_has_unit("%"), lambda default: f"{default * 100:g}%"),
)
