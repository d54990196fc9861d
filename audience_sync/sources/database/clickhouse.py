"""Stream the rows of ClickHouse in blocks, read only: a cursor of its driver fetches an answer whole."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from audience_sync.sources.base import Unsendable
from audience_sync.sources.values.json_sql import NOT_UTF_8

#: The driver writes a text that is not UTF-8 as hexadecimal digits, which may be another user's id. Read in this
#: encoding, in which every byte is a character, it can be decoded here.
_ENCODING = "latin-1"
_TEXT = re.compile(r"\b(?:String|JSON|Dynamic|Variant)\b")
_WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)")
_INTEGER = re.compile(r"U?Int\d+|B?Float\d+")


class RowBlocks(Struct, frozen=True):
    """An answer: its columns with the names of their types, and its rows."""

    columns: Mapping[str, str]
    names: Sequence[str]
    rows: Iterator[Sequence[Any]]


@contextmanager
def row_blocks(driver: Any, statement: str, *, read_only: bool = True) -> Generator[RowBlocks, None, None]:
    """The answer of one SELECT. Raises the driver's errors, also while the rows are read."""
    client = driver.client
    settings = _read_only(client) if read_only else None
    plain = statement.rstrip().rstrip(";")
    with client.query_row_block_stream(plain, settings=settings, encoding=_ENCODING) as stream:
        names = [str(name) for name in stream.source.column_names]
        types = [str(each.name) for each in stream.source.column_types]
        columns = {name: type_name(kind) for name, kind in zip(names, types, strict=True)}
        yield RowBlocks(columns, names, _decoded(stream, types))


def type_name(name: str) -> str:
    """The type without its wrappers, which allow NULL, and a number of any width as one type."""
    while wrapped := _WRAPPED.fullmatch(name):
        name = wrapped[1]
    if _INTEGER.fullmatch(name):
        return "number"
    return f"{name}[]" if name.startswith("Array(") else name


def _read_only(client: Any) -> Mapping[str, str]:
    """The setting by which the server refuses everything but reading, unless the user's is stricter."""
    current = client.server_settings.get("readonly")
    return {"readonly": "2"} if getattr(current, "value", "0") == "0" else {}


def _decoded(blocks: Iterable[Sequence[Sequence[Any]]], types: Sequence[str]) -> Iterator[Sequence[Any]]:
    texts = [(index, "JSON" not in kind) for index, kind in enumerate(types) if _TEXT.search(kind)]
    for block in blocks:
        columns = list(zip(*block, strict=True))
        for index, with_keys in texts:
            columns[index] = tuple(_decode(value, with_keys=with_keys) for value in columns[index])
        yield from zip(*columns, strict=True)


def _decode(value: Any, *, with_keys: bool) -> Any:
    """The value with its texts, at any depth, in UTF-8. ``with_keys``: those of objects too, which are not in JSON."""
    match value:
        case str():
            return value if value.isascii() else _utf_8(value)
        case list() | tuple():
            return [_decode(inner, with_keys=with_keys) for inner in value]
        case dict():
            keys = [_utf_8(key) if with_keys and isinstance(key, str) else key for key in value]
            if any(isinstance(key, Unsendable) for key in keys):
                return Unsendable(NOT_UTF_8)
            inner = (_decode(each, with_keys=with_keys) for each in value.values())
            return dict(zip(keys, inner, strict=True))
        case _:
            return value


def _utf_8(text: str) -> str | Unsendable:
    try:
        return text.encode(_ENCODING).decode()
    except UnicodeError:
        return Unsendable(NOT_UTF_8)
