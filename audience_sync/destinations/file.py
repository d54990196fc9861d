"""Append identify calls to a file: one message in Segment's format per line, written to disk by fsync."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal, Self

import orjson
from pydantic import Field

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.config.validate.own_output import contains_other_than_calls
from audience_sync.destinations.base import (
    Audiencing,
    Destination,
    Event,
    Judgement,
    Limits,
    Meaning,
    Message,
    Transport,
)
from audience_sync.destinations.messages.identify import (
    alias_bytes,
    identify_bytes,
    identify_sql,
    message_tail,
    track_bytes,
)
from audience_sync.model import Alias, AudienceEvent, IdentifyCall
from audience_sync.text import display_path

BATCH_MESSAGES = 5_000
BATCH_BYTES = 16_000_000
OWNER_ONLY = 0o600  # the file holds user properties
BLOCK_BYTES = 64 * 1024
OTHER_CONTENT = "exists and does not begin with an identify call"

#: Errors that may pass, for example when a person frees disk space. Every other error stops the destination.
TRANSIENT_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EINTR, errno.ENOLCK, errno.ESTALE}
)


class FileOptions(DestinationOptions):
    written_files: ClassVar[tuple[str, ...]] = ("path",)

    type: Literal["file"] = Field("file", description="A file of identify calls, one JSON message per line.")
    path: str = Field(min_length=1, description="The file; relative to the config's folder.")
    concurrency: int = Field(1, ge=1, le=1, description="Always 1: lines are written in order.")

    def foreign_files(self) -> Iterator[tuple[str, str]]:
        if contains_other_than_calls(self.path):
            what = f"`{display_path(self.path)}` {OTHER_CONTENT}: a run would append to it"
            yield "path", f"{what}. Name another file, or move this one away"

    def located(self, folder: Path) -> Self:
        return self.model_copy(update={"path": str(folder / Path(self.path).expanduser())})


class FileDestination(Destination):
    Options = FileOptions
    deletion = "remove the lines with this user id from the file and from copies of it"
    has_alias = True
    options: FileOptions

    def __init__(self, options: FileOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        self._tail = message_tail({}, {})

    @property
    def limits(self) -> Limits:
        return Limits(min(self.options.batch_size or BATCH_MESSAGES, BATCH_MESSAGES), BATCH_BYTES)

    @property
    def address(self) -> str:
        return self.options.path

    def encode(self, call: IdentifyCall) -> list[Message]:
        traits = " ".join(call.traits_json.splitlines()) if "\n" in call.traits_json else call.traits_json
        return [Message(call.message_id, identify_bytes(call, call.message_id, traits, self._tail))]

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        return Event(event.message_id, track_bytes(user_id, self.event_name(event), event, self._tail))

    def encode_alias(self, user_id: str, alias: Alias) -> Message:
        return Message(alias.message_id, alias_bytes(user_id, alias, self._tail))

    def encode_sql(self) -> str | None:
        return identify_sql(self._tail)

    def open(self) -> Transport:
        return FileTransport(Path(self.options.path))


class FileTransport:
    """Open the file for every batch, so that it may be moved between two of them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, messages: Sequence[Message]) -> Judgement:
        lines = b"".join(message.body + b"\n" for message in messages)
        try:
            with _open_for_append(self._path) as file:
                _append(file, lines)
        except OSError as error:
            return self._failed(error)
        return Judgement(Meaning.DELIVERED)

    def _failed(self, error: OSError) -> Judgement:
        what = f"{self._path} can't be written: {error.strerror or error}"
        if error.errno in TRANSIENT_ERRORS:
            return Judgement(Meaning.RETRY, f"{what}. Nothing of this batch was written; it is tried again")
        return Judgement(Meaning.STOP, f"{what}. Correct `path` in the config, or the rights of the folder")

    def close(self) -> None:
        """Nothing is open between two batches."""


@contextmanager
def _open_for_append(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, OWNER_ONLY)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if contains_other_than_calls(file):
            raise OSError(errno.EINVAL, f"it {OTHER_CONTENT}")
        yield file
    finally:
        os.close(file)
    if is_new:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Write the folder to disk, without which the name of a new file is not durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _append(file: int, lines: bytes) -> None:
    """Append all of the lines, or none of them after an error."""
    end = _repair_end(file)
    try:
        _write(file, lines)
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _repair_end(file: int) -> int:
    """Return where to append, after removing a torn last line: its batch was not answered and is sent again."""
    size = os.fstat(file).st_size
    start = _last_line_start(file, size)
    if start == size:
        return size
    if _is_whole(os.pread(file, size - start, start)):
        _write(file, b"\n")
        return size + 1
    os.ftruncate(file, start)
    return start


def _last_line_start(file: int, size: int) -> int:
    """Return the offset after the last newline."""
    end = size
    while end > 0:
        start = max(0, end - BLOCK_BYTES)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _is_whole(line: bytes) -> bool:
    """Return whether a last line without a newline is complete: an editor may have removed the newline."""
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
