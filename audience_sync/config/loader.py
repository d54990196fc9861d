"""Load config.yaml: read it, apply an environment and variables, validate everything, return the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from audience_sync.config import mappings
from audience_sync.config.models import ConfigFile, Settings, StoreConfig, StoreSettings
from audience_sync.config.read.config_tree import read_config_tree
from audience_sync.config.read.paths import absolute_path, database_url
from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig, children, config_error
from audience_sync.config.read.variables import Resolver
from audience_sync.config.sections import egress
from audience_sync.config.sections.base import DestinationOptions
from audience_sync.config.sections.snapshot import SourceConfig
from audience_sync.config.validate import cross_checks as checks
from audience_sync.config.validate import priority_groups as groups
from audience_sync.config.validate import property_keys as properties
from audience_sync.config.validate.pydantic_errors import as_mapping, validate
from audience_sync.redaction.secrets import api_keys_in_url, collect_secrets, passwords_in_url
from audience_sync.text import unknown_name_message

OptionTypes = Mapping[str, type[DestinationOptions]]
_TOP_LEVEL = frozenset(ConfigFile.model_fields) - {"environments"}


def load(
    path: Path,
    *,
    environment: str | None,
    variables: Mapping[str, str],
    destination_types: OptionTypes,
    profile_fields: Mapping[str, frozenset[str]] | None = None,
) -> Settings:
    """The settings. Raises ConfigError with all problems at once.

    ``variables`` is the process's environment. ``destination_types`` has the options of each installed type of
    destination. ``profile_fields`` has, per type, the normalised keys that an audience may not use if the config has
    a destination of that type.
    """
    tree, found, resolver = read_config_tree(path, environment, variables, _TOP_LEVEL)
    tree = resolver.resolve(tree)
    used = {str(as_mapping(options).get("type")) for options in as_mapping(tree.get("destinations")).values()}
    reserved = frozenset[str]().union(*((profile_fields or {}).get(kind, frozenset()) for kind in used))
    file, invalid = _validate(tree, destination_types)
    found += resolver.problems
    # A missing variable, or an unreadable number, is one problem: its text is not also of the wrong form.
    unresolved = {finding.path for finding in found}
    later = chain(
        invalid,
        checks.find_problems(tree),
        groups.find_problems(tree),
        properties.find_problems(tree, reserved),
        egress.find_problems(tree, resolver.folder, variables),
    )
    found += [finding for finding in later if finding.path not in unresolved]
    if file is not None and not found:
        found += mappings.find_problems(file, profile_fields or {})
    if found or file is None:
        raise config_error(_in_file_order(found, tree), collect_secrets(resolver.values))
    return _settings(file, environment, resolver)


def load_store(path: Path, *, environment: str | None, variables: Mapping[str, str]) -> StoreSettings:
    """The store's settings alone: reading the store needs no secrets of sources and destinations.

    Raises ConfigError with all problems of this part.
    """
    tree, found, resolver = read_config_tree(path, environment, variables, _TOP_LEVEL)
    mine = resolver.resolve({part: tree[part] for part in StoreConfig.model_fields if tree.get(part) is not None})
    settings, invalid = validate(StoreSettings, mine)
    found += [*resolver.problems, *invalid, *([] if resolver.problems else checks.store_problems(mine))]
    if settings is None or found:
        raise config_error(_in_file_order(found, tree), collect_secrets(resolver.values))
    store = database_url(settings.store, resolver.folder)
    secrets = collect_secrets([*resolver.values, *passwords_in_url(store)])
    return settings.model_copy(update={"store": store, "secrets": secrets})


def read_store_url(text: str, folder: Path, variables: Mapping[str, str]) -> str:
    """The URL of another store, written as in the config. Raises ConfigError."""
    resolver = Resolver(variables=variables, folder=folder)
    tree = resolver.resolve({"store": text})
    if found := resolver.problems or list(checks.store_problems(tree)):
        raise config_error(found, collect_secrets(resolver.values))
    return database_url(tree["store"], folder)


def _validate(tree: RawConfig, types: OptionTypes) -> tuple[ConfigFile | None, list[ConfigProblem]]:
    destinations: dict[str, DestinationOptions] = {}
    found: list[ConfigProblem] = []
    for name, options in as_mapping(tree.get("destinations")).items():
        checked, wrong = _validate_destination(name, options, types)
        found += wrong
        if checked is not None:
            destinations[name] = checked
    given = {part: value for part, value in tree.items() if value is not None}
    if isinstance(tree.get("destinations"), Mapping):
        given["destinations"] = destinations
    file, wrong = validate(ConfigFile, given)
    return file, found + wrong


def _validate_destination(
    name: str, options: Any, types: OptionTypes
) -> tuple[DestinationOptions | None, list[ConfigProblem]]:
    path = ("destinations", name)
    if not isinstance(options, Mapping):
        return validate(DestinationOptions, options, path)
    kind = options.get("type")
    if kind is None:
        return None, [ConfigProblem((*path, "type"), f"it is missing; one of {', '.join(sorted(types))}")]
    if kind not in types:
        return None, [ConfigProblem((*path, "type"), unknown_name_message("type of destination", str(kind), types))]
    return validate(types[kind], options, path)


def _in_file_order(found: list[ConfigProblem], tree: RawConfig) -> list[ConfigProblem]:
    """Problems in the order of the file; a missing option comes before its neighbours."""
    return sorted(found, key=lambda finding: _position(finding.path, tree))


def _position(path: ConfigPath, value: Any) -> tuple[int, ...]:
    if not path:
        return ()
    inner = dict(children(value))
    index = list(inner).index(path[0]) if path[0] in inner else -1
    return index, *_position(path[1:], inner.get(path[0]))


def _settings(file: ConfigFile, environment: str | None, resolver: Resolver) -> Settings:
    parts, folder = dict(file), resolver.folder
    parts["ca_file"] = absolute_path(file.ca_file, folder) if file.ca_file else None
    parts["store"] = database_url(file.store, folder)
    parts["sources"] = {name: _with_absolute_paths(source, folder) for name, source in file.sources.items()}
    parts["destinations"] = {
        name: options.located(folder).reached(folder, parts["ca_file"], file.proxy)
        for name, options in file.destinations.items()
    }
    if file.metrics.file is not None:
        parts["metrics"] = file.metrics.model_copy(update={"file": str(folder / file.metrics.file)})
    secrets = collect_secrets([*resolver.values, *_secrets_in_file(file), *_proxy_secrets(file, resolver.variables)])
    parts |= {"folder": folder, "environment": environment, "secrets": secrets, "files_read": tuple(resolver.files)}
    # Its parts are valid: to build another validator of the whole config would take 20 ms.
    return Settings.model_construct(_fields_set=None, **parts)


def _with_absolute_paths(source: SourceConfig, folder: Path) -> SourceConfig:
    changed: dict[str, Any] = {}
    if source.database is not None:
        changed["database"] = database_url(source.database, folder)
    if source.files is not None:
        changed["files"] = _absolute(source.files, folder)
    if source.dbt is not None:
        results = _absolute(source.dbt.run_results, folder)
        changed["dbt"] = source.dbt.model_copy(update={"run_results": results})
    return source.model_copy(update=changed) if changed else source


def _absolute(path: str, folder: Path) -> str:
    return path if "://" in path else absolute_path(path, folder)


def _secrets_in_file(file: ConfigFile) -> Iterator[str]:
    """Secrets in the file itself: passwords in URLs, and the destinations' secret options."""
    sources = (source.database or source.files or source.spark or "" for source in file.sources.values())
    for url in (file.store, *sources):
        yield from passwords_in_url(url)
    for address in filter(None, [*file.notify.to, file.notify.ping]):
        yield from (address, address.partition("://")[2], *api_keys_in_url(address))
    for hook in file.on_run:
        yield from (hook.secret.get_secret_value(), *api_keys_in_url(hook.url))
    for options in file.destinations.values():
        for name, value in options:
            texts = value.values() if isinstance(value, Mapping) else (value,)
            yield from (text.get_secret_value() for text in texts if isinstance(text, SecretStr))
            if isinstance(value, str) and not type(options).model_fields[name].repr:
                yield from (*passwords_in_url(value), *api_keys_in_url(value))


def _proxy_secrets(file: ConfigFile, variables: Mapping[str, str]) -> Iterator[str]:
    """Users and passwords of proxies."""
    options = [file.proxy, *(each.proxy for each in file.destinations.values())]
    for url in filter(None, [*options, *egress.environment_secrets(options, variables)]):
        yield from passwords_in_url(url)
