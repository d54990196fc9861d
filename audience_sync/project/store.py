"""Upgrade, check, back up and copy the store of a project."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import Struct

from audience_sync.errors import FAILED, OK, WrongValueError
from audience_sync.project.access import Access
from audience_sync.store.integrity.result import CheckResult


class StoreSchema(Struct, frozen=True, kw_only=True):
    """The schema that the store has (None: none yet), and the one that this program needs."""

    store: str
    schema: str | None
    program: str

    @property
    def is_current(self) -> bool:
        return self.schema == self.program

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync db current --json``."""
        return {"store": self.store, "schema": self.schema, "program": self.program}


class StoreUpgrade(Struct, frozen=True, kw_only=True):
    """The schema before and after an upgrade, and the backup of a SQLite store."""

    store: str
    before: str | None
    after: str
    backup: Path | None

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync db upgrade --json``."""
        return {"from": self.before, "to": self.after, "backup": self.backup and str(self.backup)}


class StoreChecks(Struct, frozen=True, kw_only=True):
    """The results of checking the store for damage, one for each part."""

    results: tuple[CheckResult, ...]

    @property
    def good(self) -> bool:
        return all(each.good for each in self.results)

    @property
    def exit_code(self) -> int:
        return OK if self.good else FAILED

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync db check --json``."""
        return {"checks": [each._asdict() for each in self.results]}


class StoreBackup(Struct, frozen=True, kw_only=True):
    """A copy of a SQLite store, and its size in bytes."""

    store: str
    file: Path
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync db backup --json``."""
        return {"file": str(self.file), "bytes": self.bytes}


class StoreCopy(Struct, frozen=True, kw_only=True):
    """The copy of a store. ``rows``: by table. ``shared``: folders of snapshots that both stores now use."""

    store: str
    rows: dict[str, int]
    shared: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync db copy --json``."""
        return {"store": self.store, "rows": self.rows}


def read_schema(access: Access) -> StoreSchema:
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance import migrate

    with closing(Store(access.store_settings().store)) as store:
        return StoreSchema(store=store.label, schema=migrate.current(store), program=migrate.HEAD)


def upgrade(access: Access, reason: str | None) -> StoreUpgrade:
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance import migrate
    from audience_sync.store.runs.decisions import stored_reason

    settings = access.settings_to_write()
    with closing(Store(settings.store)) as store:
        before = migrate.current(store)
        backup = migrate.upgrade(store, reason=stored_reason(reason, settings.secrets))
        return StoreUpgrade(store=store.label, before=before, after=migrate.HEAD, backup=backup)


def check(access: Access) -> StoreChecks:
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.integrity.check_store import check_store

    settings = access.store_settings()
    with closing(Store(settings.store)) as store:
        return StoreChecks(results=tuple(check_store(store, memory_limit=settings.memory_limit)))


def back_up(access: Access, file: Path) -> StoreBackup:
    from audience_sync.config.validate.shared_files import FileUse
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance.backup import back_up

    settings = access.settings_to_write([FileUse(option="file", path=str(file), is_written=True)])
    with closing(Store(settings.store)) as store:
        return StoreBackup(store=store.label, file=file, bytes=back_up(store, file, settings.memory_limit))


def copy(access: Access, url: str, reason: str | None) -> StoreCopy:
    """Copy everything to another, empty store. Variables in ``url`` are put in as in the config."""
    from audience_sync.config.loader import read_store_url
    from audience_sync.config.validate.shared_files import database_uses
    from audience_sync.errors import ConfigError
    from audience_sync.redaction.secrets import collect_secrets, passwords_in_url
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance.copy import copy_store
    from audience_sync.store.maintenance.state import stored_folders
    from audience_sync.store.runs.decisions import Decision, stored_reason

    access.keep_secrets(passwords_in_url(url))
    try:
        address = read_store_url(url, Path.cwd(), os.environ)
    except ConfigError as error:
        raise WrongValueError("url", "; ".join(each.message for each in error.problems)) from None
    access.keep_secrets(passwords_in_url(address) if address == url else collect_secrets([address]))
    settings = access.settings_to_write(list(database_uses("url", address, is_written=True)))
    with closing(Store(settings.store)) as source, closing(Store(address)) as target:
        decision = Decision("db copy", f"from {source.label}", stored_reason(reason, settings.secrets))
        counts = copy_store(source, target, decision)
        with target.reading() as connection:
            folders = stored_folders(connection)
        return StoreCopy(store=target.label, rows=dict(counts), shared=tuple(folders))
