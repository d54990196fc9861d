"""Find the destination types in the entry points of all installed packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from audience_sync.destinations.base import Destination
from audience_sync.errors import AudienceSyncError

GROUP = "audience_sync.destinations"
T = TypeVar("T")
U = TypeVar("U")


class ByType(Mapping[str, T]):
    """Something of each destination type. A type is imported when it is first looked up: most configs use two or three.

    A look-up raises AudienceSyncError if the type can't be loaded.
    """

    def __init__(self, entries: Mapping[str, EntryPoint], part: Callable[[type[Destination]], T]) -> None:
        self._entries, self._part = entries, part

    def __getitem__(self, name: str) -> T:
        return self._part(_load_type(self._entries[name]))

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def each(self, part: Callable[[type[Destination]], U]) -> ByType[U]:
        return ByType(self._entries, part)


def destination_types() -> ByType[type[Destination]]:
    """Return the destination classes by their name for ``type:`` in the config.

    Raises AudienceSyncError if two have the same name.
    """
    found: dict[str, EntryPoint] = {}
    for entry in _installed():
        if found.setdefault(entry.name, entry).value != entry.value:
            raise AudienceSyncError(
                f"two packages define a destination type '{entry.name}' (one is {entry.value}). Uninstall one"
            )
    return ByType(found, lambda kind: kind)


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """Return the entry points of all installed packages, by name. Finding them reads a file of each package: 10 ms."""
    return tuple(sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


@cache
def _load_type(entry: EntryPoint) -> type[Destination]:
    try:
        loaded = entry.load()
    except Exception as error:  # an import of another package may raise anything
        raise AudienceSyncError(_load_error(entry, f"{type(error).__name__}: {error}")) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Destination)):
        raise AudienceSyncError(_load_error(entry, "it is not a subclass of Destination"))
    return loaded


def _load_error(entry: EntryPoint, why: str) -> str:
    package = f"package {entry.dist.name}" if entry.dist else "an unknown package"
    return (
        f"destination type '{entry.name}' of {package} can't be loaded from {entry.value}: {why}. "
        "Repair or uninstall that package"
    )


def profile_fields(types: Iterable[type[Destination]]) -> frozenset[str]:
    """Return the keys (in lower case, letters and digits only) that no audience may have."""
    return frozenset[str]().union(*(each.profile_fields for each in types))
