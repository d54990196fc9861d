"""Capture the frames that a caller brings as snapshots of this run alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from msgspec.structs import replace

from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig, Settings
from audience_sync.errors import WrongValueError
from audience_sync.model import HoldKind
from audience_sync.sources.boundary import BoundedSource
from audience_sync.sources.frames import FrameSource, capture
from audience_sync.sources.rows.scan import wanted_columns
from audience_sync.store.audiences.holds import Hold
from audience_sync.sync.load.snapshot import snapshot_request
from audience_sync.sync.values.request import RunDependencies
from audience_sync.temporary_folder import TemporaryFolder

_NO_MAPPING = "frames are given by key, such as frames={'vip': frame}"


@contextmanager
def with_frames(settings: Settings, parts: RunDependencies, frames: Mapping[str, Any]) -> Iterator[RunDependencies]:
    """The parts of a run, in which each frame replaces the source of its entry.

    Raises WrongValueError for a frame that can't be read, or lacks a column of the config.
    """
    if not isinstance(frames, Mapping):
        raise WrongValueError("frames", f"{_NO_MAPPING}, and not a {type(frames).__name__}. Nothing was done.")
    folder = TemporaryFolder()
    try:
        sources, names, files = dict(parts.sources), dict[str, str](), list[str]()
        for key, value in frames.items():
            if not isinstance(key, str):
                raise WrongValueError("frames", f"{key!r} is not the key of an audience or computed trait")
            file = folder.file(".parquet")
            frame = capture(key, value, _columns(settings, key), file)
            names[key] = frame.name
            sources[frame.name] = BoundedSource(frame.name, partial(FrameSource, frame))
            files += [str(file.resolve())] if frame.file else []
        yield replace(parts, sources=sources, frames=names, readable=[*parts.readable, *files])
    finally:
        folder.remove()


def frames_of_holds(settings: Settings, frames: Mapping[str, Any], holds: Sequence[Hold]) -> dict[str, Any]:
    """The frames of the entries that these holds are about."""
    audiences, traits = (
        {hold.key for hold in holds if hold.kind is kind} for kind in (HoldKind.AUDIENCE, HoldKind.COMPUTED_TRAIT)
    )
    of_names = audiences - {each.property_key for each in settings.audiences}

    def is_meant(key: str) -> bool:
        match _entry(settings, key):
            case ComputedTraitsConfig(columns=columns):
                return not traits.isdisjoint(columns)
            case AudienceConfig(names_from=str()):
                return bool(of_names)
            case _:
                return key in audiences

    return {key: frame for key, frame in frames.items() if is_meant(key)}


def _columns(settings: Settings, key: str) -> Collection[str] | None:
    """The columns of the entry; None (all) if the config alone does not have the key."""
    entry = _entry(settings, key)
    return None if entry is None else wanted_columns(snapshot_request(entry))


def _entry(settings: Settings, key: str) -> AudienceConfig | ComputedTraitsConfig | None:
    own = (each for each in settings.audiences if each.names_from is None and each.property_key == key)
    named = (each for each in settings.audiences if each.names_from == key)
    traits = (each for each in settings.computed_traits if key in each.columns)
    return next(own, None) or next(named, None) or next(traits, None)
