"""How a destination is sent a property: its name and its hash there, and the id by which it knows the user."""

from __future__ import annotations

import json
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from audience_sync.model import RunId


class SentId(NamedTuple):
    """The trait by which a destination knows users, None for the user id; and whether its hash is the id there.

    ``kind``: what the id is at the service, if it is not what the destination's type means by default.
    """

    trait: str | None = None
    hashed: bool = False
    kind: str = ""


class SentForm(Struct, frozen=True, kw_only=True):
    """How a destination is sent a property: its name and its hash there, and the trait that is the id of a user.

    None is the key, no hash, and the user id. ``hashed_id``: the id is a hash, too. ``id_kind``: see ``SentId``.
    ``skips_null_since``: the run since which a lost value is not sent. ``former``: the names under which it was sent
    before, and which end in the delivery that the form began with. ``identifiers``: the traits of which each call needs
    one.
    """

    name: str | None = None
    hashed: bool = False
    user_id: str | None = None
    hashed_id: bool = False
    id_kind: str = ""
    skips_null_since: RunId | None = None
    former: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str | None) -> SentForm:
        if not text:
            return cls()
        fields = json.loads(text)
        names = {name: tuple(fields.get(name, ())) for name in ("former", "identifiers")}
        return cls(**{**fields, **names})

    @property
    def text(self) -> str | None:
        """The form for the store; None is the default."""
        own = {name: value for name, value in asdict(self).items() if value}
        return json.dumps(own, ensure_ascii=False) if own else None

    @property
    def sent_id(self) -> SentId:
        return SentId(self.user_id, self.hashed_id, self.id_kind)

    @property
    def skips_null(self) -> bool:
        return self.skips_null_since is not None

    def is_same(self, other: SentForm) -> bool:
        """Whether the values under the one are right under the other."""
        return self.has_same_values(other) and self.skips_null == other.skips_null

    def has_same_values(self, other: SentForm) -> bool:
        """The same, apart from lost values."""
        return (self.name, self.hashed, self.sent_id) == (other.name, other.hashed, other.sent_id)
