"""Audience Sync: audiences and computed traits as live user properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audience_sync.version import __version__

if TYPE_CHECKING:
    from audience_sync.errors import (
        AudienceSyncError,
        ConfigError,
        FrozenError,
        HeldError,
        HistoryPrunedError,
        LeaseLostError,
        MissingPackageError,
        PartialError,
        PlanError,
        RetiredError,
        RunCancelledError,
        RunError,
        RunFailedError,
        RunInProgressError,
        SourceError,
        StoreDamagedError,
        StoreError,
        StoreNewerError,
        StoreOutdatedError,
        StoreUnavailableError,
        UnknownKeyError,
        UnknownNameError,
        WrongUseError,
        WrongValueError,
    )
    from audience_sync.project.progress import Delivering, Loading
    from audience_sync.project.project import Project
    from audience_sync.project.values import Plan, Run

#: The public names, by the module that defines them, which is imported when one of them is used.
_MODULES = {
    "audience_sync.project.project": ("Project",),
    "audience_sync.project.progress": ("Delivering", "Loading"),
    "audience_sync.project.values": ("Plan", "Run"),
    "audience_sync.errors": (
        *("AudienceSyncError", "ConfigError", "FrozenError", "HeldError", "HistoryPrunedError", "LeaseLostError"),
        *("MissingPackageError", "PartialError", "PlanError", "RetiredError", "RunCancelledError", "RunError"),
        *("RunFailedError", "RunInProgressError", "SourceError", "StoreDamagedError", "StoreError"),
        *("StoreNewerError", "StoreOutdatedError", "StoreUnavailableError", "UnknownKeyError", "UnknownNameError"),
        *("WrongUseError", "WrongValueError"),
    ),
}
_NAMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AudienceSyncError",
    "ConfigError",
    "Delivering",
    "FrozenError",
    "HeldError",
    "HistoryPrunedError",
    "LeaseLostError",
    "Loading",
    "MissingPackageError",
    "PartialError",
    "Plan",
    "PlanError",
    "Project",
    "RetiredError",
    "Run",
    "RunCancelledError",
    "RunError",
    "RunFailedError",
    "RunInProgressError",
    "SourceError",
    "StoreDamagedError",
    "StoreError",
    "StoreNewerError",
    "StoreOutdatedError",
    "StoreUnavailableError",
    "UnknownKeyError",
    "UnknownNameError",
    "WrongUseError",
    "WrongValueError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for: `import audience_sync` alone costs a millisecond."""
    if name in _NAMES:
        from importlib import import_module

        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
