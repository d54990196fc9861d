"""What went wrong, grouped by what the caller does next."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import sep
from pathlib import Path

#: From the first quote to the last of its kind: what is quoted may hold one itself.
_QUOTED = re.compile(r"""(?P<quote>['"`]).*(?P=quote)""")
_ADDRESS = re.compile(r"(?P<quote>)[^\s:=,;()<>]+@[^\s:=,;()<>]+")
_NUMBER = re.compile(r"(?P<quote>)(?<!\w)\+?\d{6,}\b")
#: In the message of a snapshot that `expect` refuses, before the command that accepts it once.
ACCEPT_ANYWAY = "If it is right anyway: "


class AudienceSyncError(Exception):
    """Base of every error that is meant for the person who runs the program.

    The message says what happened, what it means and what to do.
    """


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in ``config.yaml``: where, and what to do about it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(AudienceSyncError):
    """The config can't be used. Nothing was loaded or sent. Carries every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class NoConfigError(ConfigError):
    """There is no config file. Its one problem has the path."""


class ScarceMemoryError(AudienceSyncError):
    """The process may use less memory than anything that compares snapshots needs. Nothing was done."""


class SourceError(AudienceSyncError):
    """A snapshot can't be read: its audience is left as it is, the others go on."""


class IncompleteError(SourceError):
    """A snapshot isn't what ``expect`` in the config requires: a person may accept it anyway, in one run."""


class StoreError(AudienceSyncError):
    """The store can't be used: the run stops."""


class StoreUnavailableError(StoreError):
    """The store's database went away in the middle of a transaction, or is not there."""


class StoreOutdatedError(StoreError):
    """The store's schema is older than the program: ``audience-sync db upgrade``."""


class StoreNewerError(StoreError):
    """The store's schema is newer than the program: install the newer program."""


class StoreDamagedError(StoreError):
    """Something is not what was written: the run stops before anything is sent."""


class UnknownNameError(AudienceSyncError):
    """The store has nothing that is called so: the command was given a wrong key or number."""


class UnknownKeyError(UnknownNameError):
    """No audience or computed trait has a key that the command was given: nothing was changed or sent."""


class HistoryPrunedError(AudienceSyncError):
    """The store no longer keeps the history that was asked for."""


class FrozenError(AudienceSyncError):
    """The command is about an audience that a person has frozen: nothing was changed or sent."""


class RetiredError(AudienceSyncError):
    """The command is about a key that is closed for good: nothing was changed or sent."""


class PlanError(AudienceSyncError):
    """A saved plan can't be carried out, or a run would do something else by now: nothing was changed or sent."""


class LeaseLostError(StoreError):
    """Another run has taken over: this one may neither write nor send any more."""


class RunInProgressError(AudienceSyncError):
    """Another run is at work: this one ends without having done anything."""


class SlotsClaimedError(AudienceSyncError):
    """Another scheduler was there first: there is nothing to run for."""


class NotifyError(AudienceSyncError):
    """Somebody who is to be told of something could not be."""


class MetricsError(AudienceSyncError):
    """The numbers for a monitor can't be written or served."""


class UnsendableError(AudienceSyncError):
    """This identify call can never be sent to this destination: it is refused without being tried.

    ``properties``: the reason for each property that alone is at fault. The call is sent without them.
    """

    def __init__(self, message: str, properties: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.properties = dict(properties or {})


class OwnCodeError(UnsendableError):
    """A destination's own code fails at this call. Where it fails at all of them the destination stops instead."""


class BrokenDestinationError(AudienceSyncError):
    """A destination's own code fails at every call: nothing more is sent there, and the others go on."""


def is_memory_error(error: BaseException) -> bool:
    """Python's, DuckDB's, the system's own, and that of a library that could not be loaded for want of it."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, ImportError):
        return "failed to map segment" in str(error) or "Cannot allocate memory" in str(error)
    if isinstance(error, RuntimeError):
        return "can't start new thread" in str(error)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException"


def summarize_error(error: BaseException, mask: Callable[[str], str], *, place: bool = True) -> str:
    """An unexpected error in one line: its kind, its place in our code, and its first words.

    Libraries go on with rows of the data, which are people's. ``mask`` takes out the secrets, before anything is cut.
    """
    lines = mask(str(error)).strip().splitlines()
    words = mask_values(lines[0]) if lines else ""
    kind = f"{type(error).__name__}{_location(error) if place else ''}"
    return f"{kind}: {words}" if words else kind


def mask_values(words: str) -> str:
    """A library's words without what may be a value of the data: what is quoted, addresses, long numbers."""
    for pattern in (_QUOTED, _ADDRESS, _NUMBER):
        words = pattern.sub(r"\g<quote>...\g<quote>", words)
    return words


def _location(error: BaseException) -> str:
    from traceback import extract_tb

    ours = [frame for frame in extract_tb(error.__traceback__) if f"{sep}audience_sync{sep}" in frame.filename]
    return f" in {ours[-1].name} ({Path(ours[-1].filename).name}, line {ours[-1].lineno})" if ours else ""
