"""Check the mapping of each destination: its traits and names have to exist, and differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from audience_sync.config.models import ConfigFile
from audience_sync.config.read.problems import ConfigPath, ConfigProblem
from audience_sync.config.sections.base import DestinationOptions
from audience_sync.keys import reserved_reason, reserved_trait_reason
from audience_sync.model import USER_ID
from audience_sync.text import unknown_name_message


def find_problems(file: ConfigFile, profile_fields: Mapping[str, Collection[str]]) -> Iterator[ConfigProblem]:
    """``profile_fields``: by type, the normalised keys that a destination reserves for the user's profile."""
    traits = {key for entry in file.computed_traits for key in entry.columns}
    audiences = {each.property_key for each in file.audiences if each.property_key}
    has_names_from = any(each.names_from for each in file.audiences)  # their keys are in the data
    for name, options in file.destinations.items():
        path = ("destinations", name)
        yield from _unknown_traits(options, sorted(traits), path)
        if not has_names_from:
            for key in options.rename:
                if key not in traits | audiences:
                    message = unknown_name_message("audience or trait", key, sorted(traits | audiences))
                    yield ConfigProblem((*path, "rename", key), message)
            yield from _unknown_external_ids(options, sorted(audiences), path)
        yield from _repeated_names(options.rename, traits | audiences, path)
        yield from _unusable_names(options, traits, frozenset(profile_fields.get(options.type, ())), path)
    for index, entry in enumerate(file.computed_traits):
        for position, destination in enumerate(entry.destinations or ()):
            if destination not in file.destinations:
                message = unknown_name_message("destination", destination, sorted(file.destinations))
                yield ConfigProblem(("computed_traits", index, "destinations", position), message)


def _unknown_traits(options: DestinationOptions, traits: Sequence[str], path: ConfigPath) -> Iterator[ConfigProblem]:
    if options.known_by not in (USER_ID, *traits):
        message = unknown_name_message("computed trait", options.known_by, traits)
        end = "" if message.endswith("?") else "."
        yield ConfigProblem((*path, "user_id"), f"{message}{end} `user_id: user_id` sends the user ids of the sources")
    lists = {"identifiers": options.identifiers, "traits": options.traits, "hash": options.hash}
    for option, keys in lists.items():
        for index, key in enumerate(keys or ()):
            if key not in traits:
                yield ConfigProblem((*path, option, index), unknown_name_message("computed trait", key, traits))


def _unknown_external_ids(
    options: DestinationOptions, audiences: Sequence[str], path: ConfigPath
) -> Iterator[ConfigProblem]:
    """An id at the service behind a destination, of an audience that the config does not have."""
    for key in getattr(options, "external_audience_ids", {}):
        if key not in audiences:
            yield ConfigProblem((*path, "external_audience_ids", key), unknown_name_message("audience", key, audiences))


def _unusable_names(
    options: DestinationOptions, traits: set[str], profile_fields: frozenset[str], path: ConfigPath
) -> Iterator[ConfigProblem]:
    """A name that is empty, or under which a membership would overwrite a field of the user's profile."""
    for key, name in options.rename.items():
        if not name.strip():
            yield ConfigProblem((*path, "rename", key), "is empty: write the name at this destination")
        elif key not in traits and reserved_reason(name, profile_fields):
            message = f"`{name}` is a field of each user's profile there, and the audience would replace it with true"
            yield ConfigProblem((*path, "rename", key), f"{message}. Choose another name: `{name}_audience`")
        elif key in traits and reserved_trait_reason(name):
            message = f"`{name}` is reserved: destinations read it as the id of the user or of the audience"
            yield ConfigProblem((*path, "rename", key), f"{message}. Choose another name")


def _repeated_names(rename: Mapping[str, str], keys: set[str], path: ConfigPath) -> Iterator[ConfigProblem]:
    """A name that two properties would have: one of them would overwrite the other."""
    for key, name in rename.items():
        others = {other for other in keys | rename.keys() if rename.get(other, other) == name}
        if clash := sorted(others - {key}):
            message = f"`{name}` is the name of `{clash[0]}` there, too: choose another"
            yield ConfigProblem((*path, "rename", key), message)
