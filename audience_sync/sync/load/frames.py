"""Refuse frames that no entry of a run reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from audience_sync.errors import UnknownKeyError, WrongValueError
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.run_context import RunContext
from audience_sync.text import join_names, not_found_message


def refuse_wrong_frames(
    context: RunContext, targets: Sequence[ResolvedAudience], selected: Collection[str], *, loads_traits: bool
) -> None:
    """Raise UnknownKeyError for a frame of an unknown key, and WrongValueError for one that the run does not read.

    ``selected``: the keys of the audiences that the run loads, without those of `names_from`.
    """
    settings, selection, frames = context.settings, context.request.selection, context.frames
    named = {each.names_from: each for each in settings.audiences if each.names_from}
    traits = {key: entry for entry in settings.computed_traits for key in entry.columns}
    audiences = {target.key: target.config for target in targets}
    known = {*audiences, *named, *traits}
    if missing := sorted(frames.keys() - known):
        there = ", ".join(sorted(known)) or "none"
        message = not_found_message("audience or computed trait", missing, known)
        raise UnknownKeyError(f"frames: {message} Nothing was done.\n  The config has: {there}")
    loaded = {*selected}
    if selection.audiences is None or not {*audiences}.issuperset(selection.audiences):
        loaded |= {name for name, entry in named.items() if selection.is_due(entry)}
    if loads_traits:
        wanted = selection.traits
        loaded |= {key for key, each in traits.items() if wanted is None or not {*wanted}.isdisjoint(each.columns)}
    if unread := sorted(frames.keys() - loaded):
        raise WrongValueError(
            "frames",
            f"this run does not load {join_names(unread)}: name it among the audiences, too. Nothing was done.",
        )
    for entry in settings.computed_traits:
        if len(twice := sorted(frames.keys() & entry.columns.keys())) > 1:
            what = f"{join_names(twice)} are traits of one entry: give one frame with the columns of all"
            raise WrongValueError("frames", f"{what}. Nothing was done.")
    for key in sorted(frames):
        config = audiences.get(key) or named.get(key)
        source = settings.sources.get(config.source if config else traits[key].source)
        if source is not None and source.compares:
            raise WrongValueError(
                "frames",
                f"the last snapshot of {key} is in the warehouse that compares it, and a frame can't be compared "
                "there. Nothing was done.",
            )
