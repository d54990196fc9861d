"""Define the inputs and ports of a run's stages, and the previous ids of users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct, field

from audience_sync.config.models import Settings
from audience_sync.model import RunId
from audience_sync.sources.base import Source
from audience_sync.sql import NEVER, Condition, TableName
from audience_sync.sync.values.request import RunRequest
from audience_sync.sync.values.stored_state import StoredState, StoreReader
from audience_sync.workspace import Workspace


class AliasMap(Struct, frozen=True, kw_only=True):
    """Previous ids and the current ids of their users, as tables with ``previous_id`` and ``user_id``.

    ``pairs``: all. ``sent``: those that destinations are sent. ``joined``: those that are new in ``sent``.
    ``version``: a text that changes with the pairs. ``error``: why the lists can't be read.
    """

    pairs: TableName | None = None
    sent: TableName | None = None
    joined: TableName | None = None
    version: str = ""
    error: str | None = None


class RunContext(Struct, frozen=True, kw_only=True):
    """The inputs of a run's stages, which none of them changes, and the ports to the workspace, store and sources.

    ``recorded_run``: the run that holds are recorded for; None in a preview, which writes nothing. ``counted_at``: the
    time that ages are measured by; None if the clock is doubted. ``profile_fields``: profile fields of destinations,
    which can't be keys of audiences. ``frames``: see ``RunDependencies``. ``erased``: an SQL condition on ``user_id``
    for erased users, who never enter.
    """

    workspace: Workspace
    reader: StoreReader
    sources: Mapping[str, Source]
    settings: Settings
    stored: StoredState
    request: RunRequest
    run: RunId
    recorded_run: RunId | None
    counted_at: datetime | None
    profile_fields: frozenset[str] = frozenset()
    frames: Mapping[str, str] = field(default_factory=dict)
    aliases: AliasMap = field(default_factory=AliasMap)
    erased: Condition = NEVER
    loading: Callable[[str], None] = field(default=lambda what: None)
