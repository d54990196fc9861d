"""Send one real call over the destination's own transport, and return request and response."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from msgspec.structs import replace
from sqlalchemy import select

from audience_sync.config.models import Settings
from audience_sync.delivery.mapping import mapping_of
from audience_sync.destinations.base import (
    Audiencing,
    Destination,
    HttpDestination,
    Judgement,
    Meaning,
    Message,
    Transport,
)
from audience_sync.destinations.boundary import destination_error_message
from audience_sync.destinations.http.statuses import name_destination, truncate
from audience_sync.destinations.messages.identify import object_json, split_traits
from audience_sync.destinations.registry import destination_types
from audience_sync.errors import UnsendableError, WrongValueError
from audience_sync.model import IdentifyCall, UserId
from audience_sync.project.http_exchange import LiveCall, ShownRequest, redact_request, shown_response
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.store.audiences.suppressions import is_suppressed
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from audience_sync.store.tables import installation
from audience_sync.text import iso_time, unknown_name_message

#: What a call sends unless it is given traits.
DEFAULT_TRAITS: Mapping[str, Any] = {"audience_sync_test": True}


def call_destination(settings: Settings, name: str, user_id: str, traits: Mapping[str, Any] | None = None) -> LiveCall:
    """Send one real call to the destination of this name. The call has ``DEFAULT_TRAITS`` if none are given."""
    target = open_destination(name, settings, user_id)
    sent = dict(traits or DEFAULT_TRAITS)
    call = send_live_call(target, new_call(user_id, sent), settings.secrets, name=name)
    return replace(call, destination=name, type=target.options.type, user_id=user_id, traits=sent)


def open_destination(name: str, settings: Settings, user_id: str) -> Destination:
    """The destination, as a run would use it.

    Raises WrongValueError for an unknown name and for a suppressed user, and StoreError if the store can't be read.
    """
    options = settings.destinations.get(name)
    if options is None:
        raise WrongValueError("destination", unknown_name_message("destination", name, settings.destinations))
    audiences = frozenset(audience.property_key or "" for audience in settings.audiences)
    traits = frozenset(key for entry in settings.computed_traits for key in entry.columns)
    about = Audiencing(_installation_for(settings.store, user_id), audiences, traits, settings.secrets)
    return destination_types()[options.type](options, about)


def _installation_for(url: str, user_id: str) -> str:
    """The installation's id that runs use; a fixed text if there is no store yet. Refuses a suppressed user."""
    with closing(Store(url)) as store:
        if migrate.current(store) is None:
            return "test-destination"
        migrate.require_current_schema(store)
        with store.reading() as connection:
            if is_suppressed(connection, user_id):
                raise WrongValueError("user_id", "the user is suppressed, or erased: nothing was sent")
            return str(connection.execute(select(installation.c.uuid)).scalar_one())


def new_call(user_id: str, traits: dict[str, Any]) -> IdentifyCall:
    """A call with a new message id: receivers drop repeated ones. Raises WrongValueError for what JSON can't have."""
    try:
        text = json.dumps(traits, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise WrongValueError("traits", f"they are values of JSON: {error}. Nothing was sent") from None
    return IdentifyCall(UserId(user_id), text, uuid4().hex, iso_time(datetime.now(UTC)))


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
    messages = _mapped_messages(destination, call)
    transport = destination.open()
    started = time.monotonic()
    try:
        sent = _exchange(destination, transport, messages, secrets)
    finally:
        transport.close()
    judgement = _single_call_judgement(sent.judgement)
    judgement = replace(judgement, reason=truncate(mask_secrets(judgement.reason, secrets)))
    return replace(sent, judgement=judgement, seconds=time.monotonic() - started)


def _mapped_messages(destination: Destination, call: IdentifyCall) -> list[Message]:
    """Encode the call under the names of the destination, hashed as in a run. Its user id is that of the destination.

    No stored values are read: the call has the identifiers that are among its traits.
    """
    mapping, traits = mapping_of(destination), dict(split_traits(call.traits_json))
    given = {key: value for key, value in traits.items() if key in mapping.identifiers}
    own = {} if mapping.user_id is None else {mapping.user_id: json.dumps(call.user_id, ensure_ascii=False)}
    mapping = replace(mapping, identifiers=tuple(given), skips_null=False)
    try:
        return destination.encode(mapping.apply(call._replace(identifiers=object_json({**given, **own}.items()))))
    except UnsendableError as error:
        raise mapping.with_own_keys(error) from None


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
    """The judgement on the only call of a batch: an accepted batch may name it, or properties of it, as refused."""
    dropped = [f"'{key}': {why}" for fields in judgement.refused_fields.values() for key, why in fields.items()]
    reasons = [*judgement.refused.values(), *dropped]
    if not reasons:
        return judgement
    return Judgement(Meaning.REFUSED, "; ".join(dict.fromkeys(reasons)), status=judgement.status)
