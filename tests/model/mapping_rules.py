"""Let a person change the mapping of each destination: its traits, names, ids, hashes and identifiers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .harness import Harness
from .project_files import DESTINATIONS, TRAITS, TYPES
from .retire_rules import RetireRules

#: How a user's address may end.
ADDRESSES = ("a", "b")

#: All names that a property may ever have.
NAMES = {
    "vip": {"vip", "is_vip", "buyers"},
    "buyers": {"buyers", "bought", "vip"},
    "city": {"city", "town"},
    "email": {"email"},
}
renames = st.sampled_from(
    [
        {},
        {"vip": "is_vip"},
        {"vip": "is_vip", "city": "town"},
        {"vip": "buyers", "buyers": "vip"},
        {"vip": "buyers", "buyers": "bought"},
        {"buyers": "bought"},
    ]
)
mappings = st.fixed_dictionaries(
    {
        "rename": renames,
        "user_id": st.sampled_from(["user_id", "email"]),
        "identifiers": st.sampled_from([[], ["email"]]),
        "hash": st.sampled_from([[], ["city"], ["email"]]),
        "on_null": st.sampled_from(["send", "skip"]),
        "traits": st.sampled_from([["city", "email"], ["city"], ["email"], []]),
    }
)


@dataclass
class Mapped:
    """The mapping of one destination, and its former names.

    ``options``: those of the config. ``left_out``: traits whose own entry names other destinations. ``former``: by
    key, the names since the destination last knew users by another id.
    """

    options: dict[str, Any] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    former: dict[str, set[str]] = field(default_factory=dict)

    def name(self, key: str) -> str:
        return str(self.options.get("rename", {}).get(key, key))

    def knows_by_email(self) -> bool:
        return self.options.get("user_id") == "email"

    def gets(self, key: str) -> bool:
        return key not in TRAITS or (key in self.options.get("traits", TRAITS) and key not in self.left_out)

    def carries(self, key: str) -> bool:
        return self.gets(key) or key in self.options.get("identifiers", ())

    def value(self, key: str, value: Any) -> Any:
        if value is None or key not in self.options.get("hash", ()):
            return value
        return _hash(value)

    def change(self, options: dict[str, Any]) -> None:
        if _kind_of_id(self.options) != _kind_of_id(options):
            self.former = {}
        else:
            for key in NAMES:
                self.former.setdefault(key, set()).add(self.name(key))
        self.options = options

    def is_sent(self, key: str, value: Any) -> bool:
        return self.gets(key) and not (value is None and self.options.get("on_null") == "skip")

    def ended_names(self) -> set[str]:
        """Former names that no property has now."""
        former = {name for key, names in self.former.items() if self.gets(key) for name in names}
        return former - {self.name(key) for key in NAMES}

    def unwanted_names(self) -> set[str]:
        """The names of traits that the destination is not sent."""
        names = {name for key in TRAITS if not self.carries(key) for name in NAMES[key]}
        return names - {self.name(key) for key in NAMES if self.carries(key)}


class MappingRules(RetireRules):
    """``mapped``: by destination. A destination that knows users by e-mail has their address as id."""

    harness: Harness
    mapped: dict[str, Mapped]
    traits_for: dict[str, tuple[str, ...]]

    def address_of(self, user: str) -> str | None:
        """The user's e-mail address. A row under the current id wins over one under a previous id."""
        if user in self.new_ids:
            return None
        previous = [self.emails.get(old) for old, new in self.new_ids.items() if new == user]
        return self.emails.get(user, *previous)

    def id_at(self, destination: str, user: str) -> str | None:
        """The id of a user there; None for one without it, or without an identifier that the destination needs."""
        mapped, found = self.mapped[destination], self.address_of(user)
        if found is None and "email" in mapped.options.get("identifiers", ()):
            return None
        if not mapped.knows_by_email():
            return user
        return None if found is None else str(mapped.value("email", found))

    def ids_of(self, users: Iterable[str]) -> set[str]:
        """All ids that these users may have at a destination."""
        addresses = [address(user, end) for user in users for end in ADDRESSES]
        return {*users, *addresses, *map(_hash, addresses)}

    @precondition(lambda self: self.types == TYPES and not (self.frozen or self.new_ids))
    @rule(destination=st.sampled_from(DESTINATIONS), options=mappings)
    def a_mapping_changes(self, destination: str, options: dict[str, Any]) -> None:
        self.mapped[destination].change(options)
        self._configure()

    @precondition(lambda self: self.types == TYPES and not (self.frozen or self.new_ids))
    @rule(destination=st.sampled_from(DESTINATIONS), names=st.sampled_from([{"vip": "is_vip", "city": "town"}, {}]))
    def a_rename_is_refused(self, destination: str, names: dict[str, str]) -> None:
        """A user's call is refused, and is accepted later: with it the former name ends."""
        self.everything_is_sent()
        mapped, receiver = self.mapped[destination], self.harness.receivers.each[destination]
        mapped.change({**mapped.options, "rename": names})
        self._configure()
        receiver.refusing = self.ids_of(sorted(self.sent_members("vip"))[:2])
        self.run_and_approve("sync")
        receiver.heal()
        self.everything_is_sent()

    @precondition(lambda self: self.types == TYPES)
    @rule(
        destinations=st.dictionaries(
            st.sampled_from(TRAITS), st.sampled_from([(), ("first",), ("second",), DESTINATIONS])
        )
    )
    def traits_are_for_other_destinations(self, destinations: dict[str, tuple[str, ...]]) -> None:
        self.traits_for = destinations
        for name, mapped in self.mapped.items():
            mapped.left_out = {key for key, names in destinations.items() if name not in names}
        self._configure()

    def _configure(self) -> None:
        self.configure()
        for name, receiver in self.harness.receivers.each.items():
            receiver.unwanted = self.mapped[name].unwanted_names()
            receiver.belief.untimed = set() if self.mapped[name].gets("email") else {"email"}


def _hash(value: str) -> str:
    return sha256(value.lower().encode()).hexdigest()


def _kind_of_id(options: dict[str, Any]) -> tuple[str, bool]:
    by = options.get("user_id", "user_id")
    return by, by in options.get("hash", ())


def address(user: str, end: str) -> str:
    return f"{user}@{end}.example"
