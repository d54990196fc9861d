"""Write dbt exposures: one for each destination, which depends on the models of what it receives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import yaml

from audience_sync.config.read import yaml_file
from audience_sync.config.read.environments import apply_environment
from audience_sync.config.validate.pydantic_errors import as_list, as_mapping
from audience_sync.dbt.names import KINDS
from audience_sync.errors import ConfigError, Problem
from audience_sync.keys import explicit_key, snake_key, trait_key

_HEAD = "# Written by `audience-sync dbt exposures`: where the models go. Write it again when the config has changed.\n"
_NONE = (
    "no audience and no computed trait has `dbt_model`, so no destination depends on a model of dbt.\n"
    "Write the model of each entry into the config: `dbt_model: churn_risk`."
)


@dataclass(frozen=True, slots=True)
class _Sent:
    """What comes from models of dbt: an audience, or the traits of an entry."""

    models: tuple[str, ...]
    audience: str | None
    traits: tuple[str, ...]
    destinations: Sequence[str] | None


def exposures_text(config: Path, environment: str | None, owner: str) -> str:
    """The file for dbt, from a config whose variables need not be set: those who build models lack its secrets.

    ``owner``: a name, an e-mail address, or both (``Growth <growth@example.com>``). Raises ConfigError.
    """
    tree, _ = yaml_file.read(config)
    tree, problems = apply_environment(tree, environment, None)
    if problems:
        raise ConfigError([Problem("environments", each.message) for each in problems])
    sent = [*_audiences(tree), *_computed_traits(tree)]
    if not sent:
        raise ConfigError([Problem("", _NONE)])
    destinations = as_mapping(tree.get("destinations"))
    found = [_exposure(name, as_mapping(options), sent, owner) for name, options in destinations.items()]
    document = {"version": 2, "exposures": _with_own_names([each for each in found if each["depends_on"]])}
    return _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _audiences(tree: Mapping[str, Any]) -> Iterator[_Sent]:
    for entry in map(as_mapping, as_list(tree.get("audiences"))):
        if models := _models(entry):
            yield _Sent(models, _audience_name(entry), (), entry.get("destinations"))


def _audience_name(entry: Mapping[str, Any]) -> str:
    if entry.get("names_from"):
        return f"one per {entry['names_from']}"
    return explicit_key(str(entry["key"])) if entry.get("key") else snake_key(str(entry.get("name")))


def _computed_traits(tree: Mapping[str, Any]) -> Iterator[_Sent]:
    for entry in map(as_mapping, as_list(tree.get("computed_traits"))):
        if models := _models(entry):
            keys = tuple(map(_key_of_trait, as_list(entry.get("traits"))))
            yield _Sent(models, None, keys, entry.get("destinations"))


def _key_of_trait(trait: object) -> str:
    options = trait if isinstance(trait, Mapping) else {"column": trait}
    return str(options.get("key") or trait_key(str(options.get("name") or options.get("column"))))


def _models(entry: Mapping[str, Any]) -> tuple[str, ...]:
    models = entry.get("dbt_model") or ()
    return tuple(map(str, models if isinstance(models, list) else [models] if models else []))


def _exposure(name: str, options: Mapping[str, Any], sent: Sequence[_Sent], owner: str) -> dict[str, Any]:
    """The exposure of one destination; without ``depends_on`` if it gets nothing of a model."""
    own = options.get("traits")
    audiences, traits, models = list[str](), list[str](), list[str]()
    for each in sent:
        if each.destinations is not None and name not in each.destinations:
            continue
        received = [key for key in each.traits if own is None or key in own]
        if each.audience is None and not received:
            continue
        audiences += filter(None, [each.audience])
        traits += received
        models += each.models
    what = {"Audiences": audiences, "Computed traits": traits}
    description = " ".join(f"{label}: {', '.join(keys)}." for label, keys in what.items() if keys)
    person, address = parseaddr(owner) if "@" in owner else (owner, "")
    return {
        "name": f"audience_sync_{re.sub(r'[^A-Za-z0-9_]', '_', name)}",
        "label": f"{name} (Audience Sync)",
        "type": "application",
        "description": f"Audience Sync sends user properties to {name} ({options.get('type')}). {description}",
        "depends_on": list(dict.fromkeys(map(_ref, models))),
        "owner": {key: value for key, value in (("name", person), ("email", address)) if value},
    }


def _with_own_names(exposures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Names of destinations that differ only in signs which dbt does not allow get numbers."""
    names: dict[str, int] = {}
    for each in exposures:
        names[each["name"]] = count = names.get(each["name"], 0) + 1
        if count > 1:
            each["name"] += f"_{count}"
    return list(exposures)


def _ref(model: str) -> str:
    """``ref('churn_risk')``, and with the package and the version where the config names them."""
    parts = model.split(".")
    if len(parts) >= 3 and parts[0] in KINDS:
        parts = parts[1:]
        package, name, version = parts[0], parts[1], ".".join(parts[2:])
    elif len(parts) >= 3:
        package, name, version = parts[0], parts[1], ".".join(parts[2:])
    elif len(parts) == 2 and not re.fullmatch(r"v\w+", parts[1]):
        package, name, version = *parts, ""
    else:
        package, name, version = "", parts[0], ".".join(parts[1:])
    number = version.removeprefix("v")
    words = [f"'{each}'" for each in (package, name) if each]
    words += [f"v={number}" if number.isdecimal() else f"v='{number}'"] if number else []
    return f"ref({', '.join(words)})"
