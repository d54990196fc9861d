"""Send identify calls as JSON to any HTTP endpoint, one call or a batch per request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from urllib.parse import parse_qsl, urlsplit

from msgspec.structs import replace

from audience_sync.destinations.base import (
    Answer,
    Audiencing,
    Event,
    HttpDestination,
    HttpRequest,
    Judgement,
    Limits,
    Meaning,
    Message,
)
from audience_sync.destinations.http.statuses import HTML_PAGE, excerpt, is_html, judge_status, judge_success
from audience_sync.destinations.messages.identify import (
    identify_bytes,
    identify_sql,
    json_list,
    message_tail,
    track_bytes,
)
from audience_sync.destinations.webhook.options import WebhookOptions, status_table
from audience_sync.model import AudienceEvent, IdentifyCall
from audience_sync.redaction.secrets import collect_secrets
from audience_sync.webhook_signature import ID, signature_headers, signing_key

#: Limits that small services without documented limits accept.
BATCH_MESSAGES = 100
BATCH_BYTES = 1_000_000


class WebhookDestination(HttpDestination):
    """``webhook-id`` is the same whenever the same calls are sent again, so that a receiver can drop a repeat."""

    Options = WebhookOptions
    deletion = "the service behind the webhook is sent nothing of this; delete the user there"
    options: WebhookOptions

    def __init__(self, options: WebhookOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        self._tail = message_tail({}, {})
        self._table = status_table(options.answers)
        self._headers = _request_headers({name: value.get_secret_value() for name, value in options.headers.items()})
        self._key = signing_key(options.secret) if options.secret else None
        self._secrets = collect_secrets([*about.secrets, *_option_secrets(options)])

    @property
    def limits(self) -> Limits:
        messages = 1 if self.options.body == "call" else self.options.batch_size or BATCH_MESSAGES
        return Limits(messages, BATCH_BYTES - messages - len(b"[]"))

    @property
    def address(self) -> str:
        """The host only: for many services, path and query are the key."""
        url = urlsplit(self.options.url)
        return f"{url.scheme}://{url.netloc}" + ("/..." if url.path.strip("/") or url.query else "")

    def encode(self, call: IdentifyCall) -> list[Message]:
        return [Message(call.message_id, identify_bytes(call, call.message_id, call.traits_json, self._tail))]

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        return Event(event.message_id, track_bytes(user_id, self.event_name(event), event, self._tail))

    def encode_sql(self) -> str | None:
        return identify_sql(self._tail)

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        return [[message] for message in messages] if self.options.body == "call" else [messages]

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        headers = {**self._headers, ID: _webhook_id(messages)}
        return HttpRequest(self.options.method, self.options.url, headers, self._body(messages))

    def _body(self, messages: Sequence[Message]) -> bytes:
        if self.options.body == "call":
            (message,) = messages
            return message.body
        return json_list(messages)

    def signed(self, request: HttpRequest, at: datetime) -> HttpRequest:
        if self._key is None:
            return request
        signature = signature_headers(self._key, request.headers[ID], request.body, at)
        return replace(request, headers={**request.headers, **signature})

    def judge(self, answer: Answer, messages: Sequence[Message] = ()) -> Judgement:
        """Judge by the status. A page of HTML is not a success, unless ``answers`` lists its status."""
        judgement = judge_status(answer, self._table, excerpt(answer.body, self._secrets))
        if judgement.meaning is not Meaning.DELIVERED or answer.status is None or self._is_named(answer.status):
            return judgement
        if is_html(answer):
            return judge_success(answer, Meaning.RETRY, HTML_PAGE)
        return judgement

    def _is_named(self, status: int) -> bool:
        return not self.options.answers.keys().isdisjoint((str(status), f"{status // 100}xx"))


def _request_headers(own: Mapping[str, str]) -> dict[str, str]:
    """Return the config's headers, with a content type if they have none."""
    named = any(name.lower() == "content-type" for name in own)
    return dict(own) if named else {"Content-Type": "application/json", **own}


def _webhook_id(messages: Sequence[Message]) -> str:
    """Return the message id of a single call, or an id made from those of the batch."""
    if len(messages) == 1:
        return messages[0].message_id
    return blake2b("\n".join(message.message_id for message in messages).encode(), digest_size=16).hexdigest()


def _option_secrets(options: WebhookOptions) -> Iterator[str]:
    """Yield the texts to mask in a reason: headers, path and query, and the signing secret."""
    yield from (value.get_secret_value() for value in options.headers.values())
    url = urlsplit(options.url)
    yield from (options.url, url.path, url.query, *(text for _, text in parse_qsl(url.query)))
    if options.secret:
        yield options.secret.get_secret_value()
