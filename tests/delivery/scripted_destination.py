"""A destination with scripted limits and answers, which records its requests; a sender for it, and its clock."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.delivery.send.batch_sender import BatchSender
from audience_sync.delivery.send.batches import Batch, Parts
from audience_sync.delivery.send.body_limit import BodyLimit
from audience_sync.delivery.send.encode import encode
from audience_sync.delivery.send.rate_limiter import AdaptiveRateLimiter
from audience_sync.delivery.send.request_sender import RequestSender
from audience_sync.delivery.send.sender_pool import StallTimer
from audience_sync.destinations.base import Audiencing, Destination, Judgement, Limits, Meaning, Message
from audience_sync.errors import UnsendableError
from audience_sync.model import IdentifyCall, UserId

DELIVERED = Judgement(Meaning.DELIVERED, status=200)
UNAVAILABLE = Judgement(Meaning.RETRY, "HTTP 503", status=503)
WRONG_KEY = Judgement(Meaning.STOP, "HTTP 401: the key is not accepted", status=401)
REFUSED = Judgement(Meaning.REFUSED, "HTTP 400: bad call", status=400)

#: The answer to the user ids of one request.
Answers = Callable[[list[str]], Judgement]


def always(judgement: Judgement) -> Answers:
    return lambda users: judgement


ACCEPTING = always(DELIVERED)


def in_turn(*judgements: Judgement) -> Answers:
    """Give these answers in turn, and then accept everything."""
    left = list(judgements)
    return lambda users: left.pop(0) if left else DELIVERED


def refusing(*users: str) -> Answers:
    """Refuse every request with one of these users in it."""
    return lambda sent: REFUSED if set(sent) & set(users) else DELIVERED


class ScriptedDestination(Destination):
    """It encodes a call as ``parts`` equal messages. ``received``: the users of each request; ``calls``: the bodies."""

    def __init__(
        self,
        answers: Answers = ACCEPTING,
        *,
        messages: int = 100,
        request_bytes: int = 1_000_000,
        parts: int = 1,
        unsendable: Sequence[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(DestinationOptions(type="scripted", **{"concurrency": 1} | options), Audiencing("here"))
        self.answers = answers
        self.received: list[list[str]] = []
        self.calls: list[dict[str, Any]] = []
        self.closed = 0
        self._limits = Limits(messages, request_bytes)
        self._parts = parts
        self._unsendable = unsendable
        self._lock = threading.Lock()

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def address(self) -> str:
        return "a script"

    def encode(self, call: IdentifyCall) -> list[Message]:
        if call.user_id in self._unsendable:
            raise UnsendableError("it is too large")
        body = {"user": call.user_id, "traits": call.traits, "id": call.message_id}
        encoded = json.dumps(body, ensure_ascii=False).encode()
        return [Message(call.message_id, encoded)] * self._parts

    def open(self) -> ScriptedTransport:
        return ScriptedTransport(self)

    def answer(self, messages: Sequence[Message]) -> Judgement:
        calls = [json.loads(message.body) for message in messages]
        users = [call["user"] for call in calls]
        with self._lock:
            self.received.append(users)
            self.calls += calls
        return self.answers(users)


class ScriptedTransport:
    def __init__(self, destination: ScriptedDestination) -> None:
        self._destination = destination

    def send(self, messages: Sequence[Message]) -> Judgement:
        return self._destination.answer(messages)

    def close(self) -> None:
        self._destination.closed += 1


class Clock:
    """Seconds; waiting moves it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waited: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float | None = None) -> bool:
        self.now += seconds or 0.0
        self.waited.append(seconds or 0.0)
        return False


class Stopped(threading.Event):
    """Waiting for a stop moves the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.wait(timeout)
        return self.is_set()


def identify_call(user: str, traits: str = '{"vip":true}') -> IdentifyCall:
    return IdentifyCall(UserId(user), traits, f"id-{user}", "2026-03-01T06:00:00.000Z", "vip@1")


def batch_of(destination: ScriptedDestination, *users: str) -> Batch:
    return Batch(UserId(""), tuple(encode(identify_call(user), destination) for user in users))


def new_sender(
    destination: ScriptedDestination,
    *,
    give_up_after: float = 300.0,
    confirm: Callable[[], None] = lambda: None,
    pause: Callable[[int], float] = float,
    limits: Limits | None = None,
    parts: Parts = lambda messages: (messages,),
    waits: list[tuple[float, bool]] | None = None,
) -> tuple[BatchSender, StallTimer, Clock]:
    clock = Clock()
    stall_timer = StallTimer(give_up_after=give_up_after, clock=clock, stopped=Stopped(clock))
    limiter = AdaptiveRateLimiter(None, clock=clock, wait=stall_timer.stopped.wait)
    reported = [] if waits is None else waits
    requests = RequestSender(
        destination.open(),
        limiter,
        stall_timer,
        confirm,
        retry_delay=pause,
        report_wait=lambda seconds, *, for_all: reported.append((seconds, for_all)),
    )
    sender = BatchSender(requests, BodyLimit(stall_timer.stopped.is_set), limits=limits, parts=parts)
    return sender, stall_timer, clock
