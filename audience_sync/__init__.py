"""Audience Sync: audiences and computed traits as live user properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audience_sync.version import __version__

if TYPE_CHECKING:
    from audience_sync.project import Project

__all__ = ["Project", "__version__"]


def __getattr__(name: str) -> Any:
    """Import ``Project`` when it is asked for: most commands start without it."""
    if name == "Project":
        from audience_sync.project import Project

        return Project
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
