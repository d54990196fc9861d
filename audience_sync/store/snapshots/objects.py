"""Put, read, list and delete the objects of snapshot files in a bucket, by fsspec.

An object is put once, under a name that is never used again, so that a copy of it stays right. Errors that may pass are
retried; a missing right is named.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from audience_sync.errors import ObjectDamagedError, ObjectMissingError, StoreError, summarize_error
from audience_sync.prefetch import in_order
from audience_sync.remote import missing_package, open_file_system, scheme_of
from audience_sync.store.snapshots.chain import new_digest
from audience_sync.workspace import Workspace

Result = TypeVar("Result")
#: Bytes that are read, or written, by one request; and requests at the same time.
PART_BYTES = 8 * 2**20
THREADS = 8
#: Seconds between attempts, in addition to those that a file system makes itself; no attempt begins after so many.
PAUSES, LAST_ATTEMPT_SECONDS = (1.0, 4.0), 60.0
#: What boto's client waits for. Its own defaults make a server that is silent last for half an hour.
_S3_LIMITS = {"config_kwargs": {"connect_timeout": 10, "read_timeout": 30, "retries": {"max_attempts": 2}}}


class Action(StrEnum):
    """What is done with objects."""

    PUT = "put"
    READ = "read"
    LIST = "list"
    DELETE = "delete"


_S3 = {
    Action.PUT: "s3:PutObject",
    Action.READ: "s3:GetObject",
    Action.LIST: "s3:ListBucket",
    Action.DELETE: "s3:DeleteObject",
}
_GCS = {
    Action.PUT: "storage.objects.create",
    Action.READ: "storage.objects.get",
    Action.LIST: "storage.objects.list",
    Action.DELETE: "storage.objects.delete",
}
_AZURE = dict.fromkeys(Action, "the role Storage Blob Data Contributor")
#: The name of the right to each action, by the scheme of a URL.
_RIGHTS = {"s3": _S3, "s3a": _S3, "gs": _GCS, "gcs": _GCS, "az": _AZURE, "abfs": _AZURE, "abfss": _AZURE}


class StoredObject(NamedTuple):
    """An object that was put: its URL, its size in bytes, and the checksum of its content."""

    url: str
    size: int
    checksum: str


class ListedObject(NamedTuple):
    """An object in a folder."""

    url: str
    size: int


class _Part(NamedTuple):
    of: StoredObject
    first: int
    end: int


def put_object(url: str, path: Path) -> None:
    """Put a file as an object, durably. Raises StoreError."""

    def put(system: Any, place: str) -> None:
        if scheme_of(url) == "file":
            os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        with path.open("rb") as local, system.open(place, "wb", block_size=PART_BYTES) as remote:
            shutil.copyfileobj(local, remote, 1 << 20)
        if scheme_of(url) == "file":
            _settle(place)

    _act(Action.PUT, url, put)


def put_objects(objects: Iterable[tuple[str, Path]]) -> None:
    """Put files under these URLs, several at a time. Raises StoreError."""
    for _ in in_order(lambda each: put_object(*each), objects, THREADS):
        pass


def fetch_objects(workspace: Workspace, objects: Iterable[StoredObject]) -> None:
    """Copy objects into the workspace, as ``workspace.copies``, unless they are there. Each checksum is compared.

    At most ``THREADS`` parts are in memory. Raises ObjectDamagedError for the first damaged object, and StoreError.
    """
    missing = [each for each in objects if each.url not in workspace.copies]
    parts = (
        _Part(each, first, min(first + PART_BYTES, each.size))
        for each in missing
        for first in range(0, each.size, PART_BYTES)
    )
    path, digest = Path(), new_digest()
    for part, body in in_order(lambda each: (each, read_range(*each)), parts, THREADS):
        if part.first == 0:
            path, digest = workspace.path(".parquet"), new_digest()
        with path.open("ab") as file:
            file.write(body)
        digest.update(body)
        if part.end == part.of.size:
            if digest.hexdigest() != part.of.checksum:
                raise ObjectDamagedError(part.of.url, "has another content (its checksum does not match)")
            workspace.copies[part.of.url] = path


def read_range(of: StoredObject, first: int, end: int) -> bytes:
    """The bytes from ``first`` up to, but without, ``end``. Raises ObjectDamagedError for fewer, and StoreError."""

    def read(system: Any, place: str) -> bytes:
        try:
            return bytes(system.cat_file(place, start=first, end=end))
        except (FileNotFoundError, PermissionError):
            raise
        except Exception:  # some refuse a range after the end, each with an error of its own
            _refuse_short(of, system.size(place), end)
            raise

    body = _act(Action.READ, of.url, read)
    _refuse_short(of, first + len(body), end)
    return body


def _refuse_short(of: StoredObject, size: int | None, end: int) -> None:
    if size is not None and size < end:
        raise ObjectDamagedError(of.url, f"is cut off: it has fewer than the {of.size:,} bytes that were put")


def list_objects(folder: str) -> list[ListedObject]:
    """The objects directly in a folder. Raises StoreError."""

    def find(system: Any, place: str) -> list[ListedObject]:
        system.invalidate_cache()
        try:
            found = system.find(place, detail=True)
        except FileNotFoundError:
            return []
        sizes = ((path.rstrip("/").rsplit("/", 1), int(info.get("size") or 0)) for path, info in found.items())
        return [ListedObject(f"{folder}/{name}", size) for (above, name), size in sizes if above == place.rstrip("/")]

    return _act(Action.LIST, folder, find)


def delete_objects(urls: Iterable[str]) -> None:
    """Delete objects, several at a time, also if some are gone already. Raises StoreError.

    Each is deleted by a request of its own: in an answer about many, s3fs ignores the errors of single objects.
    """
    for _ in in_order(_delete_object, urls, THREADS):
        pass


def _delete_object(url: str) -> None:
    def delete(system: Any, place: str) -> None:
        with suppress(FileNotFoundError):
            system.rm_file(place)

    _act(Action.DELETE, url, delete)


def try_folder(folder: str, name: str, scratch: Path) -> None:
    """Put, read, list and delete a small object. Raises StoreError, which names the missing right.

    ``scratch``: a local file to be written.
    """
    url, body = f"{folder}/{name}", name.encode()
    scratch.write_bytes(body)
    put_object(url, scratch)
    try:
        found = read_range(StoredObject(url, len(body), ""), 0, len(body))
        listed = {each.url for each in list_objects(folder)}
    finally:
        delete_objects([url])
    if found != body or url not in listed:
        raise StoreError(f"{folder}: an object that was just put could not be read and listed again.")


def _settle(path: str) -> None:
    """Wait until a file is on the disk, with its name; only its owner may read it."""
    os.chmod(path, 0o600)
    for each in (path, os.path.dirname(path)):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _act(action: Action, url: str, act: Callable[[Any, str], Result]) -> Result:
    """The result of an action, which is repeated after an error that may pass."""
    limits, started = _S3_LIMITS if scheme_of(url) in ("s3", "s3a") else {}, time.monotonic()
    for pause in (*PAUSES, None):
        try:
            system, place = open_file_system(url, use_listings_cache=False, **limits)
            return act(system, place)
        except (ImportError, ValueError, FileNotFoundError, StoreError) as error:
            raise _final(action, url, error) from None
        except Exception as error:  # every file system has errors of its own
            is_late = pause is None or time.monotonic() - started > LAST_ATTEMPT_SECONDS
            if is_late or _is_denied(error) or _lacks_credentials(error):
                raise _final(action, url, error) from None
            time.sleep(pause or 0)
    raise AssertionError("unreachable")


def _is_denied(error: Exception) -> bool:
    """Whether the server knows these credentials and refuses the action, as each file system reports it."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return isinstance(error, PermissionError) or str(status) in ("401", "403") or str(error).startswith("Forbidden")


def _lacks_credentials(error: Exception) -> bool:
    return "Credential" in type(error).__name__


def _final(action: Action, url: str, error: Exception) -> StoreError:
    folder = url if action is Action.LIST else url.rsplit("/", 1)[0]
    unchanged = " Nothing was changed or sent." if action in (Action.PUT, Action.READ) else ""

    def failure(what: str, remedy: str) -> StoreError:
        return StoreError(f"The state in {folder} {what}.{unchanged} {remedy}")

    match error:
        case StoreError():
            return error
        case ImportError():
            return failure("can't be used", missing_package(url, error))
        case _ if _is_denied(error):
            right = _RIGHTS.get(scheme_of(url), {}).get(action)
            named = f" ({right})" if right else ""
            what = f"is refused: these credentials may not {action} its objects{named}"
            return failure(what, "Grant that, then try: audience-sync check")
        case FileNotFoundError() if action is Action.READ:
            return ObjectMissingError(url)
        case FileNotFoundError():
            return failure("has no bucket or folder to be in", "Create it, or correct `state:` in the config.")
        case ValueError():
            return failure(f"can't be used: {error}", "Correct `state:` in the config.")
    what = summarize_error(error, str, with_location=False)
    if _lacks_credentials(error):
        return failure(f"can't be used: {what}", "Set the variables of its package, or give this machine a role.")
    return failure(f"can't be reached to {action} objects: {what}", "Try again when it answers.")
