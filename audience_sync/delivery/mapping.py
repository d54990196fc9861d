"""Map a call to what one destination is sent: another id, other names, hashes, identifiers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from audience_sync.config.sections.base import USER_ID, DestinationOptions
from audience_sync.delivery.state.cursors import SentForm, Subscription
from audience_sync.destinations.base import Destination
from audience_sync.destinations.messages.identify import json_text, object_json, split_traits
from audience_sync.errors import UnsendableError
from audience_sync.model import NO_RUN, AudienceEvent, IdentifyCall, RunId, UserId
from audience_sync.workspace import quote_literal

#: A value that is a SHA-256 already.
_HASHED = re.compile(r"[0-9a-fA-F]{64}")
#: Traits whose values are phone numbers, for the normalisation before a hash.
PHONES = frozenset({"phone", "phone_number", "mobile", "mobile_phone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationMapping:
    """What one destination is sent of a call.

    ``user_id``: the trait by which it knows users; None is the user id. ``identifiers``: the traits whose current
    values travel with every call, as properties unless ``places_identifiers``: then the destination's own code has
    them. ``rename``: names at the destination. ``hashed``: traits that are sent as SHA-256. ``replaced``: by key, the
    name that a property had before, and the JSON text that ends its value there.
    """

    user_id: str | None = None
    identifiers: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    hashed: frozenset[str] = frozenset()
    skips_null: bool = False
    places_identifiers: bool = False
    replaced: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def current_traits(self) -> tuple[str, ...]:
        """The traits whose current values a call needs."""
        own = () if self.user_id is None else (self.user_id,)
        return tuple(dict.fromkeys((*own, *self.identifiers)))

    @property
    def changes_calls(self) -> bool:
        return bool(self.current_traits or self.rename or self.hashed or self.skips_null or self.replaced)

    def apply(self, call: IdentifyCall) -> IdentifyCall:
        """Return the call for the destination. Raises UnsendableError for a user without the id that it needs."""
        if not self.changes_calls:
            return call
        current = dict(split_traits(call.identifiers))
        changed = dict(split_traits(call.traits_json))
        current.update({key: value for key, value in changed.items() if key in current or key in self.current_traits})
        sent = {key: value for key, value in changed.items() if not (self.skips_null and value == "null")}
        identifiers = {key: current[key] for key in self.identifiers if current.get(key, "null") != "null"}
        if not self.places_identifiers:
            sent = {**{key: value for key, value in identifiers.items() if key not in changed}, **sent}
        placed = object_json(self._pairs(identifiers))
        return call._replace(
            user_id=UserId(self._user_id(call.user_id, current)),
            traits_json=object_json([*self._pairs(sent), *self._ended(sent)]),
            identifiers=placed,
            events=tuple(self._event(each, placed) for each in call.events),
        )

    def own_key(self, name: str) -> str | None:
        """Return our key for a name at the destination; None for a former name, which only ends there."""
        own = {new: key for key, new in self.rename.items()}
        former = {name for name, _ in self.replaced.values()}
        return own.get(name, None if name in former else name)

    def with_own_keys(self, error: UnsendableError) -> UnsendableError:
        """Return an error of a destination with our keys for its names."""
        own = {name: key for key, name in self.rename.items()}
        return type(error)(str(error), {own.get(name, name): why for name, why in error.properties.items()})

    def columns_sql(self) -> dict[str, str]:
        """Return the columns of a call for the destination, in SQL. NULL where only ``apply`` can write it."""
        columns: dict[str, str] = {}
        if self.user_id is not None:
            columns["user_id"] = f"json_extract_string(identifiers, {quote_literal(_pointer(self.user_id))})"
        if self.replaced:  # in the first delivery after a rename
            return {**columns, "traits": "cast(null as varchar)"}
        if not (self.rename or self.hashed or self.skips_null or self.identifiers):
            return columns
        conditions = ["not contains(identifiers, '\\')"] if self.identifiers else []
        conditions += [f"not contains(traits, '{each}')" for each in ("\\", ':":', ',":', '{":', '": ')]
        conditions += [f"not contains(traits, '\"{key}\":')" for key in sorted(self.hashed)]
        conditions += ["not contains(traits[2:], '{')"] if self.rename else []
        conditions += ["not contains(traits, '\":null')"] if self.skips_null else []
        traits = "traits"
        if self.identifiers and not self.places_identifiers:
            if self.hashed.isdisjoint(self.identifiers):
                pairs = ", ".join(self._identifier_sql(key) for key in self.identifiers)
                traits = f"concat('{{', concat_ws(',', {pairs}, nullif(traits[2:-2], '')), '}}')"
            else:
                conditions.append("false")
        for key, name in self.rename.items():
            old, new = quote_literal(f"{json_text(key)}:"), quote_literal(f"{json_text(name)}:")
            traits = f"replace({traits}, {old}, {new})"
        columns["traits"] = f"case when {' and '.join(conditions)} then {traits} end"
        return columns

    def _identifier_sql(self, key: str) -> str:
        """Return the pair of an identifier that the call does not carry; NULL if it does, or if there is no value."""
        name = quote_literal(f"{json_text(key)}:")
        value = f"json_extract(identifiers, {quote_literal(_pointer(key))})"
        return f"case when not contains(traits, {name}) then {name} || nullif(cast({value} as varchar), 'null') end"

    def _user_id(self, own: str, current: Mapping[str, str]) -> str:
        if self.user_id is None:
            return own
        value = json.loads(current.get(self.user_id, "null"))
        if value is None or value == "":
            raise UnsendableError(f"the user has no {self.user_id}, by which this destination knows users")
        return value if isinstance(value, str) else json.dumps(value)

    def _pairs(self, values: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        for key, value in values.items():
            yield self.rename.get(key, key), _hash(key, value) if key in self.hashed else value

    def _ended(self, sent: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        """Yield the former names of the properties, unless another property has that name now."""
        names = {self.rename.get(key, key) for key in sent}
        return (self.replaced[key] for key in sent if key in self.replaced and self.replaced[key][0] not in names)

    def _event(self, event: AudienceEvent, identifiers: str) -> AudienceEvent:
        return event._replace(key=self.rename.get(event.key, event.key), identifiers=identifiers)


def sent_form(options: DestinationOptions, key: str) -> SentForm:
    """Return how a destination is sent a property now."""
    return SentForm(
        name=options.rename.get(key),
        hashed=key in options.hash,
        user_id=None if options.known_by == USER_ID else options.known_by,
    )


def mapping_of(
    destination: Destination, subscriptions: Iterable[Subscription] = (), position: RunId = NO_RUN
) -> DestinationMapping:
    """Return the mapping of a destination's options.

    ``subscriptions`` have the names that properties had before; they end in the delivery that passes ``position``.
    """
    options = destination.options
    audiences = destination.about.audience_keys
    replaced = {
        each.key: (each.form.replaces, "false" if each.key in audiences else "null")
        for each in subscriptions
        if each.form.replaces and position < each.since_run
    }
    return DestinationMapping(
        user_id=None if options.known_by == USER_ID else options.known_by,
        identifiers=tuple(options.identifiers or ()),
        rename=options.rename,
        hashed=frozenset(options.hash),
        skips_null=options.on_null == "skip",
        places_identifiers=destination.places_identifiers,
        replaced=replaced,
    )


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _hash(key: str, value: str) -> str:
    """Return the JSON text of the SHA-256 of a value. A missing value stays null, and a hash is not hashed again."""
    text = json.loads(value)
    if text is None or text == "":
        return "null"
    text = text if isinstance(text, str) else json.dumps(text)
    if _HASHED.fullmatch(text.strip()):
        return f'"{text.strip().lower()}"'
    normalise: Callable[[str, str], str] = _phone if key in PHONES else _plain
    return f'"{sha256(normalise(key, text).encode()).hexdigest()}"'


def _plain(key: str, text: str) -> str:
    del key
    return text.strip().lower()


def _phone(key: str, text: str) -> str:
    """Return a number in E.164. Raises UnsendableError for a text that is not an international number."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise UnsendableError(
            f"'{key}' is not an international phone number (+49 30 ...), so that it can't be hashed",
            {key: f"'{key}' is not an international phone number (+49 30 ...), so that it can't be hashed"},
        ) from None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
