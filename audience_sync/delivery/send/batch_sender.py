"""Send one batch, and halve it until each refused call is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.delivery.send.batches import Batch, BatchResult, Parts, RefusedCall, request_messages
from audience_sync.delivery.send.body_limit import BodyLimit
from audience_sync.delivery.send.encode import EncodedCall, with_details
from audience_sync.delivery.send.request_sender import RequestSender, SuppressedMeanwhileError
from audience_sync.destinations.base import Judgement, Limits, Meaning, Message

#: Failed attempts (5xx) at the same request, after which one of its calls may be the cause: the batch is halved to find
#: it. A call is refused only if others of its batch are accepted. A batch of one call stays pending for the next run.
MAX_ATTEMPTS = 4
#: The same for a half of a failed batch, and for a size at which a single message failed: the size may be the cause.
MAX_HALF_ATTEMPTS = 2
#: A repeatedly failing call of at least so many bytes may be too large for a proxy on the way.
MAYBE_TOO_LARGE_BYTES = 1024
STATUS_TOO_LARGE = 413


class _Failure(Struct):
    """A request that failed repeatedly and was divided. If all ``outstanding`` parts are accepted, it was too large."""

    size: int
    outstanding: int
    is_size: bool = True


class _Share(Struct, frozen=True):
    """Calls of a batch that are still to be sent.

    ``failure``: the failed request that they were a part of. ``is_rest``: the answer named others of their request as
    the cause of its refusal.
    """

    calls: Sequence[EncodedCall]
    failure: _Failure | None = None
    is_rest: bool = False


class BatchSender:
    """Send batches; each sender thread has its own.

    ``parts`` groups the messages by request, ``limits`` bounds each. All senders of a destination share ``body_limit``.
    ``split_call`` divides a call in two, or returns nothing. ``own_key`` returns the property of a name at the
    destination, if it has one.
    """

    def __init__(
        self,
        requests: RequestSender,
        body_limit: BodyLimit,
        *,
        parts: Parts = lambda messages: (messages,),
        limits: Limits | None = None,
        split_call: Callable[[EncodedCall], Sequence[EncodedCall]] = lambda call: (),
        own_key: Callable[[str], str | None] = str,
    ) -> None:
        self._requests = requests
        self._body_limit = body_limit
        self._parts = parts
        self._limits = limits
        self._split_call = split_call
        self._own_key = own_key

    def send(self, batch: Batch) -> BatchResult:
        """Send the calls of a batch until each has a final answer, or the delivery stops."""
        result = BatchResult(batch=batch, started=self._requests.clock())
        calls = self._requests.without_suppressed(batch.calls, result)
        details = with_details(calls)
        unsendable = [call for call in details if call.unsendable]
        result.refusals += [RefusedCall(call, call.unsendable, None) for call in unsendable]
        self._send_all([call for call in calls if not call.unsendable] if unsendable else calls, result)
        self._resolve_suspects(result)
        withheld = {call.user_id for call in result.withheld}
        result.refusals += [
            RefusedCall(call, "; ".join(call.left_out.values()), None, frozenset(call.left_out))
            for call in details
            if call.left_out and call.user_id not in withheld
        ]
        result.refusals = _merge_per_user(result.refusals)
        return result

    def _resolve_suspects(self, result: BatchResult) -> None:
        """Refuse the suspects if the server accepted other calls of the batch; otherwise the server is down."""
        if result.suspects and result.final_responses:
            result.refusals += result.suspects
        elif result.suspects:
            result.answered = False

    def _send_all(self, calls: Sequence[EncodedCall], result: BatchResult) -> None:
        """Send until every call has a final answer, or record that one has not."""
        waiting = [_Share(calls)]
        while waiting and result.answered:
            share = waiting.pop()
            if calls := self._requests.without_suppressed(share.calls, result):
                waiting += reversed(self._send_fitting(replace(share, calls=calls), result))
            elif share.failure:
                share.failure.is_size = False

    def _send_fitting(self, share: _Share, result: BatchResult) -> list[_Share]:
        """Send as many calls as fit one request. Return the shares that are still to be sent, in order."""
        calls, failure = share.calls, share.failure
        with self._body_limit.fitting(lambda: [call.size for call in calls]) as count:
            first, rest = (calls, ()) if count is None else (calls[:count], calls[count:])
            if rest and failure:
                failure.outstanding += 1
            try:
                shares = self._send_once(replace(share, calls=first), result)
            except SuppressedMeanwhileError:
                shares = [replace(share, calls=first)]
        return [*shares, replace(share, calls=rest)] if rest else shares

    def _send_once(self, share: _Share, result: BatchResult) -> list[_Share]:
        """Send the calls in one request. Return the shares that have to be sent by themselves."""
        judgement = self._send_requests(share.calls, result, self._max_attempts(share.calls, share.failure))
        if judgement is None:
            result.answered = False
            return []
        shares = self._shares_left(share, judgement, result)
        if shares and judgement.meaning is Meaning.REFUSED:
            self._requests.note(share.calls, result)
        return shares

    def _shares_left(self, share: _Share, judgement: Judgement, result: BatchResult) -> list[_Share]:
        calls, failure = share.calls, share.failure
        if judgement.meaning is Meaning.DELIVERED:
            self._record_delivered(calls, failure)
            return []
        if failure:
            failure.is_size = False
        if judgement.meaning is Meaning.REFUSED and judgement.refused:
            refused = {each.call.user_id for each in result.refusals}
            rest = [call for call in calls if call.user_id not in refused]
            middle = len(rest) // 2 if share.is_rest else 0
            return [_Share(each, is_rest=True) for each in (rest[:middle], rest[middle:]) if each]
        is_too_large = judgement.meaning is Meaning.REFUSED and judgement.status == STATUS_TOO_LARGE
        if is_too_large:
            self._body_limit.record_refused(_size(calls))
        if len(calls) > 1:
            failed = _Failure(_size(calls), outstanding=2) if judgement.meaning is Meaning.RETRY else None
            middle = len(calls) // 2
            return [_Share(calls[:middle], failed), _Share(calls[middle:], failed)]
        fails = judgement.meaning is Meaning.RETRY
        if parts := self._split_large(calls, judgement):
            whole = _Failure(_size(calls), outstanding=len(parts)) if fails else None
            return self._without_unsendable([_Share([part], whole) for part in parts], result)
        if fails and failure and calls[0].only is not None and result.final_responses:
            self._body_limit.record_failed(min(failure.size, _size(calls)))
        refusal = RefusedCall(calls[0], _refusal_reason(judgement, calls[0]), judgement.status, calls[0].only)
        (result.suspects if fails else result.refusals).append(refusal)
        return []

    def _max_attempts(self, calls: Sequence[EncodedCall], failure: _Failure | None) -> int:
        """Return the number of failed attempts before the calls are divided or refused.

        It is lower if size is a likely cause.
        """
        if not self._body_limit.is_active:
            return MAX_HALF_ATTEMPTS if failure and len(calls) > 1 else MAX_ATTEMPTS
        if self._body_limit.has_refused(_size(calls)):
            return 1
        is_doubtful = (failure and len(calls) > 1) or self._body_limit.has_failed(_size(calls))
        return MAX_HALF_ATTEMPTS if is_doubtful else MAX_ATTEMPTS

    def _split_large(self, calls: Sequence[EncodedCall], judgement: Judgement) -> Sequence[EncodedCall]:
        """Divide a single call that is too large, or that fails repeatedly and may be too large."""
        fails = judgement.meaning is Meaning.RETRY and _size(calls) >= MAYBE_TOO_LARGE_BYTES
        if len(calls) > 1 or not (judgement.status == STATUS_TOO_LARGE or fails):
            return ()
        return self._split_call(calls[0])

    def _without_unsendable(self, parts: Sequence[_Share], result: BatchResult) -> list[_Share]:
        """Filter out the parts of a divided call that can't be sent, and refuse them."""
        for call in (call for part in parts for call in part.calls if call.unsendable):
            result.refusals.append(RefusedCall(call, call.unsendable, None, call.only))
        return [part for part in parts if not any(call.unsendable for call in part.calls)]

    def _record_delivered(self, calls: Sequence[EncodedCall], failure: _Failure | None) -> None:
        if failure:
            failure.outstanding -= 1
            if failure.is_size and not failure.outstanding:
                self._body_limit.record_refused(failure.size)
        if self._body_limit.is_active:
            self._body_limit.record_accepted(_size(calls))

    def _refuse_named(
        self,
        calls: Sequence[EncodedCall],
        messages: Sequence[Message],
        judgement: Judgement,
        result: BatchResult,
    ) -> None:
        """Refuse the calls whose messages the answer names, and the properties that it names of others."""
        owners = {each.message_id: call for call in calls for each in call.messages}
        refused = [(owners[messages[index].message_id], why) for index, why in judgement.refused.items()]
        by_user = {call.user_id: RefusedCall(call, why, judgement.status, call.only) for call, why in refused}
        result.refusals += by_user.values()
        result.refusals += [
            RefusedCall(owners[messages[index].message_id], why, judgement.status, frozenset([key]))
            for index, fields in judgement.refused_fields.items()
            for name, why in fields.items()
            if (key := self._own_key(name)) is not None
        ]

    def _send_requests(self, calls: Sequence[EncodedCall], result: BatchResult, attempts: int) -> Judgement | None:
        """Return the final answer to these calls. They are accepted if all their requests are.

        A call that one request refuses has no part in the requests after it. Calls without a message are accepted.
        """
        judgement: Judgement | None = Judgement(Meaning.DELIVERED)
        refused = set[str]()
        for messages in request_messages(calls, self._parts, self._limits):
            sendable = [each for each in messages if each.message_id not in refused] if refused else messages
            if not sendable:
                continue
            is_final = partial(self._is_final_failure, calls, result)
            judgement = self._requests.send(sendable, calls, result, attempts, is_final_failure=is_final)
            if judgement is None:
                break
            if judgement.refused or judgement.refused_fields:
                self._refuse_named(calls, sendable, judgement, result)
                users = {each.call.user_id for each in result.refusals if each.properties is None}
                refused = {each.message_id for call in calls if call.user_id in users for each in call.messages}
            if judgement.meaning is not Meaning.DELIVERED:
                break
        return judgement

    def _is_final_failure(self, calls: Sequence[EncodedCall], result: BatchResult, judgement: Judgement) -> bool:
        """Return whether calls that fail repeatedly are divided, or compared with others of their batch."""
        is_rest = calls[0].only is not None and result.final_responses > 0  # another part was accepted
        return len(result.batch.calls) > 1 or is_rest or bool(self._split_large(calls, judgement))


def _size(calls: Sequence[EncodedCall]) -> int:
    return sum(call.size for call in calls)


def _refusal_reason(judgement: Judgement, call: EncodedCall) -> str:
    """Return the reason of a refusal, with the size if a part of the call was sent by itself."""
    return judgement.reason if call.only is None else f"{judgement.reason}, at a message of {call.size:,} bytes"


def _merge_per_user(refusals: Sequence[RefusedCall]) -> list[RefusedCall]:
    """Merge refusals by user: the whole call, or the properties of all refused parts."""
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
