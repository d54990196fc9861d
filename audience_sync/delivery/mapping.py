"""Map a call to what one destination is sent: another id, other names, hashes, identifiers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.delivery.hashing import hash_value
from audience_sync.delivery.state.cursors import Subscription
from audience_sync.delivery.state.sent_form import SentForm, SentId
from audience_sync.destinations.base import Destination
from audience_sync.destinations.messages.identify import object_json, split_traits
from audience_sync.errors import NoIdentifierError, UnsendableError
from audience_sync.model import USER_ID, AudienceEvent, IdentifyCall, RunId, UserId

#: JSON texts of a value that a user lacks.
_MISSING = ("null", '""')


class DestinationMapping(Struct, frozen=True, kw_only=True):
    """What one destination is sent of a call.

    ``user_id``: the trait by which it knows users; None is the user id. ``hashes_id``: its hash is the id. ``id_kind``:
    see ``SentId``. ``identifiers``: the traits whose current values travel with every call, as properties unless
    ``places_identifiers``: then the destination's own code has them. ``rename``: names at the destination. ``hashed``:
    traits that are sent as SHA-256. ``audiences``: the keys whose former names end with ``false``; those of others end
    with ``null``. ``former``: names that end.
    """

    user_id: str | None = None
    hashes_id: bool = False
    id_kind: str = ""
    identifiers: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    hashed: frozenset[str] = frozenset()
    skips_null: bool = False
    places_identifiers: bool = False
    audiences: frozenset[str] = frozenset()
    former: frozenset[str] = frozenset()

    def name_of(self, key: str) -> str:
        """The name of a property at the destination."""
        return self.rename.get(key, key)

    @property
    def current_traits(self) -> tuple[str, ...]:
        """The traits whose current values a call needs."""
        own = () if self.user_id is None else (self.user_id,)
        return tuple(dict.fromkeys((*own, *self.identifiers)))

    @property
    def text(self) -> str:
        """The mapping for people, without what is as in the sources."""
        parts = [f"{key} as {name}" for key, name in sorted(self.rename.items())]
        parts += [f"{key} hashed" for key in sorted(self.hashed)]
        parts += [f"with {key}" for key in self.identifiers]
        parts += [f"users by {self.user_id}{', hashed' if self.hashes_id else ''}"] if self.user_id else []
        parts += ["without null"] if self.skips_null else []
        return ", ".join(parts) or "as in the sources"

    @property
    def changes_calls(self) -> bool:
        return bool(self.current_traits or self.rename or self.hashed or self.skips_null)

    def with_identifiers(self, call: IdentifyCall) -> IdentifyCall:
        """Return the call with the values of ``current_traits`` that it carries among its identifiers."""
        keys = self.current_traits
        if not any(f'"{key}":' in call.traits_json for key in keys):
            return call
        current = {**dict(split_traits(call.traits_json)), **dict(split_traits(call.identifiers))}  # or last values
        return call._replace(identifiers=object_json((key, current[key]) for key in keys if key in current))

    def apply(self, call: IdentifyCall) -> IdentifyCall:
        """Return the call for the destination.

        Raises NoIdentifierError for a user without the id or the identifiers that it needs, and UnsendableError for
        values that can't be hashed.
        """
        if not (self.changes_calls or call.former) or self._is_complete(call):
            return call
        current = dict(split_traits(call.identifiers))
        changed = dict(split_traits(call.traits_json))
        last = self.last_identifiers(call)
        own = {key: value for key, value in changed.items() if key not in last}
        current.update({key: value for key, value in own.items() if key in current or key in self.current_traits})
        user_id = UserId(self._user_id(call.user_id, current))
        sent = {key: value for key, value in own.items() if not (self.skips_null and value == "null")}
        identifiers = {key: current[key] for key in self.identifiers if current.get(key, "null") not in _MISSING}
        if self.identifiers and not identifiers:
            raise NoIdentifierError(self._missing_identifiers)
        if not self.places_identifiers:
            sent = {**{key: value for key, value in identifiers.items() if key not in own}, **sent}
        placed = object_json(self._pairs(identifiers))
        return call._replace(
            user_id=user_id,
            traits_json=object_json([*self._pairs(sent), *self._ended(call)]),
            identifiers=placed,
            events=tuple(self._event(each, placed) for each in call.events),
        )

    def _is_complete(self, call: IdentifyCall) -> bool:
        """Return whether a call only needs identifiers, for which the destination has a place, and has all of them."""
        is_placed = self.places_identifiers and not (self.user_id or self.rename or self.hashed or self.skips_null)
        return (
            is_placed
            and not (call.former or call.events)
            and len(call.identifiers) > len("{}")
            and not any(missing in text for text in (call.identifiers, call.traits_json) for missing in _MISSING)
        )

    @property
    def _missing_identifiers(self) -> str:
        """Why a user with none of the identifiers is refused."""
        first, *others = self.identifiers
        if not others:
            return f"the user has no {first}, which this destination's `identifiers` need"
        *middle, last = others
        named = f"neither {', '.join((first, *middle))} nor {last}"
        return f"the user has {named}, and this destination's `identifiers` need one of them"

    def last_identifiers(self, call: IdentifyCall) -> frozenset[str]:
        """Return the traits that the user has lost, and of which the call carries the last value.

        An exit has to reach those who know the user by it. ``apply`` leaves out the loss itself.
        """
        current = dict(split_traits(call.identifiers))
        changed = split_traits(call.traits_json)
        return frozenset(
            key for key, value in changed if value in _MISSING and current.get(key, "null") not in _MISSING
        )

    def own_key(self, name: str) -> str | None:
        """Return our key for a name at the destination; None for a former name, which only ends there."""
        own = {new: key for key, new in self.rename.items()}
        return own.get(name, None if name in self.former or name in self.rename else name)

    def with_own_keys(self, error: UnsendableError) -> UnsendableError:
        """Return an error of a destination with our keys for its names."""
        own = {name: key for key, name in self.rename.items()}
        return type(error)(str(error), {own.get(name, name): why for name, why in error.properties.items()})

    def _user_id(self, own: str, current: Mapping[str, str]) -> str:
        if self.user_id is None:
            return own
        text = current.get(self.user_id, "null")
        if self.hashes_id:
            text = hash_value(self.user_id, text)
        value = json.loads(text)
        if value is None or (isinstance(value, str) and not value.strip()):
            raise NoIdentifierError(f"the user has no {self.user_id}, by which this destination knows users")
        if isinstance(value, bool | list | dict):
            raise UnsendableError(f"{self.user_id} is neither a text nor a number, so that it can't be the user's id")
        return value if isinstance(value, str) else text

    def _pairs(self, values: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        for key, value in values.items():
            yield self.name_of(key), hash_value(key, value) if key in self.hashed else value

    def _ended(self, call: IdentifyCall) -> Iterable[tuple[str, str]]:
        return ((name, "false" if key in self.audiences else "null") for key, name in call.former)

    def _event(self, event: AudienceEvent, identifiers: str) -> AudienceEvent:
        return event._replace(key=self.name_of(event.key), identifiers=identifiers)


def sent_form(options: DestinationOptions, key: str, run: RunId, *, is_trait: bool) -> SentForm:
    """Return how a destination is sent a property from a run on."""
    return SentForm(
        name=options.rename.get(key),
        hashed=key in options.hash,
        user_id=_wanted_id(options).trait,
        hashed_id=_wanted_id(options).hashed,
        id_kind=options.id_kind,
        skips_null_since=run if is_trait and options.on_null == "skip" else None,
        identifiers=tuple(options.identifiers or ()),
    )


def mapping_of(destination: Destination, subscriptions: Iterable[Subscription] = ()) -> DestinationMapping:
    """Return the mapping of a destination's options.

    ``subscriptions``: those of the destination. A property keeps its name, and all of them their id, until a run has
    accepted another one: while it is held, or its audience is frozen.
    """
    options = destination.options
    forms = {each.key: each.form for each in subscriptions if each.ended_run is None}
    names = {key: form.name for key, form in forms.items()}
    rename = {key: name for key, name in {**options.rename, **names}.items() if name is not None}
    sent_id = known_by(options, forms.values())
    return DestinationMapping(
        user_id=sent_id.trait,
        hashes_id=sent_id.hashed,
        id_kind=sent_id.kind,
        identifiers=tuple(options.identifiers or ()),
        rename=rename,
        hashed=frozenset(options.hash),
        skips_null=options.on_null == "skip",
        places_identifiers=destination.places_identifiers,
        audiences=destination.about.audience_keys,
        former=frozenset(name for form in forms.values() for name in form.former),
    )


def known_by(options: DestinationOptions, forms: Iterable[SentForm]) -> SentId:
    """Return the id by which a destination knows users: that of ``options`` if a form has it, or else the former."""
    wanted, found = _wanted_id(options), [form.sent_id for form in forms]
    return wanted if wanted in found or not found else found[0]


def _wanted_id(options: DestinationOptions) -> SentId:
    trait = options.known_by
    if trait == USER_ID:
        return SentId(kind=options.id_kind)
    return SentId(trait, trait in options.hash, options.id_kind)
