"""Read the values that Hive's folders (``plan=free/``) give to the files in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

#: What Hive and Spark call the folder of the rows without a value.
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def is_partition(folder: str) -> bool:
    """Whether a folder's name is ``name=value``."""
    name, equals, _ = folder.partition("=")
    return bool(name and equals) and not name.startswith((".", "_"))


def partition_values(folders: Iterable[str]) -> Mapping[str, str | None]:
    """The columns of a file in these folders, the outermost first; None is no value.

    Hive writes what can't stand in a path as ``%2F``. The innermost of two folders with one name counts.
    """
    pairs = (folder.partition("=") for folder in folders if is_partition(folder))
    return {unquote(name): None if value in ("", NO_VALUE) else unquote(value) for name, _, value in pairs}
