"""Replace user ids by pseudonyms: for pages that are shown to others."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from audience_sync.errors import mask_values

_EMAIL = re.compile(r"[^\s:=,;()<>'\"]+@[^\s:=,;()<>'\"]+")


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
        return mask_values(_EMAIL.sub("...", text))
