"""Send one request until it has a final answer: within the rate, and with waits after failures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from audience_sync.delivery.send.batches import Attempt, BatchResult
from audience_sync.delivery.send.encode import EncodedCall
from audience_sync.delivery.send.rate_limiter import AdaptiveRateLimiter, backoff
from audience_sync.delivery.send.retry_wait import ReportWait, RetryWait, report_nothing
from audience_sync.delivery.send.sender_pool import StallTimer
from audience_sync.destinations.base import Judgement, Meaning, Message, Transport
from audience_sync.model import UserId


class SuppressedMeanwhileError(Exception):
    """A user of these calls was suppressed meanwhile: the calls have to be filtered again."""


class RequestSender:
    """Send requests over one transport; each sender thread has its own.

    ``confirm`` raises LeaseLostError if another run has replaced this one; it is called before every attempt, as is
    ``suppressed``, which returns the users suppressed meanwhile. ``retry_delay`` returns the seconds to wait after a
    failed attempt, counted from 1. ``mask`` removes secrets from an answer before it is stored. ``report_wait`` gets
    each longer wait before another attempt. ``note_attempt`` receives each request without a final answer.
    """

    def __init__(
        self,
        transport: Transport,
        rate_limiter: AdaptiveRateLimiter,
        stall_timer: StallTimer,
        confirm: Callable[[], None],
        *,
        retry_delay: Callable[[int], float] = backoff,
        suppressed: Callable[[], Collection[UserId]] = tuple,
        mask: Callable[[str], str] = str,
        report_wait: ReportWait = report_nothing,
        note_attempt: Callable[[Attempt], None] = lambda attempt: None,
    ) -> None:
        self._transport = transport
        self._rate_limiter = rate_limiter
        self._stall_timer = stall_timer
        self._confirm = confirm
        self._suppressed = suppressed
        self._mask = mask
        self._retry_wait = RetryWait(rate_limiter, stall_timer, retry_delay, report_wait)
        self._note_attempt = note_attempt

    def clock(self) -> float:
        """The monotonic time in seconds."""
        return self._stall_timer.clock()

    def without_suppressed(
        self, calls: Sequence[EncodedCall], result: BatchResult | None = None
    ) -> Sequence[EncodedCall]:
        """Filter out the calls of users suppressed meanwhile, and add them to the result."""
        suppressed = self._suppressed()
        if not suppressed:
            return calls
        if result is not None:
            result.withheld += [call for call in calls if call.user_id in suppressed]
        return [call for call in calls if call.user_id not in suppressed]

    def send(
        self,
        messages: Sequence[Message],
        calls: Sequence[EncodedCall],
        result: BatchResult,
        max_attempts: int,
        *,
        is_final_failure: Callable[[Judgement], bool],
    ) -> Judgement | None:
        """Send one request until there is a final answer. Return None if the destination stopped first.

        After so many failed attempts the failure is the answer if ``is_final_failure``. Raises
        SuppressedMeanwhileError, before sending, if a user was suppressed meanwhile.
        """
        attempt, begun = 0, self.clock()
        while not self._stall_timer.stopped.is_set():
            started_at = self._rate_limiter.acquire()
            if self._stall_timer.stopped.is_set():
                return None
            self._confirm()
            if len(self.without_suppressed(calls)) < len(calls):
                raise SuppressedMeanwhileError
            judgement = self._attempt(messages, result)
            if judgement.meaning in (Meaning.DELIVERED, Meaning.REFUSED):
                result.final_responses += 1
                self._stall_timer.record_progress()
                self._rate_limiter.on_success()
                return judgement
            self.note(calls, result)
            attempt += judgement.meaning is Meaning.RETRY
            if judgement.meaning is Meaning.RETRY and judgement.status is not None and attempt >= max_attempts:
                if is_final_failure(judgement):
                    return judgement
                if self._stall_timer.last_progress > begun:  # others are accepted, but this call may be right
                    return None
            self._retry_wait.wait_or_stop(judgement, attempt, started_at)
        return None

    def _attempt(self, messages: Sequence[Message], result: BatchResult) -> Judgement:
        result.sent_at, sent = datetime.now(UTC), self.clock()
        judgement = self._masked(self._transport.send(messages))
        result.seconds = self.clock() - sent
        result.requests += 1
        result.http_status, result.reason = judgement.status, judgement.reason
        return judgement

    def note(self, calls: Sequence[EncodedCall], result: BatchResult) -> None:
        """Note the last request, after which these calls are sent again."""
        assert result.sent_at is not None
        result.retries += 1
        attempt = Attempt(
            batch=result.batch,
            number=result.requests,
            calls=len(calls),
            sent_at=result.sent_at,
            seconds=result.seconds,
            http_status=result.http_status,
            answer=result.reason,
        )
        self._note_attempt(attempt)

    def _masked(self, judgement: Judgement) -> Judgement:
        """Mask the secrets of the whole config: a server may quote those of other destinations."""
        if not (judgement.reason or judgement.refused or judgement.refused_fields):
            return judgement
        refused = {index: self._mask(reason) for index, reason in judgement.refused.items()}
        fields = {
            index: {key: self._mask(reason) for key, reason in each.items()}
            for index, each in judgement.refused_fields.items()
        }
        return replace(judgement, reason=self._mask(judgement.reason), refused=refused, refused_fields=fields)
