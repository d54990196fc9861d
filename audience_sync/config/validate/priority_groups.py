"""Check `priority_groups`: each audience exists, and is in one group, once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    called = list(audiences)
    by_name = {name: index for index, (name, _) in enumerate(called) if name}
    return by_name | {key: index for index, (_, key) in enumerate(called) if key}


def find_problems(tree: RawConfig) -> Iterator[ConfigProblem]:
    called = list(_audience_names(as_list(tree.get("audiences"))))
    known, names, traits = audience_positions(called), [name for name, _ in called if name], set(_trait_names(tree))
    first: dict[int, ConfigPath] = {}
    for group, members in as_mapping(tree.get("priority_groups")).items():
        for index, text in enumerate(as_list(members)):
            path = ("priority_groups", str(group), index)
            if not isinstance(text, str):
                continue
            if text not in known and text not in traits and _may_be_stored_key(text):
                continue
            if text not in known:
                yield ConfigProblem(path, _unknown_message(text, names, traits))
            elif known[text] in first:
                yield ConfigProblem(path, repeated_message(text, first[known[text]]))
            else:
                first[known[text]] = path


def _may_be_stored_key(text: str) -> bool:
    """Whether it may be the stored key of an audience that was renamed; only the store has these."""
    return re.fullmatch(r"[a-z0-9_]+", text) is not None


def unknown_audience_message(text: str, names: Iterable[str]) -> str:
    """The message about an entry of a group that is not an audience."""
    return f"{unknown_name_message('audience', text, names)} (audiences of `names_from` can't be in a group)"


def repeated_message(text: str, there: ConfigPath) -> str:
    return f"`{text}` is already {dotted(there)}: an audience can be in one group only, and only once"


def _unknown_message(text: str, names: Sequence[str], traits: set[str]) -> str:
    if text in traits:
        return f"`{text}` is a computed trait: a group can only have audiences"
    return unknown_audience_message(text, names)


def _audience_names(audiences: list[Any]) -> Iterator[tuple[str | None, str | None]]:
    for entry in audiences:
        given: Mapping[str, Any] = entry if isinstance(entry, Mapping) else {}
        name, key = (value if isinstance(value := given.get(part), str) else None for part in ("name", "key"))
        if key is None and name is not None:
            with suppress(KeyRefusedError):
                key = snake_key(name)
        yield name, key


def _trait_names(tree: RawConfig) -> Iterator[str]:
    """The columns, names and keys of all computed traits."""
    for _, entry in entries(as_list(tree.get("computed_traits")), "computed_traits"):
        for trait in as_list(entry.get("traits")):
            said = trait if isinstance(trait, Mapping) else {"column": trait}
            for text in (said.get(part) for part in ("column", "name", "key")):
                if isinstance(text, str):
                    yield text
                    with suppress(KeyRefusedError):
                        yield trait_key(text)
