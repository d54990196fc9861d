"""Encode calls and judge answers of a JSON API from the tables of one service."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import orjson
from msgspec.structs import replace
from pydantic import Field, SecretStr, field_validator, model_validator

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.config.sections.http_options import BaseUrl, without_path
from audience_sync.destinations.base import (
    Answer,
    Audiencing,
    Event,
    HttpDestination,
    HttpRequest,
    JoinedMessages,
    Judgement,
    Limits,
    Meaning,
    Merge,
    Message,
)
from audience_sync.destinations.http.statuses import (
    StatusTable,
    excerpt,
    judge_status,
    judge_success,
    judge_unreadable,
    status_reason,
)
from audience_sync.destinations.json_api.answers import WRONG_KEY_RULES, BodyRule, judge_rules, parsed_body
from audience_sync.destinations.json_api.item import Item, ItemValues, item_bytes, item_sql
from audience_sync.destinations.json_api.limits import ItemLimits, Pair
from audience_sync.destinations.json_api.values import ValueTypes, plain_object_sql, value_types_sql
from audience_sync.destinations.messages.identify import derived_message_id, json_bytes, split_traits
from audience_sync.destinations.messages.split import separate_identifiers
from audience_sync.errors import UnsendableError
from audience_sync.model import ALIAS_KEY, Alias, AudienceEvent, IdentifyCall
from audience_sync.redaction.secrets import collect_secrets
from audience_sync.sql import quote_literal

#: Room in a request for what is around its items.
ENVELOPE_BYTES = 1_000
#: What an item of a lost value has, unless it has a null.
UNSET = b'"$unset":'
NOT_JSON = "but not with JSON: a proxy may be in the way. Check `destinations.NAME.url`"


class JsonApiOptions(DestinationOptions):
    #: The bytes of the longest name of an event.
    event_name_bytes: ClassVar[int] = sys.maxsize
    #: The paths of requests, which ``url`` does not have.
    paths: ClassVar[tuple[str, ...]] = ()

    url: BaseUrl | None = Field(None, description="Where the API is; default: the service's address of the region.")

    @field_validator("url")
    @classmethod
    def _url_without_path(cls, url: str | None) -> str | None:
        return None if url is None else without_path(url, cls.paths)

    @model_validator(mode="after")
    def _event_names(self) -> Self:
        for name in (self.events.entered, self.events.exited) if self.events else ():
            if (size := len(name.encode("utf-8", "replace"))) > self.event_name_bytes:
                raise ValueError(
                    f"the event name `{name}` has {size:,} bytes, and the service takes {self.event_name_bytes:,}: "
                    "shorten it in `events`"
                )
        return self

    def identifier_or(self, default: str) -> str:
        """Return `email` or `phone` if users are known by it, and else the service's own name of a user id."""
        return self.known_by if self.known_by in ("email", "phone") else default


class JsonApiDestination(HttpDestination):
    """A service with a JSON API that accepts many users in a request. A subclass is the service's tables.

    It defines the form of an item (``item``, or ``items`` if properties without a value have a form of their own),
    ``request``, and ``item_errors`` if an answer names items.
    """

    options: JsonApiOptions
    #: The address of each region; a service without regions has one, under its only name.
    hosts: ClassVar[Mapping[str, str]] = {}
    bounds: ClassVar[ItemLimits]
    types: ClassVar[ValueTypes] = ValueTypes()
    #: Standard traits that have another name here.
    names: ClassVar[Mapping[str, str]] = {}
    batch_messages: ClassVar[int]
    batch_bytes: ClassVar[int]
    statuses: StatusTable = StatusTable()
    body_rules: ClassVar[Sequence[BodyRule]] = ()
    #: Bodies of a success that are no JSON.
    success_texts: ClassVar[Sequence[bytes]] = ()
    #: Whether ``value_problem`` concerns nested values.
    checks_nested: ClassVar[bool] = False
    #: The name under which an item has the user id besides its properties: a property of that name is left out.
    user_field: str = ""

    def __init__(self, options: JsonApiOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        keys = [value.get_secret_value() for _, value in options if isinstance(value, SecretStr)]
        self._secrets = collect_secrets([*about.secrets, *keys, *self.credentials.values()])
        self._forms: dict[tuple[bool, bool], Sequence[Item]] = {}
        self._good_names: set[str] = set()  # names that are within the limits

    def _is_short(self, traits_json: str) -> bool:
        """Return whether the values are surely within the limits."""
        return len(traits_json) <= self.bounds.short and not (self.checks_nested and "{" in traits_json[1:])

    @property
    def credentials(self) -> Mapping[str, str]:
        """The headers that prove who sends."""
        return {}

    @property
    def item(self) -> Item:
        """The form of an item."""
        raise NotImplementedError

    def items(self, *, sets: bool, unsets: bool) -> Sequence[Item]:
        """Return the forms of the items of a call that sets properties, or unsets them (``types.null``), or both."""
        del sets, unsets
        return (self.item,)

    def item_errors(self, body: Any, messages: Sequence[Message]) -> Mapping[int, str]:
        """Return the reasons by index of the messages that an answer names."""
        del body, messages
        return {}

    def field_errors(self, body: Any) -> Mapping[str, str]:
        """Return the names of fields that a success names as not stored, with the reason of each."""
        del body
        return {}

    def check_user(self, user_id: str) -> None:
        """Raise UnsendableError for a user id that the service refuses or drops."""
        self.bounds.check_user(user_id)

    def user_conditions(self) -> Sequence[str]:
        """Return the conditions, in SQL, under which ``check_user`` surely passes, besides the limits' own."""
        return ()

    def value_problem(self, name: str, value: str) -> str:
        """Return why the service can't store a value (a JSON text), or nothing. For a rule that no table has."""
        del name, value
        return ""

    @property
    def base_url(self) -> str:
        return self.options.url or self.hosts[str(getattr(self.options, "region", next(iter(self.hosts), "")))]

    @property
    def limits(self) -> Limits:
        messages = min(self.options.batch_size or self.batch_messages, self.batch_messages)
        return Limits(messages, self.batch_bytes - ENVELOPE_BYTES)

    @property
    def address(self) -> str:
        return self.base_url

    def encode(self, call: IdentifyCall) -> list[Message]:
        self.check_user(call.user_id)
        write = self.types.write
        pairs = [(name, write(value)) for name, value in split_traits(call.traits_json)]
        if not (self._good_names.issuperset([name for name, _ in pairs]) and self._is_short(call.traits_json)):
            self.bounds.check(pairs, self.names, self.value_problem)
            self._good_names.update(name for name, _ in pairs)
        if len(pairs) <= self.bounds.message_traits:
            messages = self._messages(call, call.message_id, pairs)
            if all(len(each.body) <= self.bounds.message_bytes for each in messages):
                return messages
        return self._divided(call, pairs)

    def _messages(self, call: IdentifyCall, message_id: str, pairs: Sequence[Pair]) -> list[Message]:
        renamed = [(self.names.get(name, name), value) for name, value in pairs] if self.names else pairs
        if self.user_field:
            renamed = [pair for pair in renamed if pair[0] != self.user_field]
        sets, unsets = renamed, list[Pair]()
        if self.types.null == "unset":
            sets = [pair for pair in renamed if pair[1] != "null"]
            unsets = [pair for pair in renamed if pair[1] == "null"]
        which = (bool(sets), bool(unsets))
        forms = self._forms.get(which) or self._forms.setdefault(which, self.items(sets=which[0], unsets=which[1]))
        if len(forms) == 1:
            values = ItemValues(call.user_id, message_id, call.timestamp, sets, unsets)
            return [Message(message_id, item_bytes(forms[0], values))]
        ids = [message_id, *(derived_message_id(message_id, f"form {number}") for number in range(1, len(forms)))]
        return [
            Message(each, item_bytes(form, ItemValues(call.user_id, each, call.timestamp, sets, unsets)))
            for each, form in zip(ids, forms, strict=True)
        ]

    def _divided(self, call: IdentifyCall, pairs: Sequence[Pair]) -> list[Message]:
        """Divide the properties of a call that is over the limits of an item. Each part has the identifiers."""
        identifiers, others = separate_identifiers(call, pairs)

        def part(properties: Sequence[Pair], repeated: Sequence[Pair]) -> list[Message]:
            message_id = derived_message_id(call.message_id, properties[0][0])
            return self._messages(call, message_id, [*properties, *repeated])

        sizes = {pair[0]: len(part([pair], ())[0].body) for pair in identifiers}
        self.bounds.check_sizes(sizes)
        sizes = {pair[0]: len(part([pair], identifiers)[0].body) for pair in others}
        self.bounds.check_sizes(sizes)
        envelope = max(
            size - len(name) - len(value) for (name, value), size in zip(others, sizes.values(), strict=True)
        )
        groups = self.bounds.pack(others, self.bounds.message_bytes - max(envelope, 0), len(identifiers))
        return [message for group in groups for message in part(group, identifiers)]

    def name_problems(self, names: Collection[str]) -> Mapping[str, str]:
        found = {name: self.bounds.name_problem(self.names.get(name, name)) for name in names}
        return {name: why for name, why in found.items() if why}

    def encode_sql(self) -> str | None:
        form, *others = self.items(sets=True, unsets=False)
        if others:
            return None
        traits, conditions = value_types_sql(self.types, "traits")
        sent = self.about.trait_keys.union(self.options.rename.values())
        renamed = {name: own for name, own in self.names.items() if name in sent}
        for name, own in renamed.items():
            traits = f"""replace({traits}, '"{name}":', '"{own}":')"""
        if self.user_field:
            value = f'"{re.escape(self.user_field)}":(?:"[^"]*"|[a-zA-Z0-9.+-]+)'
            for pattern, rest in ((f",{value}", ""), (f"\\{{{value},?", "{")):
                traits = f"regexp_replace({traits}, {quote_literal(pattern)}, '{rest}')"
            conditions = [*conditions, f"not contains(traits, '\"{self.user_field}\":[')"]
        if renamed or self.checks_nested or self.user_field:
            conditions = [*conditions, "not contains(substr(traits, 2), '{')", *plain_object_sql("traits")]
        if special := sorted(self.bounds.reserved | self.names.keys() - renamed.keys()):  # ``encode`` handles these
            conditions.append(f"not regexp_matches(traits, '\"({'|'.join(map(re.escape, special))})\":')")
        body = item_sql(form, traits)
        conditions = [*self.bounds.sql_conditions(renamed), *self.user_conditions(), *conditions]
        if self.bounds.message_bytes < sys.maxsize:
            conditions.append(f"strlen(traits) + strlen(user_id) <= {self.bounds.message_bytes // 2 - 1000}")
        return f"case when {' and '.join(dict.fromkeys(conditions))} then {body} end"

    def event_properties(self, event: AudienceEvent) -> dict[str, Any]:
        """The properties of an event, as in Segment's Engage, and the user's current identifiers."""
        identifiers = {self.names.get(name, name): value for name, value in orjson.loads(event.identifiers).items()}
        return {**identifiers, "audience_key": event.key, event.key: event.entered}

    def event(self, user_id: str, event: AudienceEvent, body: Mapping[str, Any]) -> Event:
        """Return an event of a user with this body."""
        self.check_user(user_id)
        return Event(event.message_id, json_bytes(body))

    def merge(self, user_id: str, alias: Alias, body: Mapping[str, Any]) -> Merge:
        """Return a merge of a previous id with this body. Raises UnsendableError for an id that the service refuses."""
        self.check_user(user_id)
        try:
            self.check_user(alias.previous_id)
        except UnsendableError as error:
            reason = f"the previous id '{alias.previous_id}' can't be merged: {error}"
            raise UnsendableError(reason, {ALIAS_KEY: reason}) from None
        return Merge(alias.message_id, json_bytes(body))

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, *, method: str = "POST"
    ) -> HttpRequest:
        """Return a request with a JSON body to a path of the service, with its credentials and further headers."""
        sent = {"Content-Type": "application/json", **self.credentials, **(headers or {})}
        return HttpRequest(method, self.base_url + path, sent, body)

    def judge(self, answer: Answer, messages: Sequence[Message] = ()) -> Judgement:
        detail = excerpt(answer.body, self._secrets)
        body = parsed_body(answer)
        judgement = judge_status(answer, self.statuses, detail)
        is_about_users = judgement.meaning in (Meaning.DELIVERED, Meaning.REFUSED)
        rules = (*self.body_rules, *WRONG_KEY_RULES) if is_about_users else self.body_rules
        judgement = judge_rules(rules, judgement, body, detail)
        if judgement.meaning is Meaning.DELIVERED:
            if unreadable := judge_unreadable(answer):
                return unreadable
            if body is None and answer.body.strip() not in (b"", *self.success_texts):
                return judge_success(answer, Meaning.RETRY, NOT_JSON)
        if judgement.meaning not in (Meaning.DELIVERED, Meaning.REFUSED) or not messages:
            return judgement
        refused = {
            index: self._reason(answer, why)
            for index, why in self.item_errors(body, messages).items()
            if isinstance(index, int) and 0 <= index < len(messages)
        }
        dropped = self._dropped(answer, body, messages) if judgement.meaning is Meaning.DELIVERED else {}
        return replace(judgement, refused=refused, refused_fields=dropped)

    def _dropped(self, answer: Answer, body: Any, messages: Sequence[Message]) -> Mapping[int, Mapping[str, str]]:
        """Return the properties that were not stored, by the index of each user's message that has them."""
        own = {name: key for key, name in self.names.items()}
        fields = {name: self._reason(answer, why) for name, why in self.field_errors(body).items()}
        found = {
            index: {own.get(name, name): why for name, why in fields.items() if json_bytes(name) + b":" in message.body}
            for index, message in enumerate(messages if fields else ())
            if not isinstance(message, Event | Merge)
        }
        return {index: each for index, each in found.items() if each}

    def _reason(self, answer: Answer, detail: object) -> str:
        return status_reason(answer.status or 0, excerpt(str(detail).encode(), self._secrets))


def split_kinds(messages: Sequence[Message], *, events_apart: bool = False) -> list[Sequence[Message]]:
    """Group messages by request: users and events, together or apart; then merges, whose user has to exist.

    A merge gives a user what the previous id has and the user has not. So those who lost a value are sent once more.
    """
    if isinstance(messages, JoinedMessages):  # they are calls of one message each
        return [messages]
    merges: list[Message] = [each for each in messages if isinstance(each, Merge)]
    events: list[Message] = [each for each in messages if isinstance(each, Event)]
    users = [each for each in messages if not isinstance(each, Event | Merge)]
    again = [each for each in users if b":null" in each.body or UNSET in each.body] if merges else []
    groups = [users, events, merges, again] if events_apart else [[*users, *events], merges, again]
    return [group for group in groups if group]


def divide(messages: Sequence[Message], size: int) -> list[Sequence[Message]]:
    """Divide messages into groups of at most this size."""
    return [messages[start : start + size] for start in range(0, len(messages), size)]
