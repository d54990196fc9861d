"""Write dbt exposures: one for each destination, which depends on the models of what it receives."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from audience_sync.config.outline import OutlinedEntry, read_outline
from audience_sync.dbt.names import parts_of
from audience_sync.errors import ConfigError, Problem, WrongValueError

#: A name, an address, or both, with or without angle brackets.
_OWNER = re.compile(r"""\"?(?P<name>[^@<>"]*?)\"?(?:(?:^|\s)<?(?P<email>[^@<>\s,]+@[^@<>\s,]+)>?)?""")
_HEAD = "# Written by `audience-sync dbt exposures`: where the models go. Write it again when the config has changed.\n"
_NONE = (
    "no audience and no computed trait has `dbt_model`, so no destination depends on a model of dbt.\n"
    "Write the model of each entry into the config: `dbt_model: churn_risk`."
)


def exposures_text(config: Path, environment: str | None, owner: str) -> str:
    """The file for dbt, from a config whose variables need not be set: those who build models lack its secrets.

    ``owner``: a name, an e-mail address, or both (``Growth <growth@example.com>``). Raises ConfigError, and
    WrongValueError for the owner.
    """
    owned = _owner(owner)
    outline = read_outline(config, environment)
    sent = [each for each in outline.entries if each.models]
    if not sent:
        raise ConfigError([Problem("", _NONE)])
    found = [_exposure(name, options, sent, owned) for name, options in outline.destinations.items()]
    document = {"version": 2, "exposures": _with_own_names([each for each in found if each["depends_on"]])}
    return _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _exposure(
    name: str, options: Mapping[str, Any], sent: Sequence[OutlinedEntry], owner: Mapping[str, str]
) -> dict[str, Any]:
    """The exposure of one destination; without ``depends_on`` if it gets nothing of a model."""
    own = options.get("traits")
    audiences, traits, models = list[str](), list[str](), list[str]()
    for each in sent:
        if each.destinations is not None and name not in each.destinations:
            continue
        received = [key for key in each.traits if own is None or key in own]
        if each.traits and not received:
            continue
        audiences += filter(None, [each.key, each.names_from and f"one per {each.names_from}"])
        traits += received
        models += each.models
    what = {"Audiences": audiences, "Computed traits": traits}
    description = " ".join(f"{label}: {', '.join(keys)}." for label, keys in what.items() if keys)
    return {
        "name": f"audience_sync_{re.sub(r'[^A-Za-z0-9_]', '_', name)}",
        "label": f"{name} (Audience Sync)",
        "type": "application",
        "description": f"Audience Sync sends user properties to {name} ({options.get('type')}). {description}",
        "depends_on": list(dict.fromkeys(map(_ref, models))),
        "owner": dict(owner),
    }


def _owner(text: str) -> Mapping[str, str]:
    """The owner as dbt has it, which needs a name or an address."""
    found = _OWNER.fullmatch(text.strip())
    owner = {part: value for part, value in found.groupdict().items() if value} if found else {}
    if not owner:
        message = f"{text!r} is not a name, an e-mail address, or both: Growth <growth@example.com>"
        raise WrongValueError("owner", message)
    return owner


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
    package, name, version = parts_of(model)
    words = [f"'{each}'" for each in (package, name) if each]
    words += [f"v={version}" if version.isdecimal() else f"v='{version}'"] if version else []
    return f"ref({', '.join(words)})"
