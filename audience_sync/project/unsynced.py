"""Explain that the store has nothing of an audience of the config, because no run has synced it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from audience_sync.command_line import to_paste
from audience_sync.errors import UnknownNameError
from audience_sync.project.access import Access


@contextmanager
def explaining_unsynced(access: Access, key: str, *, remedy: str = "") -> Iterator[None]:
    """A context in which a key that only the config has gets a message of its own.

    ``remedy``: what to do instead of the command that syncs it.
    """
    try:
        yield
    except UnknownNameError:
        if (message := _unsynced_message(access, key, remedy)) is None:
            raise
        raise UnknownNameError(message) from None


def _unsynced_message(access: Access, key: str, remedy: str) -> str | None:
    from audience_sync.config.read.names import read_names

    names = read_names(access.config, access.environment)
    if names is None or key not in names.audiences:
        return None
    fact = f"audience '{key}' is in {access.config.name}, but no run has synced it yet."
    if key in names.manual:
        usual = f"It waits for its first seed: {to_paste('seed', key)}"
    else:
        usual = f"Sync it: {to_paste('sync', key)}"
    return f"{fact}\n  {remedy or usual}"
