"""Map traits to the profile and the attributes of a Zendesk Connect user.

The mapping is that of Segment's integration, with two differences: a trait that became null is sent as null, and the
device comes from the traits ``device_token`` and ``device_type``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal
from zoneinfo import available_timezones

from audience_sync.text import iso_time

AndroidToken = Literal["fcm", "gcm"]

#: Traits (normalised) that go to the profile or nowhere, and not to the attributes.
PROFILE_TRAITS = ("firstname", "lastname", "userid", "phone", "email", "id", "devicetoken", "devicetype")
#: Zone names that have a meaning on this machine only.
LOCAL_ZONES = frozenset({"Factory", "localtime"})

_EMAIL = re.compile(r".+@.+\..+")
_ISO_8601 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[ T](\d{2}):?(\d{2})(?::?(\d{2})(?:[,.](\d+))?)?"
    r"(?:(Z)|([+-])(\d{2})(?::?(\d{2}))?)?)?",
    re.ASCII,
)


def connect_user(
    user_id: str, traits: Mapping[str, Any], *, android_token: AndroidToken, email_from_id: bool = True
) -> dict[str, Any]:
    """Return the body of an identify.

    ``email_from_id``: use a user id that looks like an e-mail address as the e-mail. It must be off if e-mail is a
    trait: then a call without it means that it did not change.
    """
    named = _first_spellings(traits)
    values = {name: traits[key] for name, key in named.items()}
    profile = (
        _email(values, user_id if email_from_id else "")
        | _phone(values)
        | _names(values)
        | _timezone(values)
        | _devices(values, android_token)
    )
    lifted = {named[name] for name in (*PROFILE_TRAITS, *profile) if name in named}
    attributes = {key: normalize_dates(value) for key, value in traits.items() if key not in lifted}
    return {"user_id": user_id, **profile, "attributes": attributes}


def normalize_key(key: str) -> str:
    """Normalise a key: ``First Name``, ``first_name`` and ``FIRSTNAME`` are the same trait."""
    return "".join(letter for letter in key.casefold() if letter.isalnum())


def _first_spellings(traits: Mapping[str, Any]) -> dict[str, str]:
    """Return the first spelling of each trait. A second spelling stays an attribute."""
    named: dict[str, str] = {}
    for key in traits:
        named.setdefault(normalize_key(key), key)
    return named


def _email(values: Mapping[str, Any], user_id: str) -> dict[str, Any]:
    if email := values.get("email"):
        return {"email": email}
    if _EMAIL.search(user_id):
        return {"email": user_id}
    return _cleared_field(values, "email", "email")


def _phone(values: Mapping[str, Any]) -> dict[str, Any]:
    if phone := values.get("phone"):
        return {"phone_number": phone}
    phones = values.get("phones")
    if isinstance(phones, list) and phones:
        return {"phone_number": phones[0]}
    return _cleared_field(values, "phone", "phone_number")


def _names(values: Mapping[str, Any]) -> dict[str, Any]:
    first, last = _name_parts(values.get("name"))
    return _name_field(values, "firstname", "first_name", first) | _name_field(values, "lastname", "last_name", last)


def _name_parts(name: Any) -> tuple[str | None, str | None]:
    """Split a name into the first word and the rest; a single word has no rest."""
    if not isinstance(name, str):
        return None, None
    first, space, rest = name.strip().partition(" ")
    return first, rest.strip() if space else None


def _name_field(values: Mapping[str, Any], trait: str, field: str, of_full_name: str | None) -> dict[str, Any]:
    own = values.get(trait)
    if isinstance(own, str):
        return {field: own.strip()}
    if of_full_name is not None:
        return {field: of_full_name}
    return _cleared_field(values, trait, field) or _cleared_field(values, "name", field)


def _cleared_field(values: Mapping[str, Any], trait: str, field: str) -> dict[str, Any]:
    return {field: None} if trait in values and values[trait] is None else {}


def _timezone(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the time zone if it is in the tz database; other values stay attributes."""
    zone = values.get("timezone")
    if isinstance(zone, str) and zone in _zones():
        return {"timezone": zone}
    return _cleared_field(values, "timezone", "timezone")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - LOCAL_ZONES


def _devices(values: Mapping[str, Any], android_token: AndroidToken) -> dict[str, Any]:
    token, system = values.get("devicetoken"), str(values.get("devicetype")).casefold()
    if not isinstance(token, str) or not token:
        return {}
    if "ios" in system:
        return {"apns": [token]}
    return {android_token: [token]} if "android" in system else {}


def normalize_dates(value: Any) -> Any:
    """Write every ISO 8601 date in a value, at any depth, in UTC with milliseconds."""
    if isinstance(value, str):
        return _iso_date(value)
    if isinstance(value, list):
        return [normalize_dates(part) for part in value]
    if isinstance(value, dict):
        return {key: normalize_dates(part) for key, part in value.items()}
    return value


def _iso_date(text: str) -> str:
    """Write a date in UTC. Text that only looks like a date (30 February) stays unchanged."""
    match = _ISO_8601.fullmatch(text)
    if match is None:
        return text
    try:
        moment = _utc_moment(match)
    except (ValueError, OverflowError):
        return text
    return iso_time(moment)


def _utc_moment(match: re.Match[str]) -> datetime:
    """Return the time in UTC, which is assumed without a zone. Digits after the milliseconds are cut off."""
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, _, sign, zone_hours, zone_minutes = match.groups()[6:]
    milliseconds = int(((fraction or "") + "000")[:3])
    moment = datetime(year, month, day, hour, minute, second, milliseconds * 1000, tzinfo=UTC)
    offset = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
    return moment + offset if sign == "-" else moment - offset
