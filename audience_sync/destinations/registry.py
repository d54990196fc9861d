"""List the destination types from the entry points of all installed packages."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from audience_sync.destinations.base import Destination
from audience_sync.errors import AudienceSyncError

GROUP = "audience_sync.destinations"


def destination_types() -> dict[str, type[Destination]]:
    """Return the destination classes by their name for ``type:`` in the config.

    Raises AudienceSyncError if one can't be loaded or two have the same name.
    """
    found: dict[str, type[Destination]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        loaded = _load_type(entry)
        if found.setdefault(entry.name, loaded) is not loaded:
            raise AudienceSyncError(
                f"two packages define a destination type '{entry.name}' (one is {entry.value}). Uninstall one"
            )
    return found


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
