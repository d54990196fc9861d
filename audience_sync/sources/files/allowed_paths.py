"""List the local paths that a run may read: folders of sources and files of entries, nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator

from audience_sync.config.models import Settings
from audience_sync.config.sections.snapshot import RowsConfig
from audience_sync.sources.storage.locate import FileLocation
from audience_sync.sources.storage.resolve_names import file_words


def allowed_paths(settings: Settings) -> list[str]:
    """Real paths: folders of local sources, files that `file` names outside of them, and the targets of links.

    Remote files are copied into the workspace, which is always readable.
    """
    local = {
        name: source.files for name, source in settings.sources.items() if source.files and "://" not in source.files
    }
    found = {os.path.realpath(index) for index in local.values()}
    for entry in (*settings.audiences, *settings.computed_traits, *settings.suppressed, *settings.aliases):
        if entry.source in local:
            hive = bool(entry.partitions or settings.sources[entry.source].partitions)
            found.update(_entry_paths(FileLocation(local[entry.source], hive=hive), entry))
    return sorted(found)


def _entry_paths(folder: FileLocation, entry: RowsConfig) -> Iterator[str]:
    """The real paths of an entry's files. `file` may name a path outside of the folder, a query may not."""
    for word in [entry.file] if entry.file else filter(folder.holds, file_words(entry.query or "")):
        if "://" not in word:
            yield from (os.path.realpath(each) for each in folder.paths(word))
