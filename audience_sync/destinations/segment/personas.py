"""Build ``context.personas``, which names the audience of a call like Segment's Engage."""

from __future__ import annotations

import string
from hashlib import blake2b

from audience_sync.destinations.base import Audiencing
from audience_sync.model import PropertyKind

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: The length of Segment's own ids.
_ID_CHARACTERS = 27
_SPACE_CHARACTERS = 22
#: ``computation_class`` of each kind, and how its ids begin. Only ``audience`` counts as a membership.
_CLASSES = {PropertyKind.AUDIENCE: ("audience", "aud_"), PropertyKind.COMPUTED_TRAIT: ("trait", "tra_")}


def personas_context(about: Audiencing, key: str, *, is_boolean: bool, name: str = "") -> dict[str, str]:
    """Build the context of a key. Its ids are stable for an installation and key. ``name``: its name there."""
    # A key that is no longer in the config was an audience if its value is boolean.
    is_audience = key in about.audience_keys or (is_boolean and key not in about.trait_keys)
    computation, prefix = _CLASSES[PropertyKind.AUDIENCE if is_audience else PropertyKind.COMPUTED_TRAIT]
    space = "spa_" + stable_id(about.installation, "space", _SPACE_CHARACTERS)
    return {
        "computation_class": computation,
        "computation_id": prefix + stable_id(about.installation, f"{computation}:{key}", _ID_CHARACTERS),
        "computation_key": name or key,
        "namespace": space,
        "space_id": space,
    }


def stable_id(installation: str, name: str, characters: int) -> str:
    """Letters and digits that look random and are always the same for the same names."""
    number = int.from_bytes(blake2b(f"{installation}\n{name}".encode(), digest_size=32).digest())
    return "".join(_BASE62[number // 62**position % 62] for position in range(characters))
