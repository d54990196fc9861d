"""List the local files that a config names, and the paths that a run's DuckDB may read: these, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator

from audience_sync.config.models import Settings
from audience_sync.config.read.paths import duckdb_files_of, duckdb_path
from audience_sync.sources.storage.resolve_names import LocalFolder, file_words


def allowed_paths(settings: Settings) -> list[str]:
    """Real paths: folders of local sources, files that `file` names outside of them, targets of links, DuckDB files.

    Remote files are copied into the workspace, which is always readable.
    """
    folders = [source.files for source in settings.sources.values() if source.files and "://" not in source.files]
    files = (str(path) for _, folder, name in local_names(settings) for path in folder.paths(name))
    databases = (duckdb_path(source.database or "") for source in settings.sources.values())
    duckdb_files = (file for path in filter(None, databases) for file in duckdb_files_of(path))
    return sorted({os.path.realpath(path) for path in (*folders, *files, *duckdb_files)})


def local_names(settings: Settings) -> Iterator[tuple[str, LocalFolder, str]]:
    """Names, globs and folders of local files, each with its option (``audiences[0].file``) and its source's folder.

    `file` may name a path outside of the folder, a query may not.
    """
    for part in ("audiences", "computed_traits", "suppressed", "aliases"):
        for index, entry in enumerate(getattr(settings, part)):
            source = settings.sources.get(entry.source)
            if source is None or not source.files or "://" in source.files:
                continue
            folder = LocalFolder(source.files, hive=bool(entry.partitions or source.partitions))
            names = [entry.file] if entry.file else filter(folder.holds, file_words(entry.query or ""))
            option = f"{part}[{index}].{'file' if entry.file else 'query'}"
            yield from ((option, folder, name) for name in names if "://" not in name)
