"""Read the YAML file as plain values, and report what YAML would silently ignore."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import yaml

from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig, config_error
from audience_sync.config.read.units import MAX_DIGITS, TOO_LONG
from audience_sync.errors import NoConfigError

_STR, _MERGE, _TIMESTAMP = (f"tag:yaml.org,2002:{name}" for name in ("str", "merge", "timestamp"))
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
#: Maximum size of a config, in the file and with its aliases expanded.
MAX_BYTES, MAX_PARTS = 5_000_000, 200_000
_MISSING = (
    "the file does not exist. Create an example project: audience-sync init my-project; or name it: --config FILE"
)


class _Loader(yaml.SafeLoader):
    """Safe YAML where ``2024-01-01`` stays text, as do the names in a mapping (``on:``, ``7:``)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: Path) -> tuple[RawConfig, list[ConfigProblem]]:
    """The file's values, and the problems with its names. Raises ConfigError if it can't be read."""
    try:
        with path.open("rb") as file:
            return parse(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        raise NoConfigError(config_error([ConfigProblem((str(path),), _MISSING)]).problems) from None
    except OSError as error:
        raise config_error([ConfigProblem((str(path),), f"it can't be read: {error.strerror}")]) from None


def parse(content: bytes) -> tuple[RawConfig, list[ConfigProblem]]:
    """The same as `read`, from the file's bytes."""
    if len(content) > MAX_BYTES:
        raise config_error([ConfigProblem((), f"it is larger than {MAX_BYTES:,} bytes: is this the config?")])
    try:
        loader = _Loader(content)
        root = loader.get_single_node()
        problems = list(_check_names(root, (), set(), count()))
        tree = loader.construct_document(root) if root else {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise config_error([ConfigProblem((), _syntax_message(error))]) from None
    if tree is not None and not isinstance(tree, dict):
        raise config_error([ConfigProblem((), "the config must be a mapping: `store: ...`, `sources: ...` and so on")])
    return tree or {}, problems


def _check_names(
    node: yaml.Node | None, path: ConfigPath, above: set[int], counted: Iterator[int]
) -> Iterator[ConfigProblem]:
    """Yield repeated names and texts that can't be stored. As a side effect, tag every name as text."""
    if next(counted) > MAX_PARTS:
        raise ValueError(f"with its aliases expanded it has more than {MAX_PARTS:,} parts")
    if id(node) in above:
        raise ValueError(f"{_line(node)}the alias contains itself")
    inner = above | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _check_names(item, (*path, index), inner, counted)
    elif isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
        node.tag = _STR  # Python would refuse to read it
        yield ConfigProblem(path, f"{_line(node)}{TOO_LONG}; where it is text, write it in quotes")
    elif isinstance(node, yaml.ScalarNode) and "\0" in node.value:
        yield ConfigProblem(path, "it contains a NUL character, which no store can keep: remove it")
    elif isinstance(node, yaml.MappingNode):
        yield from _repeated_names(node, path)
        for name, value in node.value:
            yield from _check_names(value, (*path, str(name.value)), inner, counted)


def _repeated_names(node: yaml.MappingNode, path: ConfigPath) -> Iterator[ConfigProblem]:
    first: dict[str, yaml.Node] = {}
    for name, _ in node.value:
        if not isinstance(name, yaml.ScalarNode):
            raise ValueError(f"{_line(name)}a name must be text")
        if name.tag != _MERGE:
            name.tag = _STR
        if name.value in first and name.tag != _MERGE:
            lines = f"lines {_line_number(first[name.value])} and {_line_number(name)}"
            yield ConfigProblem((*path, name.value), f"it appears twice, on {lines}: keep one")
        first.setdefault(name.value, name)


def _syntax_message(error: Exception) -> str:
    """Position and problem, without the line itself: it may contain a secret."""
    if isinstance(error, yaml.MarkedYAMLError):
        # {key: ${NAME}} is the mistake that this program's variables invite.
        hint = "; a variable in braces needs quotes" if str(error.problem).endswith("got '{'") else ""
        context = f" {error.context}" if error.context else ""
        return f"{_line(error)}this is not YAML: {error.problem}{context}{hint}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position + 1} can't be read ({error.reason}): save the file as UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)


def _line(at: yaml.Node | yaml.MarkedYAMLError | None) -> str:
    mark = getattr(at, "problem_mark", None) or getattr(at, "start_mark", None)
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _line_number(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
