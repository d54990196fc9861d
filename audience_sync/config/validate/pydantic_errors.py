"""Translate errors of pydantic into problems, with "did you mean" and without the value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from audience_sync.config.read.problems import ConfigPath, ConfigProblem
from audience_sync.text import nearest, unknown_option_message

Model = TypeVar("Model", bound=BaseModel)

_MESSAGES = {
    "string_type": "it must be text: put it in quotes",
    "string_too_short": "it is empty",
    "too_short": "it is empty",
    "list_type": "it must be a list: lines that begin with `- `",
    "dict_type": "it must be a mapping: `name: value` lines",
    "model_type": "it must be a mapping: `name: value` lines",
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
    "int_parsing": "it must be a whole number",
    "int_type": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_parsing": "it must be a number",
    "float_type": "it must be a number",
    "greater_than_equal": "it must be at least {ge}",
    "greater_than": "it must be more than {gt}",
    "less_than_equal": "it must be at most {le}",
    "less_than": "it must be less than {lt}",
}


def validate(model: type[Model], value: object, path: ConfigPath = ()) -> tuple[Model | None, list[ConfigProblem]]:
    """The validated section at ``path``, or None and all its problems."""
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        return None, [
            # For an invalid name in a mapping, pydantic adds the part `[key]` to the path.
            ConfigProblem((*path, *(part for part in details["loc"] if part != "[key]")), _message(model, details))
            for details in error.errors(include_url=False)
        ]


def _message(model: type[BaseModel], details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        *above, name = details["loc"]
        return unknown_option_message(str(name), _model_at(model, above).model_fields)
    if kind in ("enum", "literal_error"):
        options = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        meant = nearest(str(details["input"]), options)
        return f"it must be {context['expected']}{f'; did you mean `{meant}`?' if meant else ''}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        *above, name = details["loc"]
        field = _model_at(model, above).model_fields.get(str(name))
        return f"it is missing{_described(field.description if field else None)}"
    if kind in _MESSAGES:
        return _MESSAGES[kind].format_map(context)
    return details["msg"].replace("Input should", "it should")


def _described(description: str | None) -> str:
    """``: the file; relative to the config's folder``"""
    if not description:
        return ""
    first, _, rest = description.removesuffix(".").partition(" ")
    first = first if any(letter.isupper() for letter in first[1:]) else first.lower()
    return f": {first} {rest}".rstrip()


def _model_at(model: type[BaseModel], path: list[int | str]) -> type[BaseModel]:
    """The model at ``path`` inside ``model``; indexes and free names are skipped."""
    for part in path:
        field = model.model_fields.get(str(part))
        model = (field and _model_in(field.annotation)) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((inner for part in get_args(annotation) if (inner := _model_in(part))), None)


def as_mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one; another check reports the wrong form."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []
