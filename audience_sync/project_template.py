"""Start a new project with a copy of the example: its config and its sample data."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from audience_sync.errors import AudienceSyncError

CONFIG = Path("config.yaml")
DATA = Path("examples/shop")
SCHEMA = Path("config.schema.json")
GITIGNORE = Path(".gitignore")
#: The first line of a config, by which editors find the schema next to it.
MODELINE = f"# yaml-language-server: $schema={SCHEMA}\n"
#: The store with its backups, secrets, and what the example's destination writes.
IGNORED = ("audience_sync.db*", ".env", "identify_calls.jsonl")
_PACKAGE = Path(__file__).parent
#: The section ``destinations`` of the example's config, with the comment above it.
_SECTION = re.compile(r"^# Where the identify calls go.*\n(?:#.*\n)*destinations:\n(?: .*\n)*", re.MULTILINE)


def copy_project_template(target: Path, *, destinations: str = "", schema: str = "") -> list[Path]:
    """Copy ``config.yaml`` and ``examples/shop`` into a folder, which is created if it does not exist.

    ``destinations``: a section that replaces the config's own, with its comment. ``schema``: that of the config, for
    editors. A ``.gitignore`` and a schema that are there already are not replaced.

    Returns the new files, the config first. If one of them exists already, it changes nothing and raises
    AudienceSyncError.
    """
    example = example_folder()
    try:
        for path in (target / CONFIG, target / DATA):
            if path.exists() or path.is_symlink():
                raise AudienceSyncError(_EXISTS.format(path=path))
        data = (path for path in (example / DATA).iterdir() if path.is_file() and not path.name.startswith("."))
        # The config comes last: if it exists, the copy is complete.
        names = [*sorted(path.relative_to(example) for path in data), CONFIG]
        copies = [_copy_file(example / name, target / name) for name in names]
        config = copies[-1].read_text("utf-8")
        if destinations:
            config = _SECTION.sub(lambda _: destinations, config)
        copies[-1].write_text(f"{MODELINE}{config}" if schema else config, "utf-8")
        written = write_next_to_config(target, schema) if schema else []
    except OSError as error:
        raise AudienceSyncError(_UNWRITABLE.format(error=error, target=target)) from error
    return [copies[-1], *written, *copies[:-1]]


def write_new_config(config: Path, text: str) -> None:
    """Write a config that does not exist yet, which only its owner may read. Raises AudienceSyncError."""
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        with open(config, "x", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)
    except OSError as error:
        raise AudienceSyncError(f"{config} can't be written: {error.strerror}. Choose another folder.") from error


def example_folder(package: Path = _PACKAGE) -> Path:
    """The folder with the example: in the package when installed from a wheel, next to it in a checkout.

    Raises AudienceSyncError if there isn't one.
    """
    for folder in (package / "example", package.parent):
        if (folder / CONFIG).is_file() and (folder / DATA).is_dir():
            return folder
    raise AudienceSyncError(_INCOMPLETE.format(package=package))


def write_next_to_config(folder: Path, schema: str) -> list[Path]:
    """Write the schema that editors read, and a ``.gitignore``, unless they exist. Returns the new files."""
    texts = {SCHEMA: schema, GITIGNORE: "".join(f"{name}\n" for name in IGNORED)}
    return [folder / name for name, text in texts.items() if _write_new(folder / name, text)]


def _write_new(path: Path, text: str) -> bool:
    """Write a file, unless something has its name. Returns whether it was written."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def _copy_file(original: Path, copy: Path) -> Path:
    """Copy a file's content, not its mode, which may be read-only. Only the owner may read the copy: it may get a
    password."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.touch(mode=0o600)
    return Path(shutil.copyfile(original, copy))


_EXISTS = (
    "{path} exists already. Nothing was copied, so that no file of yours is overwritten.\n"
    "  Use an empty folder, or continue with that project: audience-sync check"
)
_UNWRITABLE = (
    "the example can't be copied into {target}: {error}. The copy may be incomplete. "
    "Remove it, and try again with a folder that can be written to."
)
_INCOMPLETE = (
    "the example is missing in this installation ({package}), so no new project can be created from it. "
    "Install Audience Sync again."
)
