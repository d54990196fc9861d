"""Write the reference of config.yaml: tables from the JSON Schema, put into a template."""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]

_HEAD = "| option | type | default | what it does |\n|---|---|---|---|"
#: A part of an option's pattern identifies its unit.
_UNITS = (("/(s|m|h)", "[rate](#units)"), ("(ms|", "[duration](#units)"), ("[Bb]", "[size](#units)"))
_SHARE, _SHARE_OR_COUNT = "[share](#units)", "[share](#units) or count"
_PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}
_LINKS = {
    "SourceConfig": "[source](#sources)",
    "AudienceConfig": "[audience](#audiences)",
    "ComputedTraitsConfig": "[entry](#computed-traits)",
    "TraitConfig": "[trait](#computed-traits)",
    "Guard": "[guard](#guard)",
    "Retention": "[retention](#retention)",
    "GuardOverride": "[guard](#guard)",
    "TraitsGuard": "[guard](#guard)",
    "DbtConfig": "[dbt](#dbt)",
    "Expect": "[expect](#expect)",
    "TotalGuard": "[limits](#guard)",
    "Schedule": "[schedule](#schedule)",
    "Notify": "[notify](#notify)",
    "RunHook": "[hook](#on_run)",
    "Metrics": "[metrics](#metrics)",
}


def reference_markdown(schema: Schema, template: str) -> str:
    """The template with tables for ``<!-- table NAME -->`` and a section per type for ``<!-- destinations -->``.

    NAME is a model of the schema, ``config`` (the top level) or ``every destination`` (the options that all have).
    """
    text = re.sub(r"<!-- table (.+?) -->", lambda match: _table_of(match[1], schema), template)
    return text.replace("<!-- destinations -->", _destinations(schema))


def _table_of(name: str, schema: Schema) -> str:
    if name == "config":
        return _table(schema, schema)
    if name == "every destination":
        return _table(_common(schema), schema)
    return _table(schema["$defs"][name], schema)


def _destinations(schema: Schema) -> str:
    common = _common(schema)["properties"]
    return "\n\n".join(_destination(options, common, schema) for options in _types(schema))


def _destination(options: Schema, common: Schema, schema: Schema) -> str:
    kind = options["properties"]["type"]
    own = {name: option for name, option in options["properties"].items() if common.get(name) != option}
    own.pop("type", None)
    table = _table({**options, "properties": own}, schema) if own else "No options of its own."
    return f"### `type: {kind['const']}`\n\n{kind['description']}\n\n{table}"


def _common(schema: Schema) -> Schema:
    """The options that all types have, in the most frequent form; a type's section shows where it differs."""
    types = _types(schema)
    properties: Schema = {}
    for name in (name for options in types for name in options["properties"] if name != "type"):
        forms = [options["properties"].get(name) for options in types]
        if None not in forms:
            properties[name] = max(forms, key=forms.count)
    return {"properties": properties}


def _types(schema: Schema) -> list[Schema]:
    choices = schema["properties"]["destinations"]["additionalProperties"]["oneOf"]
    return [_referred(choice, schema) for choice in choices]


def _table(part: Schema, schema: Schema) -> str:
    required = part.get("required", [])
    rows = [_row(name, option, name in required, schema) for name, option in part["properties"].items()]
    return "\n".join([_HEAD, *rows])


def _row(name: str, option: Schema, required: bool, schema: Schema) -> str:
    default = "required" if required else _written(option.get("default"))
    return f"| `{name}` | {_kind(option, schema)} | {default} | {_sentence(option)} |"


def _sentence(option: Schema) -> str:
    examples = ", ".join(f"`{example}`" for example in option.get("examples", ()) if "pattern" not in str(option))
    return _cell(option.get("description", "") + (f" Example: {examples}" if examples else ""))


def _written(default: object) -> str:
    if default is None:
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _kind(option: Schema, schema: Schema) -> str:
    if "anyOf" in option:
        return " or ".join(
            _kind(choice, schema) for choice in option["anyOf"] if choice.get("$ref") != "#/$defs/variable"
        )
    if "$ref" in option:
        name = option["$ref"].rpartition("/")[2]
        return _LINKS.get(name) or _kind(_referred(option, schema), schema)
    if "enum" in option:
        return ", ".join(f"`{value}`" for value in option["enum"])
    return _collection(option, schema) or _scalar(option)


def _collection(option: Schema, schema: Schema) -> str | None:
    if option.get("type") == "array":
        return f"list of {_kind(option['items'], schema)}"
    inner = option.get("additionalProperties")
    if not isinstance(inner, dict):
        return None
    if "oneOf" in inner:
        return "[destinations](#destinations) by name"
    name = inner.get("$ref", "").rpartition("/")[2]
    return f"{_LINKS[name]} by name" if name in _LINKS else "mapping"


def _scalar(option: Schema) -> str:
    pattern, kind = option.get("pattern", ""), option.get("type", "any")
    if "%" in pattern:
        return _SHARE if "maximum" in option else _SHARE_OR_COUNT
    if option.get("format") == "password":
        return "text (secret)"
    return next((unit for part, unit in _UNITS if part in pattern), _PLAIN.get(kind, str(kind)))


def _referred(choice: Schema, schema: Schema) -> Schema:
    referred: Schema = schema["$defs"][choice["$ref"].rpartition("/")[2]]
    return referred


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()
