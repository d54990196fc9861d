"""Define a destination: a protocol in pure functions, and a transport that carries its requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple, Protocol

from msgspec import Struct, field

from audience_sync.config.sections.base import MAX_ANSWER_BYTES, DestinationOptions, Events
from audience_sync.errors import UnsendableError
from audience_sync.model import Alias, AudienceEvent, IdentifyCall

#: The longest wait (seconds), even if a server asks for more: its clock may be wrong.
LONGEST_WAIT = 300.0


class Limits(Struct, frozen=True):
    """The limits of one request: messages, and bytes of body before compression."""

    messages: int
    request_bytes: int


class Audiencing(Struct, frozen=True):
    """The facts about this installation that a destination receives: a stable id, and the keys of audiences and traits.

    ``secrets``: all secrets of the config. No reason may repeat one; they are masked together, because one may be a
    part of another.
    """

    installation: str
    audience_keys: frozenset[str] = frozenset()
    trait_keys: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Audiencing({self.installation!r})"  # without the secrets


class Message(NamedTuple):
    """One identify call, or a part of one, in a destination's format: its id and its encoded body."""

    message_id: str
    body: bytes


class JoinedMessages(ABC):
    """A sequence of messages whose bodies lie one after another in memory, with commas between them (``joined``)."""

    __slots__ = ()

    @property
    @abstractmethod
    def joined(self) -> memoryview: ...


def joined_bodies(messages: Sequence[Message]) -> bytes | memoryview:
    """Return the bodies of messages with commas between them, without a copy if they lie so in memory."""
    if isinstance(messages, JoinedMessages):
        return messages.joined
    return b",".join([message.body for message in messages])


class Event(Message):
    """A track call: a user entered or left an audience."""

    __slots__ = ()


class Merge(Message):
    """An alias call: a user's previous id is merged into the current one."""

    __slots__ = ()


class Meaning(StrEnum):
    """The meaning of an answer for the messages sent."""

    DELIVERED = "delivered"
    RETRY = "retry"  # may succeed later; counts as a failed attempt
    SLOW_DOWN = "slow_down"  # rate limited: later, and never a failed attempt
    REFUSED = "refused"  # this request never succeeds; a batch is halved until the call is found
    STOP = "stop"  # nothing succeeds until a person acts: a wrong key


class Answer(Struct, frozen=True):
    """An HTTP answer, or (``status`` None) the reason why there was none. ``is_cut``: ``body`` is only its beginning.

    ``is_of_proxy``: a proxy on the way refuses, and will refuse every other request too.
    """

    status: int | None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    error: str = ""
    is_cut: bool = False
    is_of_proxy: bool = False


class Judgement(Struct, frozen=True):
    """The meaning of an answer.

    ``reason`` is for people and carries no secret and no user property. ``retry_after`` is in seconds.
    ``has_own_wait``: that is this program's number, because the answer has none.
    ``refused`` names messages by index, with the reason of each. In a delivered batch the others are accepted. In a
    refused batch none is accepted: the named messages are the cause, and the others are sent once more.
    ``refused_fields`` has, by index, the properties that were dropped from accepted messages, with the reason of each.
    """

    meaning: Meaning
    reason: str = ""
    status: int | None = None
    retry_after: float | None = None
    has_own_wait: bool = False
    refused: Mapping[int, str] = field(default_factory=dict)
    refused_fields: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


class HttpRequest(Struct, frozen=True):
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class FieldKind(StrEnum):
    """The kinds of a field that has to exist at a destination before a call carries it."""

    BOOLEAN = "boolean"
    NUMBER = "number"
    DATE = "date"
    DATETIME = "datetime"
    TEXT = "text"


class Transport(Protocol):
    """Carries messages to a destination; each sender thread has its own."""

    def send(self, messages: Sequence[Message]) -> Judgement: ...

    def close(self) -> None: ...


class Destination(ABC):
    """One protocol. ``encode`` is pure; ``open`` returns a transport."""

    Options: ClassVar[type[DestinationOptions]]
    #: Keys (in lower case, letters and digits only) that no audience may have: they are profile fields here.
    profile_fields: ClassVar[frozenset[str]] = frozenset()
    #: Groups of traits that have a meaning only together: if one changed, the others are sent with it.
    companions: ClassVar[tuple[tuple[str, ...], ...]] = ()
    #: How a person deletes a user there. `erase` shows it, because identify calls can't delete.
    deletion: ClassVar[str] = "delete the user there with the service's own tools"
    #: Whether it merges a user's previous id into the current one (``encode_alias``).
    has_alias: bool = False
    #: Whether its own code places identifiers (``IdentifyCall.identifiers``); otherwise they are properties.
    places_identifiers: bool = False
    #: Whether a field has to exist there before a call carries it (``missing_fields``, ``create_fields``).
    has_fields: ClassVar[bool] = False
    #: What the service can't do, or does without a word: `check` shows each sentence.
    remarks: tuple[str, ...] = ()

    def __init__(self, options: DestinationOptions, about: Audiencing) -> None:
        self.options = options
        self.about = about

    @property
    @abstractmethod
    def limits(self) -> Limits: ...

    @property
    @abstractmethod
    def address(self) -> str:
        """The address of the calls, to show, without secrets."""

    @abstractmethod
    def encode(self, call: IdentifyCall) -> list[Message]:
        """Return the messages with one user's changes: one, or several if the protocol needs it.

        Raises UnsendableError if the destination would refuse the call for good.
        """

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        """Return the track call of the event, named by ``options.events``."""
        del user_id, event
        raise UnsendableError("this destination accepts no events: remove `events` from its options")

    def encode_alias(self, user_id: str, alias: Alias) -> Message:
        """Return the message that merges a previous id. Called only if ``has_alias``."""
        raise NotImplementedError

    def event_name(self, event: AudienceEvent) -> str:
        names = self.options.events or Events()
        return names.entered if event.entered else names.exited

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        """Group messages by request, if not all of a batch can share one."""
        return (messages,)

    def encode_sql(self) -> str | None:
        """Return ``encode`` as an SQL expression (DuckDB), or None to have every call encoded by ``encode``.

        It is a text over the columns ``user_id``, ``traits``, ``message_id`` and ``timestamp``, and NULL for a call
        that ``encode`` has to handle. It encodes millions of calls many times faster; both must write the same bytes.
        """
        return None

    def name_problems(self, names: Collection[str]) -> Mapping[str, str]:
        """Return the names that no property can have at the destination, with the reason of each."""
        del names
        return {}

    def missing_fields(self, keys: Collection[str]) -> Collection[str]:
        """Return the keys without a field at the destination. Raises FieldError if its fields can't be listed."""
        del keys
        return ()

    def create_fields(self, fields: Mapping[str, FieldKind]) -> None:
        """Create missing fields. Raises FieldError if one can't be created, or may not be."""
        del fields

    @abstractmethod
    def open(self) -> Transport: ...


class HttpDestination(Destination):
    """A protocol over HTTP: how messages become a request, and what an answer means."""

    #: Bytes to read of an answer, unless the config has ``max_answer``; at most MOST_ANSWER.
    answer_bytes: ClassVar[int] = 1024 * 1024

    @property
    def most_answer(self) -> int:
        """The bytes to read of an answer; the rest never comes into memory."""
        return min(self.options.max_answer or self.answer_bytes, MAX_ANSWER_BYTES)

    @property
    def own_values(self) -> frozenset[str]:
        """The values in messages that the config has and no user: reasons may repeat them."""
        names = self.options.events or Events()
        keys = (*self.about.audience_keys, *self.about.trait_keys, *self.options.rename.values())
        return frozenset({*keys, names.entered, names.exited})

    @abstractmethod
    def request(self, messages: Sequence[Message]) -> HttpRequest:
        """Return one request for all the messages. Pure."""

    def signed(self, request: HttpRequest, at: datetime) -> HttpRequest:
        """Return the request signed for this time, if the protocol signs the time of sending. Pure."""
        del at
        return request

    @abstractmethod
    def judge(self, answer: Answer, messages: Sequence[Message] = ()) -> Judgement:
        """Return the meaning of the answer to these messages. Pure, and decided from tables."""

    def open(self) -> Transport:
        from audience_sync.destinations.http.transport import HttpTransport

        return HttpTransport(self)
