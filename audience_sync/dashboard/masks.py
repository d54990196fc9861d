"""Replace user ids by pseudonyms: for pages that are shown to others."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any

from audience_sync.errors import mask_values

#: Columns of views with a user id.
ID_COLUMNS = frozenset({"user_id", "previous_id"})
#: Columns of views whose text may quote ids or other data about users.
TEXT_COLUMNS = frozenset(
    {"reason", "error", "answer", "last_error", "words", "value", "previous_value", "subject", "file"}
)


@dataclass(frozen=True, slots=True)
class IdMask:
    """Pseudonyms that can't be traced back: the key is random and is never stored.

    One user has one pseudonym as long as the program runs.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def id(self, user_id: str) -> str:
        """``user-3f9a1c07``."""
        digest = hmac.new(self.key, user_id.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"user-{digest.hexdigest()[:8]}"

    def text(self, text: str) -> str:
        """A text without what may be an id: quoted values, e-mail addresses, long numbers."""
        return mask_values(text)

    def value(self, column: str, value: Any) -> Any:
        """A value of a view's column."""
        if not isinstance(value, str):
            return value
        if column in ID_COLUMNS:
            return self.id(value)
        return self.text(value) if column in TEXT_COLUMNS else value
