"""Check properties against a service's limits, and divide those of one user between items."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence

from audience_sync.destinations.json_api.values import plain_object_sql
from audience_sync.destinations.messages.split import MessageLimits
from audience_sync.errors import UnsendableError
from audience_sync.sql import quote_literal

Pair = tuple[str, str]


class ItemLimits(MessageLimits, frozen=True, kw_only=True):
    """A service's limits of one item, which is a message: the user id, names, and values, too.

    ``no_users``: user ids (in lower case) that mean no user there. ``name_pattern``: the form of a name, if it has
    one. ``text_characters`` and ``text_bytes`` bound texts, in lists too, ``value_bytes`` every value.
    The names in ``reserved``, and those that begin with ``reserved_prefix``, belong to the service: no property may
    have one.
    """

    user_bytes: int = sys.maxsize
    user_characters: int = sys.maxsize
    no_users: frozenset[str] = frozenset()
    name_characters: int = sys.maxsize
    name_bytes: int = sys.maxsize
    text_characters: int = sys.maxsize
    text_bytes: int = sys.maxsize
    value_bytes: int = sys.maxsize
    list_items: int = sys.maxsize
    reserved: frozenset[str] = frozenset()
    reserved_prefix: str = ""
    name_pattern: str = ""

    @property
    def short(self) -> int:
        """The characters of a text that is surely within the limits of a value."""
        return min(self.text_characters, self.value_bytes // 4, self.text_bytes // 4, 2 * self.list_items)

    def check_user(self, user_id: str) -> None:
        """Raise UnsendableError for a user id that the service refuses or drops."""
        if not user_id:
            raise UnsendableError("the user id is empty")
        if len(user_id) > self.user_bytes // 4 and (size := len(user_id.encode("utf-8", "replace"))) > self.user_bytes:
            raise UnsendableError(f"the user id has {size:,} bytes and {self.service} takes {self.user_bytes:,}")
        if (size := len(user_id)) > self.user_characters:
            raise UnsendableError(
                f"the user id has {size:,} characters and {self.service} takes {self.user_characters:,}"
            )
        if self.no_users and user_id.lower() in self.no_users:
            raise UnsendableError(f"the user id '{user_id}' means no user at {self.service}")

    def check(self, properties: Sequence[Pair], names: Mapping[str, str], own: Callable[[str, str], str]) -> None:
        """Raise UnsendableError with every property that the service would refuse, cut or use for its own purpose.

        ``names``: those under which some properties are sent. ``own`` returns the problem that this service alone has
        with a value.
        """
        reasons = {
            key: f"'{key}' {why}"
            for key, value in properties
            if (why := self.name_problem(names.get(key, key)) or self._value_problem(value) or own(key, value))
        }
        if reasons:
            raise UnsendableError("; ".join(reasons.values()), reasons)

    def name_problem(self, name: str) -> str:
        """Return why no property can have this name, or nothing."""
        if name in self.reserved or (self.reserved_prefix and name.startswith(self.reserved_prefix)):
            return f"has a name that {self.service} uses itself: rename the property"
        if self.name_pattern and not re.fullmatch(self.name_pattern, name):
            return f"can't be a name at {self.service}, whose names match {self.name_pattern}: rename the property"
        if len(name) > self.name_characters:
            return f"has a name of {len(name):,} characters and {self.service} takes {self.name_characters:,}"
        if len(name) > self.name_bytes // 4 and (size := len(name.encode("utf-8", "replace"))) > self.name_bytes:
            return f"has a name of {size:,} bytes and {self.service} takes {self.name_bytes:,}"
        return ""

    def _value_problem(self, value: str) -> str:
        if len(value) <= self.short:
            return ""
        if value[0] == "[":
            return self._list_problem(value)
        text = json.loads(value) if value[0] == '"' else value
        if text is not value and len(text) > self.text_characters:
            return self._too_long(f"{len(text):,} characters", f"{self.text_characters:,} of a text")
        most = self.value_bytes if text is value else min(self.value_bytes, self.text_bytes)
        size = len(text.encode("utf-8", "replace"))
        return self._too_long(f"{size:,} bytes", f"{most:,} of a value") if size > most else ""

    def _list_problem(self, value: str) -> str:
        found = json.loads(value)
        if len(found) > self.list_items:
            return self._too_long(f"{len(found):,} items", f"{self.list_items:,} of a list")
        texts = [each for each in found if isinstance(each, str)]
        if (size := max(map(len, texts), default=0)) > self.text_characters:
            return self._too_long(f"a text of {size:,} characters", f"{self.text_characters:,} of a text")
        if (size := max((len(each.encode("utf-8", "replace")) for each in texts), default=0)) > self.text_bytes:
            return self._too_long(f"a text of {size:,} bytes", f"{self.text_bytes:,} of a text")
        size = len(value.encode("utf-8", "replace"))
        return self._too_long(f"{size:,} bytes", f"{self.value_bytes:,} of a value") if size > self.value_bytes else ""

    def _too_long(self, size: str, most: str) -> str:
        return f"has {size} and {self.service} takes {most}: shorten the value at its source"

    def sql_conditions(self, renamed: Mapping[str, str]) -> list[str]:
        """Return the conditions, in SQL, under which a call is surely within the limits but for reserved names.

        ``renamed``: the names of properties that have another name at the service.
        """
        user = "not contains(cast(to_json(user_id) as varchar), '\\')"
        found = ["user_id != ''", user, "not contains(traits, chr(10))"]
        if self.user_bytes < sys.maxsize:
            found.append(f"strlen(user_id) <= {self.user_bytes}")
        if self.user_characters < sys.maxsize:
            found.append(f"length(user_id) <= {self.user_characters}")
        if self.no_users:
            found.append(f"lower(user_id) not in ({', '.join(map(quote_literal, sorted(self.no_users)))})")
        if self.message_traits < sys.maxsize:
            commas = "length(traits) - length(replace(traits, ',', ''))"
            found.append(f"(strlen(traits) <= {self.message_traits} or {commas} < {self.message_traits})")
        in_ascii = min(self.text_characters, self.text_bytes, self.value_bytes)
        if self.short < sys.maxsize // 4:
            more = in_ascii // 4  # bytes than characters
            few_more = f"strlen(traits) - length(traits) <= {more} and {_no_run_sql(in_ascii - more, in_ascii - more)}"
            found.append(f"({_no_run_sql(self.short, self.short)} or ({few_more}))")
        short_name = min(self.name_characters, self.name_bytes // 4)
        if short_name < min(in_ascii, sys.maxsize // 4):
            found.append(_no_run_sql(min(self.name_characters, self.name_bytes), short_name, '":'))
        if self.value_bytes < sys.maxsize:  # a list may be long without a long text
            nested = "contains(traits, ':[') or contains(substr(traits, 2), '{')"
            found.append(f"(strlen(traits) <= {self.value_bytes} or not ({nested}))")
        if self.list_items < sys.maxsize:
            found.append(f"(strlen(traits) <= {self.list_items * 2} or not contains(traits, ':['))")
        if self.reserved_prefix:
            found.append(f"not contains(traits, {quote_literal(chr(34) + self.reserved_prefix)})")
        if self.name_pattern:
            names = "|".join([self.name_pattern, *map(re.escape, renamed)])
            rest = f"regexp_replace(traits, '\"({names})\":', '', 'g')"
            found += [*plain_object_sql("traits"), f"not contains({rest}, '\":')"]
        return found


def _no_run_sql(total: int, characters: int, end: str = "") -> str:
    """Return the condition, in SQL, that no text has so many characters and this end. ``total``: surely few bytes."""
    run = quote_literal(f'[^"]{{{min(characters, 999)}}}{end}')
    return f"(strlen(traits) <= {total} or not regexp_matches(traits, {run}))"
