"""Derive property keys from names, and check keys that people set."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Code = Literal["empty", "non_latin", "too_long", "invalid"]

#: Segment's documented maximum, in characters.
MAX_LENGTH = 255

#: The traits that Segment's identify call defines, in its spelling.
STANDARD_TRAITS = (
    "address",
    "age",
    "avatar",
    "birthday",
    "company",
    "createdAt",
    "description",
    "email",
    "firstName",
    "gender",
    "id",
    "lastName",
    "name",
    "phone",
    "title",
    "username",
    "website",
)

#: Names of the protocol itself: no property may have one of them, in any spelling.
PROTOCOL_NAMES = ("id", "user_id", "anonymous_id", "audience_key", "trait_key")

#: Lower-case Latin letters that NFKD does not change.
_FOLDINGS = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i"}
_APOSTROPHES = "'\u2018\u2019\u02bc"
_INNER_APOSTROPHES = re.compile(rf"(?<=[A-Za-z])[{_APOSTROPHES}](?=[A-Za-z])")
_CASE_CHANGES = (
    re.compile(r"([A-Z]+)([A-Z][a-z])"),  # HTMLTidy
    re.compile(r"([a-z][0-9]*)([A-Z])"),  # orderCompleted, html5Video
    re.compile(r"([A-Za-z][0-9]+)([A-Z][a-z])"),  # Q4Buyers
)


class KeyRefusedError(ValueError):
    """A name or an explicit key that can't be used: ``code`` is the reason, the message has the remedy."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


def snake_key(name: str) -> str:
    """The snake_cased key of a name, by the rule in docs/configuration.md, "Keys".

    Raises KeyRefusedError if the rule would drop letters, so that two names could get one key, or if the key would be
    empty or too long.
    """
    words = _split_case(_INNER_APOSTROPHES.sub("", _fold_name(name)).strip())
    key = re.sub(r"[^A-Za-z0-9]+", "_", words).strip("_").lower()
    if not key:
        raise KeyRefusedError("empty", _underivable_message(name, "no letters or digits"))
    return _refuse_too_long(key)


def explicit_key(text: str) -> str:
    """A key that a person set, unchanged. Raises KeyRefusedError if it can't be used."""
    if not text:
        raise KeyRefusedError("empty", "the key is empty: use a-z, 0-9 and _")
    if not re.fullmatch(r"[a-z0-9_]+", text):
        raise KeyRefusedError("invalid", f"a key has only a-z, 0-9 and _{_suggestion(text)}")
    return _refuse_too_long(text)


def trait_key(name: str) -> str:
    """The key of a computed trait. Segment's standard traits keep its spelling (First Name: firstName)."""
    key = snake_key(name)
    return _STANDARD_SPELLINGS.get(key, key)


def explicit_trait_key(text: str) -> str:
    """A trait's key that a person set, unchanged: [a-z0-9_]+, or one of Segment's such as ``firstName``."""
    return text if text in STANDARD_TRAITS else explicit_key(text)


def normalise_key(key: str) -> str:
    """The key's letters and digits in lower case, by which destinations compare profile fields."""
    return re.sub(r"[^a-z0-9]", "", key.lower())


def reserved_reason(key: str, extra: frozenset[str] = frozenset()) -> str | None:
    """Why no audience may have this key, or None. ``extra``: the destinations' profile fields, normalised."""
    plain = normalise_key(key)
    if plain in _PROTOCOL:
        return _protocol_reason(key)
    if plain in _PROFILE or plain in extra:
        what = _PROFILE.get(plain, f"profile field `{key}`")
        effect = f"It would replace each user's {what} with true."
        return f"the key `{key}` is reserved. {effect} Set another key, for example: key: {key}_audience"
    return None


def reserved_trait_reason(key: str) -> str | None:
    """Why no computed trait may have this key, or None; ``email`` and ``firstName`` may be sent."""
    return _protocol_reason(key) if normalise_key(key) in _PROTOCOL else None


def _fold_name(name: str) -> str:
    visible = "".join(c for c in name if unicodedata.category(c) != "Cf")
    bare = "".join(c for c in unicodedata.normalize("NFKD", visible) if unicodedata.category(c)[0] != "M")
    folded = "".join(_fold_letter(c, following) for c, following in zip(bare, f"{bare} "[1:], strict=True))
    if any(c.isalnum() and not c.isascii() and c not in _APOSTROPHES for c in folded):
        some = any(c.isalnum() and c.isascii() for c in folded)
        why = "some of its letters have no Latin spelling" if some else "no Latin letters"
        raise KeyRefusedError("non_latin", _underivable_message(name, why))
    return folded


def _underivable_message(name: str, why: str) -> str:
    return f"no key can be derived from {name!r} ({why}). Set `key:` (a-z, 0-9 and _)."


def _fold_letter(letter: str, following: str) -> str:
    folded = _FOLDINGS.get(letter.lower(), letter)
    if not letter.isupper():
        return folded
    return folded.capitalize() if following.islower() else folded.upper()


def _split_case(name: str) -> str:
    """Split a single token where its case changes. A name with separators is split only there."""
    if re.fullmatch(r"[A-Za-z0-9]+", name):
        for change in _CASE_CHANGES:
            name = change.sub(r"\1_\2", name)
    return name


def _refuse_too_long(key: str) -> str:
    if len(key) > MAX_LENGTH:
        raise KeyRefusedError(
            "too_long", f"the key has {len(key)} characters, {MAX_LENGTH} are allowed: give a shorter `key:`"
        )
    return key


def _suggestion(text: str) -> str:
    try:
        return f"; did you mean `{snake_key(text)}`?"
    except KeyRefusedError:
        return ""


def _protocol_reason(key: str) -> str:
    return (
        f"the key `{key}` is reserved. Destinations read it as the id of the user or of the audience. "
        f"Set another key, for example: key: my_{key}"
    )


_STANDARD_SPELLINGS = {spelling: trait for trait in STANDARD_TRAITS for spelling in (trait.lower(), snake_key(trait))}
_PROTOCOL = frozenset(normalise_key(name) for name in PROTOCOL_NAMES)
_TRAIT_NAMES = {
    "email": "e-mail address",
    "phone": "phone number",
    "createdat": "time of creation",
    "website": "website address",
    "username": "user name",
}
_PROFILE = {
    normalise_key(trait): _TRAIT_NAMES.get(normalise_key(trait), snake_key(trait).replace("_", " "))
    for trait in STANDARD_TRAITS
}
