"""What do `${NAME}` and `${file:/path}` stand for? Values from the environment and from files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audience_sync.config.findings import Finding, Place, Tree, children

_REFERENCE = re.compile(
    r"(?P<escaped>\$\$\{)"
    r"|\$\{file:(?P<file>[^}]+)\}"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
    r"|(?P<broken>\$\{)"
)
_BROKEN = "`${` begins a variable, `${NAME}`, `${NAME:-default}` or `${file:/path}`; a plain `${` is written `$${`"


#: A secret in a file is no longer.
MOST_CHARACTERS = 100_000


@dataclass
class Resolver:
    """Fills in variables; gathers what is missing, and the values that may be secrets.

    Paths of files are relative to ``folder``.
    """

    variables: Mapping[str, str]
    folder: Path
    findings: list[Finding] = field(default_factory=list)
    values: list[str] = field(default_factory=list, repr=False)

    def tree(self, tree: Tree) -> Tree:
        resolved: Tree = self._resolved(tree, ())
        return resolved

    def _resolved(self, value: Any, place: Place) -> Any:
        if isinstance(value, str):
            return _REFERENCE.sub(lambda match: self._replacement(match, place), value)
        parts = {part: self._resolved(inner, (*place, part)) for part, inner in children(value)}
        if isinstance(value, list):
            return list(parts.values())
        return parts if isinstance(value, dict) else value

    def _replacement(self, match: re.Match[str], place: Place) -> str:
        if match["escaped"]:
            return "${"
        try:
            return self._value(match)
        except LookupError as error:
            self.findings.append(Finding(place, str(error.args[0])))
            return match[0]

    def _value(self, match: re.Match[str]) -> str:
        if match["broken"]:
            raise LookupError(_BROKEN)
        if match["file"]:
            return self._noted(self._content(match["file"].strip()))
        if value := self.variables.get(match["name"]):
            return self._noted(value)
        if match["default"] is not None:
            return match["default"]
        raise LookupError(self._absent(match["name"]))

    def _content(self, name: str) -> str:
        try:
            with (self.folder / Path(name).expanduser()).open(encoding="utf-8-sig", newline="") as file:
                content = file.read(MOST_CHARACTERS + 1)
            if len(content) > MOST_CHARACTERS:
                raise LookupError(f"the file `{name}` has more than {MOST_CHARACTERS:,} characters: is this a secret?")
            return content.rstrip("\r\n")
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
            raise LookupError(f"the file `{name}` can't be read: {reason}") from None

    def _absent(self, name: str) -> str:
        state = "is empty" if name in self.variables else "is not set"
        return f"the environment variable `{name}` {state}: set it, or write `${{{name}:-default}}`"

    def _noted(self, value: str) -> str:
        self.values.append(value)
        return value
