"""Wait, before a run begins, until dbt has built the models of what the run loads."""

from __future__ import annotations

import logging

from audience_sync.config.models import AudienceConfig
from audience_sync.config.sections.snapshot import SnapshotConfig
from audience_sync.sync.values.request import Request, RunDependencies, Selection

log = logging.getLogger("audience_sync")


def wait_for_dbt(dependencies: RunDependencies, request: Request) -> None:
    """Wait at most as long as `dbt.wait` of each source. Another run may begin and end meanwhile.

    What is not built even then is an error of its entry, when the run loads it. Entries with a frame, and those that a
    person accepts, are not waited for. Raises KeyboardInterrupt if the run is cancelled.
    """
    from audience_sync.dbt.readiness import wait_until_built

    settings, exempt = dependencies.settings, {*dependencies.frames, *request.exceptions.accepted}
    entries: list[SnapshotConfig] = [
        each
        for each in settings.audiences
        if _is_loaded(each, request.selection) and each.property_key not in exempt and each.names_from not in exempt
    ]
    if request.seeded_key is None:
        entries += [each for each in settings.computed_traits if exempt.isdisjoint(each.columns)]
    pairs = ((settings.sources.get(each.source), each) for each in entries)
    wait_until_built(((source, each) for source, each in pairs if source is not None), log.info)


def _is_loaded(config: AudienceConfig, selection: Selection) -> bool:
    """Whether the run loads this entry. The keys of `names_from` are in the data."""
    named = selection.audiences is None or config.property_key is None or config.property_key in selection.audiences
    return named and selection.is_due(config)
