"""How does a new project begin? With a copy of the example: its config and its sample data."""

from __future__ import annotations

import shutil
from pathlib import Path

from audience_sync.errors import AudienceSyncError

CONFIG = Path("config.yaml")
DATA = Path("examples/shop")
_PACKAGE = Path(__file__).parent


def copy_project_template(target: Path) -> list[Path]:
    """Copy ``config.yaml`` and ``examples/shop`` into the folder, which is created if need be.

    Returns the new files, the config first. Raises AudienceSyncError, having changed nothing, where either is
    there already.
    """
    example = example_folder()
    try:
        for part in (CONFIG, DATA):
            _refuse_existing(target / part)
        # The config comes last: once it is there, everything is.
        copies = [_copy_file(example / name, target / name) for name in [*_data_files(example), CONFIG]]
    except OSError as error:
        raise AudienceSyncError(_UNWRITABLE.format(error=error, target=target)) from error
    return [copies[-1], *copies[:-1]]


def example_folder(package: Path = _PACKAGE) -> Path:
    """The folder with the example: in the package where it was installed from a wheel, beside it in a checkout.

    Raises AudienceSyncError where it is in neither.
    """
    for folder in (package / "example", package.parent):
        if (folder / CONFIG).is_file() and (folder / DATA).is_dir():
            return folder
    raise AudienceSyncError(_INCOMPLETE.format(package=package))


def _data_files(example: Path) -> list[Path]:
    files = (path for path in (example / DATA).iterdir() if path.is_file() and not path.name.startswith("."))
    return sorted(path.relative_to(example) for path in files)


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise AudienceSyncError(_EXISTS.format(path=path))


def _copy_file(original: Path, copy: Path) -> Path:
    """Content only: an installation's files may be read-only, the copies are there to be edited; by their owner alone,
    who may write a password into them."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.touch(mode=0o600)
    return Path(shutil.copyfile(original, copy))


_EXISTS = (
    "{path} exists already. Nothing was copied, so that no file of yours is overwritten.\n"
    "  Use an empty folder, or continue with that project: audience-sync check"
)
_UNWRITABLE = (
    "the example can't be copied into {target}: {error}. A part of it may be there. "
    "Remove it, and try again with a folder that can be written to."
)
_INCOMPLETE = (
    "the example isn't part of this installation ({package}): a new project can't be begun from it. "
    "Install Audience Sync again."
)
