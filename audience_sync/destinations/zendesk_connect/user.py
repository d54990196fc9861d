"""What does Zendesk Connect's user look like? Segment's traits become its profile and its attributes.

Segment's own mapping, as its integration ran, but for what a table of current values needs: a trait that
became null is told as null, and the device comes as the traits ``device_token`` and ``device_type``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal
from zoneinfo import available_timezones

AndroidToken = Literal["fcm", "gcm"]

#: Traits that are told in the profile, or not at all, instead of in the attributes (normalised).
PROFILE_TRAITS = ("firstname", "lastname", "userid", "phone", "email", "id", "devicetoken", "devicetype")
#: Zone names that mean nothing on another machine.
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
    """The body of an identify.

    ``email_from_id`` off keeps a user id that looks like an e-mail address from standing in for a missing
    one: where e-mail is a trait of its own, a call without it says only that it didn't change.
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
    """``First Name``, ``first_name`` and ``FIRSTNAME`` are one trait."""
    return "".join(letter for letter in key.casefold() if letter.isalnum())


def _first_spellings(traits: Mapping[str, Any]) -> dict[str, str]:
    """The spelling of each trait; of two spellings the first is the trait, the other stays an attribute."""
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
    """The first word and the rest; one word has no rest."""
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
    """Only a zone of the tz database is one for Connect; anything else stays among the attributes."""
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
    """The value with every ISO 8601 date in it, at any depth, as UTC with milliseconds."""
    if isinstance(value, str):
        return _iso_date(value)
    if isinstance(value, list):
        return [normalize_dates(part) for part in value]
    if isinstance(value, dict):
        return {key: normalize_dates(part) for key, part in value.items()}
    return value


def _iso_date(text: str) -> str:
    """Text that only looks like a date (30 February) stays as it is."""
    match = _ISO_8601.fullmatch(text)
    if match is None:
        return text
    try:
        moment = _utc_moment(match)
    except (ValueError, OverflowError):
        return text
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utc_moment(match: re.Match[str]) -> datetime:
    """Without a zone it is UTC; digits beyond the milliseconds are cut off."""
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, _, sign, zone_hours, zone_minutes = match.groups()[6:]
    milliseconds = int(((fraction or "") + "000")[:3])
    moment = datetime(year, month, day, hour, minute, second, milliseconds * 1000, tzinfo=UTC)
    offset = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
    return moment + offset if sign == "-" else moment - offset
