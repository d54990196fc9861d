"""Explain one user: audiences, computed traits, and what each destination was sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from audience_sync.history.explain.explain import Explanation
from audience_sync.project.access import Access
from audience_sync.project.history import plain_json
from audience_sync.project.records import Records


class UserAudience(Struct, frozen=True, kw_only=True):
    """An audience that the user is or was in. ``since``: the start of ``run``, with which this began.

    ``is_member``: None if the store no longer has it. ``loaded_from``: where the snapshot is from.
    """

    key: str
    name: str
    is_member: bool | None
    since: datetime
    run: int
    loaded_from: str | None


class UserTrait(Struct, frozen=True, kw_only=True):
    """A computed trait that the user has or had. ``value``: a value of JSON. ``since``: the start of ``run``."""

    key: str
    name: str
    value: Any
    since: datetime
    run: int
    loaded_from: str | None


class UserProperty(Struct, frozen=True, kw_only=True):
    """What a destination was sent of one property. ``state``: such as ``sent`` or ``pending``.

    ``value``: the last one sent, by ``run``, with the answer's HTTP status; None before the first.
    """

    destination: str
    key: str
    state: str
    value: Any = None
    run: int | None = None
    sent_at: datetime | None = None
    http_status: int | None = None


class UserExplanation(Struct, frozen=True, kw_only=True):
    """What the store has of one user at a time. ``found`` has the values behind the properties."""

    found: Explanation
    document: dict[str, Any]

    def __repr__(self) -> str:
        return f"<UserExplanation of {self.user_id!r}: {len(self.audiences)} audiences, {len(self.traits)} traits>"

    @property
    def user_id(self) -> str:
        return self.found.user_id

    @property
    def at(self) -> datetime | None:
        """The time of the answer; None for now."""
        at: datetime | None = self.document["at"]
        return at

    @property
    def is_known(self) -> bool:
        """Whether the store has anything of the user."""
        return self.found.is_known

    @property
    def is_suppressed(self) -> bool:
        return self.found.is_suppressed

    @property
    def audiences(self) -> Records[UserAudience]:
        return Records(
            UserAudience,
            [UserAudience(is_member=each["value"], **_common(each)) for each in self.document["audiences"]],
        )

    @property
    def traits(self) -> Records[UserTrait]:
        return Records(
            UserTrait, [UserTrait(value=each["value"], **_common(each)) for each in self.document["computed_traits"]]
        )

    @property
    def sent(self) -> Records[UserProperty]:
        """What each destination was sent, and what is pending there."""
        return Records(
            UserProperty,
            [_property(each["name"], line) for each in self.document["destinations"] for line in each["properties"]],
        )

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync explain --json``."""
        return plain_json(self.document)


def _common(each: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": each["key"],
        "name": each["name"],
        "since": each["since"],
        "run": each["run"],
        "loaded_from": each["snapshot"]["loaded_from"],
    }


def _property(destination: str, line: dict[str, Any]) -> UserProperty:
    sent = line["sent"] or {}
    return UserProperty(
        destination=destination,
        key=line["key"],
        state=line["state"],
        value=sent.get("value"),
        run=sent.get("run"),
        sent_at=sent.get("at"),
        http_status=sent.get("http_status"),
    )


def explain(access: Access, user: str, at: datetime | None) -> UserExplanation:
    """Explain a user now, or at a time. Raises HistoryPrunedError for a time whose changes were deleted."""
    from audience_sync.destinations.registry import destination_types
    from audience_sync.history.explain.as_json import explanation_json
    from audience_sync.history.explain.explain import explain as explained
    from audience_sync.model import UserId
    from audience_sync.store.maintenance.open_to_read import open_store_to_read

    settings = access.store_settings()
    companions = destination_types().each(lambda kind: kind.companions)
    with open_store_to_read(settings.store) as store:
        found = explained(store, UserId(user), at=at, memory_limit=settings.memory_limit, companions=companions)
    return UserExplanation(found=found, document={**explanation_json(found), "at": at})
