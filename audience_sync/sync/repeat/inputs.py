"""Compute the fingerprint of everything that a run depends on, from values that are cheap to read."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from audience_sync.config.read.config_tree import read_config_tree
from audience_sync.config.read.paths import DEFAULT_STORE, database_url
from audience_sync.redaction.secrets import collect_secrets, passwords_in_url
from audience_sync.sources.fingerprint import file_version
from audience_sync.sources.storage.resolve_names import LocalFolder
from audience_sync.tracing import VARIABLES
from audience_sync.version import __version__

#: The cost of a guess at the config's secrets, which are in the fingerprint: 3 ms and 1 MB.
_SCRYPT_COST, _BLOCK_SIZE = 1024, 8


class ConfigInputs(NamedTuple):
    """The config as it stands, with the variables of the process put in, and not validated.

    ``text``: all its values, with those of the environment and the installation that a run depends on.
    """

    store: str
    text: str
    secrets: tuple[str, ...]


class FileName(NamedTuple):
    """A file, glob or folder in a folder, as an entry names it. ``hive``: folders add columns."""

    folder: str
    name: str
    hive: bool = False


class RunInputs(Struct, frozen=True, kw_only=True):
    """What a run depends on: its config, the files that it reads, and those that it writes, at its start."""

    config: ConfigInputs
    files: Sequence[FileName]
    written: Sequence[str]
    salt: str
    fingerprint: str


def read_config_inputs(config: Path, environment: str | None, variables: Mapping[str, str]) -> ConfigInputs | None:
    """Read the config. None if it has a problem, or if a run does what its rows don't show, such as traces.

    Raises ConfigError.
    """
    if any(variables.get(each) for each in VARIABLES) or not config.is_file():  # a pipe can be read once
        return None
    tree, problems, resolver = read_config_tree(config, environment, variables)
    resolver = replace(resolver, reads_pipes=False)
    tree = resolver.resolve(tree)
    if problems or resolver.problems or not isinstance(tree.get("store") or "", str):
        return None
    store = database_url(tree.get("store") or DEFAULT_STORE, resolver.folder)
    stat = os.stat(config)
    parts = [
        *(__version__, str(resolver.folder), environment, tree),
        (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns),  # a config may change while a run begins
        sorted(each for each in variables.items() if _is_read(each[0])),
        [(path, os.stat(path).st_mtime_ns) for path in sys.path if path.endswith("-packages") and os.path.isdir(path)],
    ]
    text = json.dumps(parts, sort_keys=True, default=str)
    return ConfigInputs(store, text, collect_secrets([*resolver.values, *passwords_in_url(store)]))


def _is_read(variable: str) -> bool:
    return variable.startswith("AUDIENCE_SYNC_")


def read_run_inputs(config: ConfigInputs, files: Sequence[FileName], written: Sequence[str]) -> RunInputs | None:
    """The inputs at the start of a run; None while a file is missing or may still be written."""
    salt = secrets.token_hex(8)
    found = fingerprint(config, files, salt, datetime.now(UTC))
    if found is None:
        return None
    return RunInputs(config=config, files=files, written=written, salt=salt, fingerprint=found)


def fingerprint(config: ConfigInputs, files: Sequence[FileName], salt: str, now: datetime) -> str | None:
    """The fingerprint of a run's inputs; None while a file is missing or may still be written.

    It includes the day, so that a run reads its sources, and retention deletes, every day.
    """
    versions = [_versions(FileName(*each)) for each in files]
    if not all(versions):
        return None
    text = json.dumps([config.text, f"{now:%Y-%m-%d}", versions]).encode()
    return hashlib.scrypt(text, salt=salt.encode(), n=_SCRYPT_COST, r=_BLOCK_SIZE, p=1, dklen=16).hex()


def _versions(each: FileName) -> list[str] | None:
    found = [file_version(str(path)) for path in LocalFolder(each.folder, hive=each.hive).paths(each.name)]
    return [version for version in found if version] if all(found) else None


def written_state(path: str) -> str:
    """The state of a file that a run writes; empty if it does not exist."""
    try:
        stat = os.stat(path)
    except OSError:
        return ""
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"
