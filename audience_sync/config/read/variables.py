"""Resolve `${NAME}` and `${file:/path}` to values from the environment and from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig, children
from audience_sync.config.read.references import BrokenReferenceError, FileContent, ParsedText, Variable, parse

#: Maximum length of a secret in a file.
MAX_CHARACTERS = 100_000


@dataclass(kw_only=True)
class Resolver:
    """Resolves references; collects problems, the values (which may be secrets), and the files that were read.

    Paths of files are relative to ``folder``.
    """

    variables: Mapping[str, str]
    folder: Path
    problems: list[ConfigProblem] = field(default_factory=list)
    values: list[str] = field(default_factory=list, repr=False)
    files: list[str] = field(default_factory=list)

    def resolve(self, tree: RawConfig) -> RawConfig:
        resolved: RawConfig = self._resolve_value(tree, ())
        return resolved

    def _resolve_value(self, value: Any, path: ConfigPath) -> Any:
        if isinstance(value, str):
            return self._resolve_text(value, path)
        parts = {part: self._resolve_value(inner, (*path, part)) for part, inner in children(value)}
        if isinstance(value, list):
            return list(parts.values())
        return parts if isinstance(value, dict) else value

    def _resolve_text(self, text: str, path: ConfigPath) -> str:
        """The text with its references resolved; unchanged if one of them can't be resolved."""
        try:
            parts = parse(text)
        except BrokenReferenceError as error:
            self.problems.append(ConfigProblem(path, str(error)))
            return text
        found = [self._value_or_problem(part, path) for part in parts]
        return text if None in found else "".join(filter(None, found))

    def _value_or_problem(self, part: str | Variable | FileContent, path: ConfigPath) -> str | None:
        try:
            return self._value(part)
        except LookupError as error:
            self.problems.append(ConfigProblem(path, str(error.args[0])))
            return None

    def _value(self, part: str | Variable | FileContent) -> str:
        """Raises LookupError. A default that isn't used is not resolved: its variables may be missing."""
        match part:
            case str():
                return part
            case FileContent(path):
                return self._note(self._content(self._join(path).strip()))
        if value := self.variables.get(part.name):
            return self._note(value)
        if part.default is None:
            raise LookupError(self._missing_message(part.name))
        return self._join(part.default)

    def _join(self, text: ParsedText) -> str:
        return "".join(self._value(part) for part in text)

    def _content(self, name: str) -> str:
        try:
            path = self.folder / Path(name).expanduser()
            with path.open(encoding="utf-8-sig", newline="") as file:
                content = file.read(MAX_CHARACTERS + 1)
            self.files.append(str(path))
            if len(content) > MAX_CHARACTERS:
                raise LookupError(f"the file `{name}` has more than {MAX_CHARACTERS:,} characters: is this a secret?")
            return content.rstrip("\r\n")
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
            raise LookupError(f"the file `{name}` can't be read: {reason}") from None

    def _missing_message(self, name: str) -> str:
        state = "is empty" if name in self.variables else "is not set"
        return f"the environment variable `{name}` {state}: set it, or write `${{{name}:-default}}`"

    def _note(self, value: str) -> str:
        self.values.append(value)
        return value
