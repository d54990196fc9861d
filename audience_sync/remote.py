"""Open the file system behind a URL by fsspec, and name the extra of a package that it lacks."""

from __future__ import annotations

from typing import Any

#: The extra that installs a file system, by the scheme of its URLs.
EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
}


def scheme_of(url: str) -> str:
    return url.split("://", 1)[0]


def open_file_system(url: str, **options: Any) -> tuple[Any, str]:
    """The file system, and the path in it. Credentials come from the environment, as each file system reads them.

    Raises ImportError for a package that is not installed, and ValueError for an unknown scheme.
    """
    import fsspec

    return fsspec.core.url_to_fs(url, **options)  # type: ignore[no-any-return]  # fsspec has no types


def require_file_system(url: str) -> None:
    """Load the package of a URL's file system. Raises ImportError and ValueError as ``open_file_system`` does."""
    import fsspec

    fsspec.get_filesystem_class(scheme_of(url))


def missing_package(url: str, error: ImportError) -> str:
    """What is missing, and the command that installs it."""
    scheme = scheme_of(url)
    extra = EXTRAS.get(scheme, "remote")
    more = "" if scheme in EXTRAS or scheme == "file" else " and the package it names"
    return f"{scheme}:// needs a package that is not installed: {error}. pip install 'audience-sync[{extra}]'{more}"
