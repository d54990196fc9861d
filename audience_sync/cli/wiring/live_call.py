"""Send one real call over the destination's own transport, and return request and response."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from audience_sync.cli.base.errors import FAILED, OK, UNDELIVERED
from audience_sync.cli.views.http_exchange import ShownRequest, ShownResponse, redact_request, shown_response
from audience_sync.destinations.base import Destination, HttpDestination, Judgement, Meaning, Message, Transport
from audience_sync.destinations.boundary import destination_error_message
from audience_sync.destinations.http.statuses import name_destination, truncate
from audience_sync.errors import UnsendableError
from audience_sync.model import IdentifyCall
from audience_sync.redaction.secrets import mask_secrets

VERDICTS = {
    Meaning.DELIVERED: "Delivered",
    Meaning.REFUSED: "Refused",
    Meaning.RETRY: "Not delivered; a run would try again",
    Meaning.SLOW_DOWN: "Not delivered; a run would wait and try again",
    Meaning.STOP: "Stopped: no call is accepted until this is corrected",
}


@dataclass(frozen=True, slots=True)
class LiveCall:
    """The result of one call. ``request`` and ``response`` are None if there was none."""

    judgement: Judgement
    request: ShownRequest | None = None
    response: ShownResponse | None = None
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """FAILED if every call would fail: a wrong key or address, or no server."""
        match self.judgement:
            case Judgement(meaning=Meaning.DELIVERED):
                return OK
            case Judgement(meaning=Meaning.STOP) | Judgement(meaning=Meaning.RETRY, status=None):
                return FAILED
            case _:
                return UNDELIVERED

    @property
    def verdict(self) -> str:
        """The verdict for people, with its reason."""
        verdict = VERDICTS[self.judgement.meaning]
        return f"{verdict}: {self.judgement.reason}" if self.judgement.reason else verdict

    def as_json(self) -> dict[str, Any]:
        return {
            "request": self.request and asdict(self.request),
            "response": self.response and asdict(self.response),
            "meaning": self.judgement.meaning,
            "reason": self.judgement.reason or None,
            "seconds": round(self.seconds, 3),
            "exit_code": self.exit_code,
        }


def send_live_call(destination: Destination, call: IdentifyCall, secrets: Sequence[str], *, name: str) -> LiveCall:
    """Send the call to the destination of this ``name``, in one request. ``secrets``: those of the config."""
    try:
        sent = _send(destination, call, secrets)
        return replace(sent, judgement=replace(sent.judgement, reason=name_destination(sent.judgement.reason, name)))
    except UnsendableError as error:
        return LiveCall(Judgement(Meaning.REFUSED, f"it was not sent: {error}"))
    except (Exception, SystemExit) as error:  # a destination of another package may raise anything
        return LiveCall(Judgement(Meaning.STOP, destination_error_message(error, secrets)))


def _send(destination: Destination, call: IdentifyCall, secrets: Sequence[str]) -> LiveCall:
    messages = destination.encode(call)
    transport = destination.open()
    started = time.monotonic()
    try:
        sent = _exchange(destination, transport, messages, secrets)
    finally:
        transport.close()
    judgement = _single_call_judgement(sent.judgement)
    judgement = replace(judgement, reason=truncate(mask_secrets(judgement.reason, secrets)))
    return replace(sent, judgement=judgement, seconds=time.monotonic() - started)


def _exchange(
    destination: Destination, transport: Transport, messages: list[Message], secrets: Sequence[str]
) -> LiveCall:
    if isinstance(destination, HttpDestination):
        from audience_sync.destinations.http.transport import HEADERS, HttpTransport

        if isinstance(transport, HttpTransport):  # a destination of another package may have its own
            made = transport.exchange(messages)
            headers = {**HEADERS, **made.request.headers}
            response = made.answer.status and shown_response(made.answer, headers, secrets)
            return LiveCall(made.judgement, redact_request(made.request, headers, secrets), response or None)
    body = "\n".join(message.body.decode("utf-8", "replace") for message in messages)
    return LiveCall(transport.send(messages), ShownRequest(mask_secrets(body, secrets)))


def _single_call_judgement(judgement: Judgement) -> Judgement:
    """The judgement on the only call of a batch: an accepted batch may name it as refused."""
    if not judgement.refused:
        return judgement
    return Judgement(Meaning.REFUSED, "; ".join(dict.fromkeys(judgement.refused.values())), status=judgement.status)
