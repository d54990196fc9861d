"""Resolve `${NAME}`, `${NAME:-default}` and `${file:/path}`, nested to any depth, to values.

A variable that the environment lacks is looked up in the file `.env` in the config's folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig, children

BROKEN = "`${` begins a variable, `${NAME}`, `${NAME:-default}` or `${file:/path}`; a plain `${` is written `$${`"
#: The file next to the config with variables that the environment lacks.
ENV_FILE = ".env"
#: Levels of references within references: more are a mistake, or an attack on Python's stack.
MAX_NESTING = 50
_TOKEN = re.compile(r"\$\$\{|\$\{|\}")
_HEAD = re.compile(r"\$\{(?:(?P<file>file:)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-)?)")
#: Maximum length of a secret in a file.
MAX_CHARACTERS = 100_000


@dataclass(kw_only=True)
class Resolver:
    """Resolves references; collects problems, the values (which may be secrets), and the files that were read.

    Paths of files are relative to ``folder``, the config's. ``reads_pipes``: false if the references are resolved
    again later, and a pipe would then be empty; it is a problem.
    """

    variables: Mapping[str, str]
    folder: Path
    reads_pipes: bool = True
    problems: list[ConfigProblem] = field(default_factory=list)
    values: list[str] = field(default_factory=list, repr=False)
    files: list[str] = field(default_factory=list)
    _env_file: Mapping[str, str] | None = field(default=None, init=False, repr=False)

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
        if value := self._variable(part.name):
            return self._note(value)
        if part.default is None:
            raise LookupError(self._missing(part.name))
        return self._join(part.default)

    def _variable(self, name: str) -> str | None:
        """The variable of the environment, or else of the file `.env`. Raises LookupError if that can't be read."""
        return self.variables[name] if name in self.variables else self._in_env_file().get(name)

    def _in_env_file(self) -> Mapping[str, str]:
        if self._env_file is None:
            path = self.folder / ENV_FILE
            exists = path.exists() and not path.is_dir() if self.reads_pipes else path.is_file()
            self._env_file = self._read_env_file(path) if exists else {}
        return self._env_file

    def _read_env_file(self, path: Path) -> Mapping[str, str]:
        from audience_sync.config.read.env_file import EnvFileError, read_env_file

        try:
            found = read_env_file(path)
        except EnvFileError as error:
            raise LookupError(f"the file `{ENV_FILE}` can't be used: {error}") from None
        self.files.append(str(path))
        return found

    def _missing(self, name: str) -> str:
        remedy = f"set it, or write `${{{name}:-default}}`"
        if name in self.variables:
            return f"the environment variable `{name}` is empty: {remedy}"
        if name in self._in_env_file():
            return f"the variable `{name}` is empty in `{ENV_FILE}`: {remedy}"
        return f"the variable `{name}` is not set, neither in the environment nor in `{ENV_FILE}`: {remedy}"

    def _join(self, text: ParsedText) -> str:
        return "".join(self._value(part) for part in text)

    def _content(self, name: str) -> str:
        try:
            path = self.folder / Path(name).expanduser()
            if not self.reads_pipes and not path.is_file():
                raise LookupError(f"the file `{name}` is not a regular file")
            with path.open(encoding="utf-8-sig", newline="") as file:
                content = file.read(MAX_CHARACTERS + 1)
            self.files.append(str(path))
            if len(content) > MAX_CHARACTERS:
                raise LookupError(f"the file `{name}` has more than {MAX_CHARACTERS:,} characters: is this a secret?")
            return content.rstrip("\r\n")
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
            raise LookupError(f"the file `{name}` can't be read: {reason}") from None

    def _note(self, value: str) -> str:
        self.values.append(value)
        return value


class BrokenReferenceError(ValueError):
    """A `${` that does not begin a valid reference, is not closed, or is nested too deeply."""


@dataclass(frozen=True, slots=True)
class Variable:
    """``default`` is None if the reference has no default."""

    name: str
    default: ParsedText | None


@dataclass(frozen=True, slots=True)
class FileContent:
    path: ParsedText


#: Literal texts and references, in order.
ParsedText = tuple[str | Variable | FileContent, ...]


def parse(text: str) -> ParsedText:
    """The literal texts and references of a text. Raises BrokenReferenceError."""
    parts, end = _parse_text(text, 0, 0)
    assert end == len(text)
    return parts


def _parse_text(text: str, start: int, depth: int) -> tuple[ParsedText, int]:
    """The parts up to the closing brace of a reference (``depth`` > 0) or up to the end, and its position."""
    if depth > MAX_NESTING:
        raise BrokenReferenceError(f"variables are nested deeper than {MAX_NESTING} times: write fewer")
    parts, escaped = list[str | Variable | FileContent](), 0
    while token := _TOKEN.search(text, start):
        parts.append(text[start : token.start()])
        start = token.end()
        if token[0] == "${":
            reference, start = _parse_reference(text, token.start(), depth)
            parts.append(reference)
        elif token[0] == "$${":
            parts.append("${")
            escaped += depth > 0  # `${A:-$${B}}`: the first brace belongs to the escaped one
        elif depth and not escaped:
            return tuple(filter(None, parts)), token.start()
        else:
            parts.append("}")
            escaped -= escaped > 0
    if depth:
        raise BrokenReferenceError(BROKEN)
    return tuple(filter(None, [*parts, text[start:]])), len(text)


def _parse_reference(text: str, start: int, depth: int) -> tuple[Variable | FileContent, int]:
    """The reference at this position, and the position after it."""
    head = _HEAD.match(text, start)
    if head is None:
        raise BrokenReferenceError(BROKEN)
    if head["name"] and not head["default"]:
        if text[head.end() : head.end() + 1] != "}":
            raise BrokenReferenceError(BROKEN)
        return Variable(head["name"], None), head.end() + 1
    inner, end = _parse_text(text, head.end(), depth + 1)
    if head["name"]:
        return Variable(head["name"], inner), end + 1
    if not inner:
        raise BrokenReferenceError(BROKEN)
    return FileContent(inner), end + 1
