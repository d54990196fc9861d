"""Check `priority_groups`: each audience exists, and is in one group, once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig, dotted
from audience_sync.config.validate.cross_checks import entries
from audience_sync.config.validate.pydantic_errors import as_list, as_mapping
from audience_sync.keys import KeyRefusedError, snake_key, trait_key
from audience_sync.text import unknown_name_message

NamesAndKeys = Iterable[tuple[str | None, str | None]]


def audience_positions(audiences: NamesAndKeys) -> dict[str, int]:
    """The index of the audience for each name and key; ``audiences`` are pairs of name and key.

    Keys win over names. An audience without a name (`names_from`) can't be referred to.
    """
    pairs = list(audiences)
    by_name = {name: index for index, (name, _) in enumerate(pairs) if name}
    return by_name | {key: index for index, (_, key) in enumerate(pairs) if key}


def find_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    audiences = list(audience_names(as_list(tree.get("audiences"))))
    positions, names = audience_positions(audiences), [name for name, _ in audiences if name]
    traits = set(_trait_names(tree))
    first: dict[int, ConfigPath] = {}
    for group, members in as_mapping(tree.get("priority_groups")).items():
        for index, text in enumerate(as_list(members)):
            path = ("priority_groups", str(group), index)
            if not isinstance(text, str):
                continue
            if text in positions:
                if positions[text] in first:
                    yield ConfigProblem(path, repeated_message(text, first[positions[text]]))
                first.setdefault(positions[text], path)
            elif text in traits:
                yield ConfigProblem(path, f"`{text}` is a computed trait: a group can only have audiences")
            elif not re.fullmatch(r"[a-z0-9_]+", text):  # else the store may have it as the key of a renamed audience
                yield ConfigProblem(path, unknown_audience_message(text, names))


def unknown_audience_message(text: str, names: Iterable[str]) -> str:
    """The message about an entry of a group that is not an audience."""
    return f"{unknown_name_message('audience', text, names)} (audiences of `names_from` can't be in a group)"


def repeated_message(text: str, first: ConfigPath) -> str:
    return f"`{text}` is already {dotted(first)}: an audience can be in one group only, and only once"


def audience_names(audiences: list[Any]) -> Iterator[tuple[str | None, str | None]]:
    for entry in audiences:
        given: Mapping[str, Any] = entry if isinstance(entry, Mapping) else {}
        name, key = (value if isinstance(value := given.get(part), str) else None for part in ("name", "key"))
        if key is None and name is not None:
            with suppress(KeyRefusedError):
                key = snake_key(name)
        yield name, key


def _trait_names(tree: RawConfig) -> Iterator[str]:
    """The columns, names and keys of all computed traits."""
    for _, entry in entries(tree, "computed_traits"):
        for trait in as_list(entry.get("traits")):
            given = trait if isinstance(trait, Mapping) else {"column": trait}
            for text in (given.get(part) for part in ("column", "name", "key")):
                if isinstance(text, str):
                    yield text
                    with suppress(KeyRefusedError):
                        yield trait_key(text)
