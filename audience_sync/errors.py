"""Define the errors, grouped by what the caller does next."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from os import sep
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct

#: From the first quote to the last of its kind: quoted text may contain the quote itself.
_QUOTED = re.compile(r"""(?P<quote>['"`]).*(?P=quote)""")
_ADDRESS = re.compile(r"(?P<quote>)[^\s:=,;()<>]+@[^\s:=,;()<>]+")
_NUMBER = re.compile(r"(?P<quote>)(?<!\w)\+?\d{6,}\b")
#: Precedes the command that accepts a snapshot once, in the message of a snapshot that `expect` refuses.
ACCEPT_ANYWAY = "If it is right anyway: "
#: Exit codes of the commands (docs/commands.md).
OK, UNDELIVERED, USAGE, FAILED, HELD, BUSY = 0, 1, 2, 3, 4, 5
INTERRUPTED = 130


class AudienceSyncError(Exception):
    """Base of every error whose message is for the person who runs the program.

    The message has what happened, what it means and what to do. ``exit_code``: that of a command which it ends.
    """

    exit_code: ClassVar[int] = FAILED

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[AudienceSyncError], arguments: tuple[Any, ...], fields: dict[str, Any]) -> AudienceSyncError:
    """Make an error that another process has pickled, without its constructor."""
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    vars(error).update(fields)
    return error


class WrongUseError(AudienceSyncError):
    """What was asked for is wrong: correct the config, the name or the value, and ask again. Nothing was done."""

    exit_code = USAGE


class WrongValueError(WrongUseError, ValueError):
    """An argument has a value that can't be used. ``argument``: its name in Python."""

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(message)
        self.argument = argument


class Problem(Struct, frozen=True):
    """One problem in ``config.yaml``: its config path, and what to do about it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(WrongUseError):
    """The config can't be used. Nothing was loaded or sent. Carries every problem found."""

    #: What has the problems, and what they mean, for messages.
    subject, effect = "the config", "Nothing was loaded or sent."

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class NoConfigError(ConfigError):
    """There is no config file. Its one problem has the file's path."""


class DbtProjectError(ConfigError):
    """A dbt project can't be used. Carries every problem found."""

    subject, effect = "the dbt project", "Nothing was written."


class ScarceMemoryError(AudienceSyncError):
    """The process may use less memory than comparing snapshots needs. Nothing was done."""


class SourceError(AudienceSyncError):
    """A snapshot can't be read: its audience stays unchanged, the others are synced."""


class IncompleteError(SourceError):
    """A snapshot does not meet ``expect`` in the config. A person may accept it for one run."""


class StoreError(AudienceSyncError):
    """The store can't be used: the run stops."""


class StoreUnavailableError(StoreError):
    """The store's database can't be reached, or the connection broke in a transaction."""


class StoreOutdatedError(StoreError):
    """The store's schema is older than the program: ``audience-sync db upgrade``."""


class StoreNewerError(StoreError):
    """The store's schema is newer than the program: install the newer program."""


class StoreDamagedError(StoreError):
    """The store is damaged: the run stops before anything is sent."""


class ObjectDamagedError(StoreDamagedError):
    """An object in a bucket is missing, or is not what was put there. ``url``: the object. ``what``: its damage."""

    def __init__(self, url: str, what: str) -> None:
        super().__init__(
            f"The store is damaged: the object {url} {what}. Bring it back from the versions of the bucket, or send "
            "everything again from the sources: audience-sync resync"
        )
        self.url, self.what = url, what


class ObjectMissingError(ObjectDamagedError):
    """It is not there: it was lost, or a run has replaced it since its name was read."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "is missing")


class UnknownNameError(WrongUseError):
    """The command names a key or number that the store does not have."""


class UnknownKeyError(UnknownNameError):
    """The command names a key that no audience or computed trait has. Nothing was changed or sent."""


class HistoryPrunedError(WrongUseError):
    """The requested history is pruned."""


class FrozenError(WrongUseError):
    """The command names an audience that a person has frozen. Nothing was changed or sent."""


class RetiredError(WrongUseError):
    """The command names a key that is closed for good. Nothing was changed or sent."""


class PlanError(WrongUseError):
    """A saved plan can't be run, or a run would now do something else. Nothing was changed or sent."""


class LeaseLostError(StoreError):
    """Another run replaced this one, which may no longer write or send."""


class RunInProgressError(AudienceSyncError):
    """Another run is in progress: this one ends without having done anything. Try again later."""

    exit_code = BUSY


class RunCancelledError(AudienceSyncError):
    """The run was cancelled. Every answer received so far is recorded; the next run sends the rest."""

    exit_code = INTERRUPTED


class RunError(AudienceSyncError):
    """A run has ended, and not everything that it was asked for is done. ``run``: its number."""

    def __init__(self, message: str, run: int) -> None:
        super().__init__(message)
        self.run = run


class RunFailedError(RunError):
    """A source, the store or every destination failed. What succeeded is kept; the next run tries the rest again."""


class HeldError(RunError):
    """A guard holds a snapshot: a person approves or rejects it. Nothing of it was changed or sent."""

    exit_code = HELD


class PartialError(RunError):
    """Some calls are refused or pending. The next run sends the pending ones; `retry` sends refused ones again."""

    exit_code = UNDELIVERED


class MissingPackageError(AudienceSyncError, ImportError):
    """A package that an answer or a frame needs is not installed. The message has the command that installs it."""


class SlotsClaimedError(AudienceSyncError):
    """Another scheduler has run for these slots: there is nothing to do."""


class NotifyError(AudienceSyncError):
    """An address did not accept a notification."""


class MetricsError(AudienceSyncError):
    """The metrics can't be written or served."""


class UnsendableError(AudienceSyncError):
    """This identify call can never be sent to this destination: it is refused without an attempt.

    ``properties``: the reason for each property that can't be sent. If there are some, the call is sent without them.
    """

    def __init__(self, message: str, properties: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.properties = dict(properties or {})


class NoIdentifierError(UnsendableError):
    """The user lacks every value by which a destination knows users: no part of the call can be sent."""


class OwnCodeError(UnsendableError):
    """A destination's own code fails at this call. If it fails at all calls, the destination stops instead."""


class FieldError(AudienceSyncError):
    """Fields are missing at a destination, or can't be listed or created: delivery to it stops, the others continue.

    ``rate_limited``: it accepts no further requests for now, which is not a failure.
    """

    def __init__(self, reason: str, *, rate_limited: bool = False) -> None:
        super().__init__(reason)
        self.rate_limited = rate_limited


class ArrowError(AudienceSyncError):
    """A query failed while its result was read as buffers, or the result does not fit into them."""


class BrokenDestinationError(AudienceSyncError):
    """A destination's own code fails at every call: delivery to it stops, the others continue."""


def is_memory_error(error: BaseException) -> bool:
    """Whether memory ran out: in Python, in DuckDB, in the system, or while a library was loaded."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, ImportError):
        return "failed to map segment" in str(error) or "Cannot allocate memory" in str(error)
    if isinstance(error, RuntimeError):
        return "can't start new thread" in str(error)
    if isinstance(error, SystemError):  # of a library in C that lacked memory for its reason
        return "error return without exception set" in str(error)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException"


def summarize_error(error: BaseException, mask: Callable[[str], str], *, with_location: bool = True) -> str:
    """An unexpected error in one line: its type, its location in our code, and the first line of its message.

    Later lines may quote rows of people's data. ``mask`` removes secrets, before anything is cut.
    """
    lines = mask(str(error)).strip().splitlines()
    message = mask_values(lines[0]) if lines else ""
    kind = f"{type(error).__name__}{_location(error) if with_location else ''}"
    return f"{kind}: {message}" if message else kind


def mask_values(message: str) -> str:
    """A library's message without possible values of the data: quoted text, e-mail addresses, long numbers."""
    for pattern in (_QUOTED, _ADDRESS, _NUMBER):
        message = pattern.sub(r"\g<quote>...\g<quote>", message)
    return message


def _location(error: BaseException) -> str:
    from traceback import extract_tb

    ours = [frame for frame in extract_tb(error.__traceback__) if f"{sep}audience_sync{sep}" in frame.filename]
    return f" in {ours[-1].name} ({Path(ours[-1].filename).name}, line {ours[-1].lineno})" if ours else ""
