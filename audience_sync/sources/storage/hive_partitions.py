"""Read the values that Hive's folders (``plan=free/``) add to their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

#: The value in the folder name of Hive and Spark for rows without a value.
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def is_partition(folder: str) -> bool:
    """Whether a folder's name is ``name=value``."""
    name, equals, _ = folder.partition("=")
    return bool(name and equals) and not name.startswith((".", "_"))


def partition_values(folders: Iterable[str]) -> Mapping[str, str | None]:
    """The columns that these folders add to a file, the outermost first; None means no value.

    Hive encodes characters that are not allowed in a path (``%2F``). Of two folders with the same name, the innermost
    counts.
    """
    pairs = (folder.partition("=") for folder in folders if is_partition(folder))
    return {unquote(name): None if value in ("", NO_VALUE) else unquote(value) for name, _, value in pairs}
