"""Explain that the store has nothing of an audience of the config, because no run has synced it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audience_sync.cli.base.session import Session
from audience_sync.command_line import to_paste
from audience_sync.errors import UnknownNameError


@contextmanager
def explaining_unsynced(session: Session, key: str, *, remedy: str = "") -> Iterator[None]:
    """A context in which a key that only the config has gets a message of its own.

    ``remedy``: what to do instead of the command that syncs it.
    """
    try:
        yield
    except UnknownNameError:
        if (message := _unsynced_message(session, key, remedy)) is None:
            raise
        raise UnknownNameError(message) from None


def _unsynced_message(session: Session, key: str, remedy: str) -> str | None:
    from audience_sync.config.read.names import read_names

    names = read_names(Path(session.config), session.environment)
    if names is None or key not in names.audiences:
        return None
    fact = f"audience '{key}' is in {session.config_name}, but no run has synced it yet."
    if key in names.manual:
        usual = f"It waits for its first seed: {to_paste('seed', key)}"
    else:
        usual = f"Sync it: {to_paste('sync', key)}"
    return f"{fact}\n  {remedy or usual}"
