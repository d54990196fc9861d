"""Keep every error of a destination's own code to that destination.

A destination may come from another package. A run calls its code only through ``ContainedDestination``. An error of
any kind in ``open``, ``request``, ``signed`` or ``judge`` stops the destination; an error in ``encode`` is an
``OwnCodeError`` of that call. Three errors pass, because they concern the run: an interruption, an error of the store,
and a lost lease.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from traceback import extract_tb
from typing import TypeVar

from msgspec.structs import replace

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.destinations.base import (
    Audiencing,
    Destination,
    Event,
    FieldKind,
    Judgement,
    Limits,
    Meaning,
    Message,
    Transport,
)
from audience_sync.destinations.http.statuses import name_destination, truncate
from audience_sync.errors import (
    AudienceSyncError,
    FieldError,
    OwnCodeError,
    StoreError,
    UnsendableError,
    is_memory_error,
    summarize_error,
)
from audience_sync.model import USER_ID, Alias, AudienceEvent, IdentifyCall
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.text import storable

log = logging.getLogger("audience_sync")

#: Errors of the run, raised through the destination's code.
RUN_ERRORS = (KeyboardInterrupt, GeneratorExit, StoreError)

#: An error of memory below this folder is the program's own.
_PACKAGE = Path(__file__).parents[1]

Result = TypeVar("Result")


class ContainedDestination(Destination):
    """A destination behind the boundary. If ``make`` fails, every call to it stays pending."""

    def __init__(
        self, name: str, make: Callable[[], Destination], options: DestinationOptions, about: Audiencing
    ) -> None:
        super().__init__(options, about)
        self.name = name
        self._reason = ""
        self._inner = self._call(make, None)

    @property
    def inner(self) -> Destination | None:
        """The destination itself; None if it could not be made."""
        return self._inner

    @property
    def has_alias(self) -> bool:  # type: ignore[override]  # an attribute of what it contains
        """Whether a user's new id continues the previous one there: it merges them, or knows both by the same trait."""
        if self.options.known_by != USER_ID:
            return True
        return self._inner is not None and self._call(lambda: bool(self._destination.has_alias), False)

    @property
    def places_identifiers(self) -> bool:  # type: ignore[override]  # as above
        return self._inner is not None and self._call(lambda: bool(self._destination.places_identifiers), False)

    @property
    def has_fields(self) -> bool:  # type: ignore[override]  # as above
        return self._inner is not None and self._call(lambda: bool(self._destination.has_fields), False)

    @property
    def remarks(self) -> tuple[str, ...]:  # type: ignore[override]  # as above
        return () if self._inner is None else self._call(lambda: tuple(map(str, self._destination.remarks)), ())

    @property
    def companions(self) -> tuple[tuple[str, ...], ...]:  # type: ignore[override]  # as above
        return () if self._inner is None else self._call(lambda: tuple(map(tuple, self._destination.companions)), ())

    @property
    def limits(self) -> Limits:
        return self._call(lambda: _checked_limits(self._destination.limits), Limits(1, 1))

    @property
    def address(self) -> str:
        return "" if self._inner is None else self._call(lambda: str(self._destination.address), "")

    def encode(self, call: IdentifyCall) -> list[Message]:
        return self._call_encoder(lambda: [_checked_message(each) for each in self._destination.encode(call)])

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        return self._call_encoder(lambda: _checked_message(self._destination.encode_event(user_id, event)))

    def encode_alias(self, user_id: str, alias: Alias) -> Message:
        return self._call_encoder(lambda: _checked_message(self._destination.encode_alias(user_id, alias)))

    def encode_sql(self) -> str | None:
        return self._call(lambda: self._destination.encode_sql(), None)

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        return self._call(lambda: list(self._destination.parts(messages)), (messages,))

    def name_problems(self, names: Collection[str]) -> Mapping[str, str]:
        return self._call(lambda: dict(self._destination.name_problems(names)), {})

    def missing_fields(self, keys: Collection[str]) -> Collection[str]:
        return self._call_fields(lambda: list(self._destination.missing_fields(keys)), ())

    def create_fields(self, fields: Mapping[str, FieldKind]) -> None:
        self._call_fields(lambda: self._destination.create_fields(fields), None)

    def open(self) -> Transport:
        return ContainedTransport(self, self._call(lambda: self._destination.open(), None))

    def stopped(self) -> Judgement | None:
        """Return the judgement that stops every further request, if its code has failed."""
        return Judgement(Meaning.STOP, self._reason) if self._reason else None

    def describe(self, error: BaseException) -> str:
        """Describe an error of its code in one line, without secrets and values."""
        return destination_error_message(error, self.about.secrets)

    def log(self, error: BaseException) -> None:
        log.warning("destination '%s': %s", self.name, self.describe(error))

    @property
    def _destination(self) -> Destination:
        assert self._inner is not None, "it is used only if it could be made"
        return self._inner

    def _call(self, function: Callable[[], Result], otherwise: Result) -> Result:
        """Call its code. After an error nothing more is sent."""
        if self._reason:
            return otherwise
        try:
            return function()
        except RUN_ERRORS:
            raise
        except BaseException as error:  # SystemExit too: a plugin may not end the run
            self._reason = self._reason or self.describe(error)
            return otherwise

    def _call_fields(self, function: Callable[[], Result], otherwise: Result) -> Result:
        """Call its code that asks for fields. A FieldError passes: it is an answer for a person."""
        problem: list[FieldError] = []

        def call() -> Result:
            try:
                return function()
            except FieldError as error:
                problem.append(error)
                return otherwise

        found = self._call(call, otherwise)
        if problem:
            raise problem[0]
        return found

    def _call_encoder(self, encoding: Callable[[], Result]) -> Result:
        if self._reason:
            raise OwnCodeError(self._reason)
        try:
            return encoding()
        except (UnsendableError, *RUN_ERRORS):
            raise
        except BaseException as error:
            raise OwnCodeError(self.describe(error)) from None


class ContainedTransport:
    """A transport behind the boundary; ``inner`` is None if it could not be opened."""

    def __init__(self, destination: ContainedDestination, inner: Transport | None) -> None:
        self._destination, self._inner = destination, inner

    def send(self, messages: Sequence[Message]) -> Judgement:
        stopped = self._destination.stopped()
        if stopped or self._inner is None:
            return stopped or Judgement(Meaning.STOP, "it could not be opened")
        try:
            judgement = _checked_judgement(self._inner.send(messages), len(messages))
        except RUN_ERRORS:
            raise
        except BaseException as error:  # SystemExit too: a plugin may not end the run
            return Judgement(Meaning.STOP, self._destination.describe(error))
        if not judgement.reason:
            return judgement
        return replace(judgement, reason=name_destination(judgement.reason, self._destination.name))

    def close(self) -> None:
        """Close it. An error is only logged, because all answers have been recorded."""
        try:
            if self._inner is not None:
                self._inner.close()
        except RUN_ERRORS:
            raise
        except BaseException as error:
            self._destination.log(error)


def contain_errors(destinations: Mapping[str, Destination]) -> Mapping[str, Destination]:
    """Put all destinations behind the boundary."""
    return {name: _contain(name, each) for name, each in destinations.items()}


def destination_error_message(error: BaseException, secrets: Sequence[str]) -> str:
    """Describe an error of a destination's own code, with its file and line, in one line."""

    def plain(text: str) -> str:
        return mask_secrets(storable(text), secrets)

    if isinstance(error, AudienceSyncError):  # meant for people already
        return truncate(plain(str(error)))
    try:
        text = summarize_error(error, plain, with_location=False)
    except Exception:  # its own __str__ may fail too
        text = type(error).__name__
    frames = extract_tb(error.__traceback__)
    if is_memory_error(error) and frames and Path(frames[-1].filename).is_relative_to(_PACKAGE):
        return "there was not enough memory: give the process more (`ulimit -v`, a container's limit)"
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return truncate(f"error in the destination's own code: {text}") + where


def _contain(name: str, destination: Destination) -> Destination:
    if isinstance(destination, ContainedDestination):
        return destination
    return ContainedDestination(name, lambda: destination, destination.options, destination.about)


def _checked_message(message: Result) -> Result:
    if not (isinstance(message, Message) and isinstance(message.body, bytes) and isinstance(message.message_id, str)):
        raise TypeError(f"a message must be Message(str, bytes), not {type(message).__name__}")
    return message


def _checked_limits(limits: Limits) -> Limits:
    if not (isinstance(limits, Limits) and limits.messages > 0 and limits.request_bytes > 0):
        raise ValueError("limits must be Limits with positive numbers")
    return limits


def _checked_judgement(judgement: Judgement, messages: int) -> Judgement:
    if not isinstance(judgement, Judgement) or not isinstance(judgement.meaning, Meaning):
        raise TypeError(f"the meaning of an answer must be a Judgement, not {type(judgement).__name__}")
    if any(index not in range(messages) for index in (*judgement.refused, *judgement.refused_fields)):
        raise IndexError(f"a Judgement refuses a message that is not among the {messages} sent")
    return judgement
