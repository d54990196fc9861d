"""What do `${NAME}` and `${file:/path}` stand for? Values from the environment and from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig, children
from audience_sync.config.read.references import BrokenReferenceError, FileContent, Text, Variable, parse

#: A secret in a file is no longer.
MOST_CHARACTERS = 100_000


@dataclass
class Resolver:
    """Fills in variables; gathers what is missing, the values that may be secrets, and the files they are in.

    Paths of files are relative to ``folder``.
    """

    variables: Mapping[str, str]
    folder: Path
    findings: list[ConfigProblem] = field(default_factory=list)
    values: list[str] = field(default_factory=list, repr=False)
    files: list[str] = field(default_factory=list)

    def tree(self, tree: RawConfig) -> RawConfig:
        resolved: RawConfig = self._resolved(tree, ())
        return resolved

    def _resolved(self, value: Any, place: ConfigPath) -> Any:
        if isinstance(value, str):
            return self._filled_in(value, place)
        parts = {part: self._resolved(inner, (*place, part)) for part, inner in children(value)}
        if isinstance(value, list):
            return list(parts.values())
        return parts if isinstance(value, dict) else value

    def _filled_in(self, text: str, place: ConfigPath) -> str:
        """The text with what its references stand for; as written where one of them can't be resolved."""
        try:
            parts = parse(text)
        except BrokenReferenceError as error:
            self.findings.append(ConfigProblem(place, str(error)))
            return text
        found = [self._found(part, place) for part in parts]
        return text if None in found else "".join(filter(None, found))

    def _found(self, part: str | Variable | FileContent, place: ConfigPath) -> str | None:
        try:
            return self._value(part)
        except LookupError as error:
            self.findings.append(ConfigProblem(place, str(error.args[0])))
            return None

    def _value(self, part: str | Variable | FileContent) -> str:
        """Raises LookupError. A default that isn't used is not looked at: its variables may be missing."""
        match part:
            case str():
                return part
            case FileContent(path):
                return self._noted(self._content(self._joined(path).strip()))
        if value := self.variables.get(part.name):
            return self._noted(value)
        if part.default is None:
            raise LookupError(self._absent(part.name))
        return self._joined(part.default)

    def _joined(self, text: Text) -> str:
        return "".join(self._value(part) for part in text)

    def _content(self, name: str) -> str:
        try:
            path = self.folder / Path(name).expanduser()
            with path.open(encoding="utf-8-sig", newline="") as file:
                content = file.read(MOST_CHARACTERS + 1)
            self.files.append(str(path))
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
