"""Send to Iterable by ``POST /api/users/bulkUpdate``, ``/api/events/trackBulk`` and ``/api/users/merge``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import orjson
from msgspec.structs import replace
from pydantic import Field, model_validator

from audience_sync.config.sections.base import Rate
from audience_sync.config.sections.http_options import Key
from audience_sync.destinations.base import (
    Answer,
    Audiencing,
    Event,
    HttpRequest,
    Judgement,
    Meaning,
    Merge,
    Message,
)
from audience_sync.destinations.http.statuses import StatusTable, status_reason
from audience_sync.destinations.json_api.answers import (
    BodyRule,
    parsed_body,
    reasons_by_identifier,
    value_at,
    values_at,
)
from audience_sync.destinations.json_api.destination import JsonApiDestination, JsonApiOptions, split_kinds
from audience_sync.destinations.json_api.ids import epoch_seconds
from audience_sync.destinations.json_api.item import Item, Part
from audience_sync.destinations.json_api.limits import ItemLimits
from audience_sync.destinations.json_api.values import ValueTypes
from audience_sync.destinations.messages.identify import json_bytes, json_list
from audience_sync.model import Alias, AudienceEvent

#: The lists of ``failedUpdates``, each with its reason; the names end with ``Emails`` or ``UserIds``.
FAILURES = {
    "invalid": "Iterable does not accept this user id",
    "notFound": "Iterable has no such user",
    "invalidData": "a property has another type than Iterable's field of that name",
    "conflict": "the user id or e-mail belongs to another user of Iterable",
    "forgotten": "the user was forgotten in Iterable (GDPR) and can't be updated",
}
WRONG_KEY = "the key is not accepted: is it a server-side key, and `destinations.NAME.region` right?"
#: Codes of a merge whose source does not exist.
NO_SUCH_SOURCE = ("UnknownUserIdError", "UnknownEmailError")
NOT_STORED = "Iterable has no such field and creates none. Allow new fields in the project, or create it there"
NOT_ALLOWED = "the project does not allow events of this name"
EVENT_NOT_STORED = "Iterable dropped fields of the event. Set `create_new_fields: true`, or create them there"


class IterableOptions(JsonApiOptions):
    paths = ("/api/users", "/api/events")

    type: Literal["iterable"] = Field("iterable", description="Iterable's API.")
    api_key: Key = Field(
        description="A server-side API key of the project, from Integrations > API Keys in Iterable, best as "
        "`${ITERABLE_API_KEY}`."
    )
    region: Literal["us", "eu"] = Field("us", description="The data centre of the project.")
    project: Literal["hybrid", "user_id", "email"] = Field(
        "hybrid", description="How the project identifies users. In an `email` project users are created by id, too."
    )
    id: Literal["user_id", "email"] | None = Field(
        None, description="What the user id is there; default: `email` with `user_id: email`, and else `user_id`."
    )
    update_only: bool = Field(False, description="Create no users. Iterable has to enable this for the project.")
    create_new_fields: bool | None = Field(
        None, description="Whether Iterable creates fields for new properties; default: the project's setting."
    )
    rate_limit: Rate | None = Field(5.0, description="Maximum number of requests per second, minute or hour.")

    @property
    def is_by_email(self) -> bool:
        return self.id == "email" or (self.id is None and self.known_by == "email")

    @property
    def id_kind(self) -> str:
        return "" if self.is_by_email == (self.known_by == "email") else str(self.id)

    @model_validator(mode="after")
    def _id_of_the_project(self) -> Self:
        if self.project == "user_id" and self.is_by_email:
            raise ValueError(
                "a project with user ids is not sent e-mail addresses: set `id: user_id`, or `project: hybrid`"
            )
        return self


class IterableDestination(JsonApiDestination):
    Options = IterableOptions
    options: IterableOptions
    deletion = "delete the user by Iterable's `DELETE /api/users/{email}`, or forget them in the project (GDPR)"
    hosts: ClassVar[Mapping[str, str]] = {"us": "https://api.iterable.com", "eu": "https://api.eu.iterable.com"}
    bounds = ItemLimits(
        service="Iterable",
        message_bytes=1_000_000,
        reserved=frozenset(
            {"userId", "itblInternal", "itblUserId", "devices", "emailListIds", "unsubscribedChannelIds"}
            | {"unsubscribedMessageTypeIds", "subscribedMessageTypeIds", "profileUpdatedAt"}
        ),
        name_pattern='[^."]+',
    )
    types = ValueTypes(dates="%Y-%m-%d %H:%M:%S +00:00")
    names: ClassVar[Mapping[str, str]] = {"phone": "phoneNumber", "createdAt": "signupDate"}
    batch_messages = 1_000
    batch_bytes = 4_000_000
    statuses = StatusTable(
        hints={
            401: WRONG_KEY,
            403: "the key is not allowed to do this: it has to be a server-side key",
        }
    )
    body_rules = (
        BodyRule(
            status=400,
            pointer="/code",
            pattern="^(BadApiKey|BadAuthorizationHeader|Unauthorized|Forbidden|InvalidJwtPayload|JwtUser.*)$",
            meaning=Meaning.STOP,
            hint=WRONG_KEY,
        ),
        BodyRule(
            status=400,
            pointer="/code",
            pattern="^UniqueFieldsLimitExceeded$",
            meaning=Meaning.REFUSED,
            hint="the project has as many fields as it may have (1,000 by default): delete some there",
        ),
    )
    profile_fields = frozenset(
        {"email", "userid", "phone", "phonenumber", "emaillistids", "unsubscribedchannelids", "devices", "signupdate"}
        | {"unsubscribedmessagetypeids", "subscribedmessagetypeids", "profileupdatedat", "itblinternal", "itbluserid"}
    )
    has_alias = True
    remarks = ("the type of a field is fixed by its first value; a value of another type is refused",)

    def __init__(self, options: IterableOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        self._id = "email" if options.is_by_email else "userId"
        new = {} if options.create_new_fields is None else {"createNewFields": options.create_new_fields}
        switches = {**new, **({"updateOnly": True} if options.update_only else {})}
        self._end = b"".join(b"," + json_bytes({name: on})[1:-1] for name, on in switches.items())
        self._new_event_fields = new

    @property
    def credentials(self) -> Mapping[str, str]:
        return {"Api-Key": self.options.api_key.get_secret_value()}

    @property
    def address(self) -> str:
        return f"{self.base_url}/api/users/bulkUpdate"

    @property
    def item(self) -> Item:
        prefer = ',"preferUserId":true' if self.options.project == "email" and self._id == "userId" else ""
        return (f'{{"{self._id}":', Part.USER, f'{prefer},"dataFields":', Part.TRAITS, "}")

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        body = {
            self._id: user_id,
            "eventName": self.event_name(event),
            "id": event.message_id,
            "createdAt": epoch_seconds(event.timestamp),
            "dataFields": self.event_properties(event),
            **self._new_event_fields,
        }
        return self.event(user_id, event, body)

    def encode_alias(self, user_id: str, alias: Alias) -> Merge:
        name = "Email" if self._id == "email" else "UserId"
        return Merge(alias.message_id, json_bytes({f"source{name}": alias.previous_id, f"destination{name}": user_id}))

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        """Put each merge into a request of its own, before the users: it renames a user who does not exist yet."""
        merges = [[each] for each in messages if isinstance(each, Merge)]
        others = [each for each in messages if not isinstance(each, Merge)] if merges else messages
        return [*merges, *split_kinds(others, events_apart=True)]

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        if isinstance(messages[0], Merge):
            return self.post("/api/users/merge", messages[0].body)
        if isinstance(messages[0], Event):
            return self.post("/api/events/trackBulk", b'{"events":' + json_list(messages) + b"}")
        return self.post("/api/users/bulkUpdate", b'{"users":' + json_list(messages) + self._end + b"}")

    def item_errors(self, body: Any, messages: Sequence[Message]) -> Mapping[int, str]:
        emails = "/email" if self._id == "email" else "/dataFields/email"
        return {
            **_event_errors(body, messages),
            **reasons_by_identifier(messages, emails, _failures(body, "Emails"), ignores_case=True),
            **reasons_by_identifier(messages, "/userId", _failures(body, "UserIds")),
        }

    def field_errors(self, body: Any) -> Mapping[str, str]:
        """Return the properties that have dropped fields: `address` for its nested field `address.city`."""
        return {str(name).partition(".")[0]: NOT_STORED for name in values_at(body, "/filteredOutFields")}

    def judge(self, answer: Answer, messages: Sequence[Message] = ()) -> Judgement:
        """Judge; a success with more failures than it names is a refusal, which is halved.

        A merge whose previous id is unknown to Iterable has nothing to do.
        """
        judgement = super().judge(answer, messages)
        body = parsed_body(answer)
        if messages and isinstance(messages[0], Merge) and value_at(body, "/code") in NO_SUCH_SOURCE:
            return Judgement(Meaning.DELIVERED, judgement.reason, status=answer.status)
        failed = value_at(body, "/failCount")
        if judgement.meaning is not Meaning.DELIVERED or not messages or not isinstance(failed, int):
            return judgement
        if failed <= len(judgement.refused):
            return judgement
        reason = status_reason(answer.status or 0, f"{failed} of {len(messages)} updates failed in Iterable")
        return replace(judgement, meaning=Meaning.REFUSED, reason=reason)


def _failures(body: Any, kind: str) -> list[tuple[object, str]]:
    """Return the users in the lists of a kind, ``Emails`` or ``UserIds``, with the reason of each."""
    return [
        (user, reason)
        for failure, reason in FAILURES.items()
        for pointer in (f"/failedUpdates/{failure}{kind}", f"/{failure}{kind}")
        for user in values_at(body, pointer)
    ]


def _event_errors(body: Any, messages: Sequence[Message]) -> dict[int, str]:
    """Return the events that Iterable does not track, or tracks without some of their fields."""
    disallowed = dict.fromkeys(values_at(body, "/disallowedEventNames"), NOT_ALLOWED)
    dropped = {str(name).partition(".")[0] for name in values_at(body, "/filteredOutFields")}
    if not (disallowed or dropped):
        return {}
    events = {index: orjson.loads(each.body) for index, each in enumerate(messages) if isinstance(each, Event)}
    reasons = {
        index: disallowed.get(event["eventName"]) or (EVENT_NOT_STORED if dropped & event["dataFields"].keys() else "")
        for index, event in events.items()
    }
    return {index: reason for index, reason in reasons.items() if reason}
