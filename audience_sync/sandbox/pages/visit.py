"""Define what a page gets (the open file, the address) and what it gives (a template and its values)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audience_sync.sandbox.answers import Plan
from audience_sync.sandbox.state.read import Reader
from audience_sync.web.errors import WrongQueryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request for a page. ``now``: seconds since 1970. ``base``: the sandbox's address, without a slash at its end.

    ``keep``: how many calls are kept in full. ``plans``: the planned answers, by destination.
    """

    reader: Reader
    now: float
    base: str
    query: Mapping[str, str] = field(default_factory=dict)
    keep: int = 0
    plans: Mapping[str, Plan] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.query.get(name, "")

    def number(self, name: str) -> int | None:
        """A whole number of the address; None without one. Raises WrongQueryError."""
        text = self.text(name).strip()
        if not text:
            return None
        if not re.fullmatch(r"\d{1,15}", text, re.ASCII):
            raise WrongQueryError(f"“{text[:40]}” is not valid for `{name}`: a whole number is.")
        return int(text)


@dataclass(frozen=True, slots=True)
class Page:
    """A template with its values."""

    template: str
    context: Mapping[str, Any]
    status: int = 200
