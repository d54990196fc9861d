"""Get one batch its answer: sent, tried again, halved until the call that is refused is found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from audience_sync.delivery.send.batches import Batch, EncodedCall, Parts, requests_of
from audience_sync.delivery.send.body_limit import BodyLimit
from audience_sync.delivery.send.rate_limiter import AdaptiveRateLimiter, backoff
from audience_sync.destinations.base import Judgement, Limits, Meaning, Message, Transport

#: Failed attempts at the same request after which a server's error (5xx) may be about one of its calls: a batch is
#: halved to find it. It is refused only where others of its batch go through; a call that is a batch of its own is
#: left for the next run, once others go through.
MOST_ATTEMPTS = 4
#: The same for half of what has failed so, and for sizes at which a single message failed: it may be the size.
HALF_ATTEMPTS = 2
#: A call of so many bytes, at which a server keeps failing, may be too large for a proxy on the way.
MAY_BE_TOO_LARGE = 1024
TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call that the destination refuses for good, and why. ``properties``: those alone, where not the whole call."""

    call: EncodedCall
    reason: str
    http_status: int | None
    properties: frozenset[str] | None = None


@dataclass(slots=True)
class BatchResult:
    """What became of a batch: every call was delivered, refused or withheld (its user was suppressed meanwhile), or
    (``answered`` false) some have no answer. ``settled`` counts the requests that got a final one; ``suspects`` are
    the calls at which the server kept failing before it took any other of the batch."""

    batch: Batch
    answered: bool = True
    refusals: list[RefusedCall] = field(default_factory=list)
    suspects: list[RefusedCall] = field(default_factory=list)
    withheld: list[EncodedCall] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    final_responses: int = 0
    http_status: int | None = None
    reason: str = ""
    started: float = 0.0

    @property
    def delivered(self) -> int:
        return len(self.batch.calls) - len(self.refusals) - len(self.withheld)


@dataclass(slots=True)
class StallTimer:
    """Shared by a destination's senders: when it last answered for good, and whether to stop.

    ``rate_limited``: the reason to stop is that it takes no more at present, which is no failure.
    """

    give_up_after: float
    clock: Callable[[], float] = time.monotonic
    stopped: threading.Event = field(default_factory=threading.Event)
    reason: str = ""
    rate_limited: bool = False
    last: float = 0.0

    def __post_init__(self) -> None:
        self.last = self.clock()

    def made(self) -> None:
        self.last = self.clock()

    def stop(self, reason: str, *, rate_limited: bool = False) -> None:
        if not self.stopped.is_set():
            self.reason, self.rate_limited = reason, rate_limited
            self.stopped.set()

    def left(self) -> float:
        """Seconds until there has been no progress for too long."""
        return self.last + self.give_up_after - self.clock()


@dataclass(slots=True)
class _Failure:
    """A request at which the server kept failing, and the shares it was cut into: where all of these go through, it
    was too large."""

    size: int
    left: int
    is_size: bool = True


@dataclass(frozen=True, slots=True)
class _Share:
    """Calls of a batch that are still to be sent; ``of``: what they were a part of."""

    calls: Sequence[EncodedCall]
    of: _Failure | None = None


class _SuppressedMeanwhileError(Exception):
    """A user of these calls has become suppressed: they are to be sorted out anew."""


class BatchSender:
    """Sends batches over one transport; each sender thread has its own.

    ``pause``: seconds to wait after a failed attempt, counted from 1. ``suppressed``: users who may be sent nothing
    any more, asked before every attempt. ``parts``: what of a batch goes in one request each; ``limits``: how much.
    ``bodies``: what is learned of the size of requests. ``divide`` makes two calls of one, where that can be. ``mask``
    takes secrets out of what is kept of an answer.
    """

    def __init__(
        self,
        transport: Transport,
        pace: AdaptiveRateLimiter,
        progress: StallTimer,
        confirm: Callable[[], None],
        *,
        pause: Callable[[int], float] = backoff,
        suppressed: Callable[[], Collection[str]] = tuple,
        parts: Parts = lambda messages: (messages,),
        limits: Limits | None = None,
        bodies: BodyLimit | None = None,
        divide: Callable[[EncodedCall], Sequence[EncodedCall]] = lambda call: (),
        mask: Callable[[str], str] = str,
    ) -> None:
        self._parts = parts
        self._limits = limits
        self._bodies = bodies or BodyLimit(progress.stopped.is_set)
        self._divide = divide
        self._transport = transport
        self._pace = pace
        self._progress = progress
        self._confirm = confirm
        self._pause = pause
        self._suppressed = suppressed
        self._mask = mask

    def send(self, batch: Batch) -> BatchResult:
        outcome = BatchResult(batch, started=self._progress.clock())
        calls = self._allowed(batch.calls, outcome)
        odd = [call for call in calls if call.odd is not None]
        unsendable = [call for call in odd if call.unsendable]
        outcome.refusals += [RefusedCall(call, call.unsendable, None) for call in unsendable]
        self._send_or_split([call for call in calls if not call.unsendable] if unsendable else calls, outcome)
        self._judge_suspects(outcome)
        withheld = {call.user_id for call in outcome.withheld}
        outcome.refusals += [
            RefusedCall(call, "; ".join(call.left_out.values()), None, frozenset(call.left_out))
            for call in odd
            if call.left_out and call.user_id not in withheld
        ]
        outcome.refusals = _one_a_user(outcome.refusals)
        return outcome

    def _judge_suspects(self, outcome: BatchResult) -> None:
        """Where others of the batch went through the server works, and fails at these; otherwise it is just down."""
        if outcome.suspects and outcome.final_responses:
            outcome.refusals += outcome.suspects
        elif outcome.suspects:
            outcome.answered = False

    def _allowed(self, calls: Sequence[EncodedCall], outcome: BatchResult | None = None) -> Sequence[EncodedCall]:
        """The calls without those of users who were suppressed meanwhile, which the outcome is told of."""
        suppressed = self._suppressed()
        if not suppressed:
            return calls
        if outcome is not None:
            outcome.withheld += [call for call in calls if call.user_id in suppressed]
        return [call for call in calls if call.user_id not in suppressed]

    def _send_or_split(self, calls: Sequence[EncodedCall], outcome: BatchResult) -> None:
        """Bring every call to a final answer, or note that there is none."""
        waiting = [_Share(calls)]
        while waiting and outcome.answered:
            share = waiting.pop()
            if calls := self._allowed(share.calls, outcome):
                waiting += reversed(self._settle_first(calls, share.of, outcome))
            elif share.of:
                share.of.is_size = False

    def _settle_first(
        self, calls: Sequence[EncodedCall], failure: _Failure | None, outcome: BatchResult
    ) -> list[_Share]:
        """Send as many of the calls as may go in one request. Returns what is still to be sent, in order."""
        with self._bodies.turn(lambda: [call.size for call in calls]) as count:
            first, rest = (calls, ()) if count is None else (calls[:count], calls[count:])
            if rest and failure:
                failure.left += 1
            try:
                shares = self._settled(first, failure, outcome)
            except _SuppressedMeanwhileError:
                shares = [_Share(first, failure)]
        return [*shares, _Share(rest, failure)] if rest else shares

    def _settled(self, calls: Sequence[EncodedCall], failure: _Failure | None, outcome: BatchResult) -> list[_Share]:
        """Send the calls in one request. Returns the parts of it that have to be sent by themselves."""
        judgement = self._answer(calls, outcome, self._most_attempts(calls, failure))
        if judgement is None:
            outcome.answered = False
            return []
        if judgement.meaning is Meaning.DELIVERED:
            self._refuse_single(calls, judgement, outcome)
            self._passed(calls, failure)
            return []
        if failure:
            failure.is_size = False
        is_too_large = judgement.meaning is Meaning.REFUSED and judgement.status == TOO_LARGE
        if is_too_large:
            self._bodies.refused(_size(calls))
        if len(calls) > 1:
            failed = _Failure(_size(calls), left=2) if judgement.meaning is Meaning.RETRY else None
            middle = len(calls) // 2
            return [_Share(calls[:middle], failed), _Share(calls[middle:], failed)]
        fails = judgement.meaning is Meaning.RETRY
        if parts := self._parts_of(calls, judgement):
            whole = _Failure(_size(calls), left=len(parts)) if fails else None
            return self._sendable([_Share([part], whole) for part in parts], outcome)
        if fails and failure and calls[0].only is not None and outcome.final_responses:
            self._bodies.failed(min(failure.size, _size(calls)))
        refusal = RefusedCall(calls[0], _reason(judgement, calls[0]), judgement.status, calls[0].only)
        (outcome.suspects if fails else outcome.refusals).append(refusal)
        return []

    def _most_attempts(self, calls: Sequence[EncodedCall], failure: _Failure | None) -> int:
        """Failed attempts after which the calls are divided, or refused: fewer, the likelier it is their size."""
        if not self._bodies.is_known:
            return HALF_ATTEMPTS if failure and len(calls) > 1 else MOST_ATTEMPTS
        if self._bodies.has_refused(_size(calls)):
            return 1
        is_doubtful = (failure and len(calls) > 1) or self._bodies.has_failed(_size(calls))
        return HALF_ATTEMPTS if is_doubtful else MOST_ATTEMPTS

    def _parts_of(self, calls: Sequence[EncodedCall], judgement: Judgement) -> Sequence[EncodedCall]:
        """What a call is divided into that is too large, or at which the server keeps failing and that may be so."""
        if len(calls) > 1 or (judgement.status != TOO_LARGE and _size(calls) < MAY_BE_TOO_LARGE):
            return ()
        return self._divide(calls[0]) if judgement.status == TOO_LARGE or judgement.meaning is Meaning.RETRY else ()

    def _sendable(self, parts: Sequence[_Share], outcome: BatchResult) -> list[_Share]:
        """The parts of a call that was divided, without those that can't be sent."""
        for call in (call for part in parts for call in part.calls if call.unsendable):
            outcome.refusals.append(RefusedCall(call, call.unsendable, None, call.only))
        return [part for part in parts if not any(call.unsendable for call in part.calls)]

    def _passed(self, calls: Sequence[EncodedCall], failure: _Failure | None) -> None:
        if failure:
            failure.left -= 1
            if failure.is_size and not failure.left:
                self._bodies.refused(failure.size)
        if self._bodies.is_known:
            self._bodies.passed(_size(calls))

    def _refuse_single(self, calls: Sequence[EncodedCall], judgement: Judgement, outcome: BatchResult) -> None:
        if not judgement.refused:
            return
        owners = [call for call in calls for _ in call.messages]
        refused = {owners[index].user_id: (owners[index], why) for index, why in judgement.refused.items()}
        outcome.refusals += [RefusedCall(call, why, judgement.status) for call, why in refused.values()]

    def _answer(self, calls: Sequence[EncodedCall], outcome: BatchResult, attempts: int) -> Judgement | None:
        """A final answer to these calls: they are accepted when every request that has a part of them was."""
        judgement = None
        for messages in requests_of(calls, self._parts, self._limits):
            judgement = self._answer_to(messages, calls, outcome, attempts)
            if judgement is None or judgement.meaning is not Meaning.DELIVERED:
                break
        return judgement

    def _answer_to(
        self, messages: Sequence[Message], calls: Sequence[EncodedCall], outcome: BatchResult, most_attempts: int
    ) -> Judgement | None:
        """A final answer to one request, tried as often as it takes; None when the destination has stopped.

        Raises _SuppressedMeanwhileError instead of sending to a user who has become suppressed.
        """
        attempt, begun = 0, self._progress.clock()
        while not self._progress.stopped.is_set():
            entered = self._pace.acquire()
            if self._progress.stopped.is_set():
                return None
            self._confirm()
            if len(self._allowed(calls)) < len(calls):
                raise _SuppressedMeanwhileError
            judgement = self._masked(self._transport.send(messages))
            outcome.requests += 1
            outcome.http_status, outcome.reason = judgement.status, judgement.reason
            if judgement.meaning in (Meaning.DELIVERED, Meaning.REFUSED):
                outcome.final_responses += 1
                self._progress.made()
                self._pace.on_success()
                return judgement
            outcome.retries += 1
            attempt += judgement.meaning is Meaning.RETRY
            if judgement.meaning is Meaning.RETRY and judgement.status is not None and attempt >= most_attempts:
                is_rest = (
                    calls[0].only is not None and outcome.final_responses > 0
                )  # another part of the call went through
                if len(outcome.batch.calls) > 1 or is_rest or self._parts_of(calls, judgement):
                    return judgement
                if self._progress.last > begun:  # others go through, but nothing says that this call is bad
                    return None
            self._wait(judgement, attempt, entered)
        return None

    def _masked(self, judgement: Judgement) -> Judgement:
        """A destination masks its own secrets in what it quotes; a server may know those of others."""
        if not judgement.reason and not judgement.refused:
            return judgement
        refused = {index: self._mask(reason) for index, reason in judgement.refused.items()}
        return replace(judgement, reason=self._mask(judgement.reason), refused=refused)

    def _wait(self, judgement: Judgement, attempt: int, entered: float) -> None:
        progress, limited = self._progress, judgement.meaning is Meaning.SLOW_DOWN
        if judgement.meaning is Meaning.STOP:
            progress.stop(judgement.reason)
        elif progress.left() <= 0:
            progress.stop(
                f"no progress for {progress.give_up_after:g} s, last: {judgement.reason}", rate_limited=limited
            )
        elif limited and (judgement.retry_after or 0) > progress.left():
            progress.stop(
                f"{judgement.reason}. It asked to wait {judgement.retry_after:g} s, which is longer than "
                f"`give_up_after: {progress.give_up_after:g}s` leaves",
                rate_limited=True,
            )
        elif limited:
            self._pace.on_rate_limited(judgement.retry_after, entered, progress.left())
        else:
            pause = self._pause(attempt) if judgement.retry_after is None else judgement.retry_after
            progress.stopped.wait(min(pause, progress.left()))


def _size(calls: Sequence[EncodedCall]) -> int:
    return sum(call.size for call in calls)


def _reason(judgement: Judgement, call: EncodedCall) -> str:
    """Why a call was refused; of a part that was sent by itself, with its size."""
    return judgement.reason if call.only is None else f"{judgement.reason}, at a message of {call.size:,} bytes"


def _one_a_user(refusals: Sequence[RefusedCall]) -> list[RefusedCall]:
    """What was refused of each user's call: all of it, or the properties of every part that was."""
    found: dict[str, RefusedCall] = {}
    for each in refusals:
        known = found.get(each.call.user_id)
        if known is None or each.properties is None:
            found[each.call.user_id] = each
        elif known.properties is not None:
            reason = "; ".join(dict.fromkeys([known.reason, each.reason]))
            properties = known.properties | each.properties
            found[each.call.user_id] = RefusedCall(each.call, reason, known.http_status or each.http_status, properties)
    return list(found.values())
