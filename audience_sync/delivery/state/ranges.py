"""Keep the progress of an unfinished delivery as ranges of user ids, each with a run."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.model import RunId, UserId
from audience_sync.sql import Expression, quote_literal


class Range(Struct, frozen=True):
    """The users greater than ``after``, up to ``through``, have been sent everything up to ``run``."""

    after: UserId
    through: UserId
    run: RunId


def merge_range(ranges: Sequence[Range], new: Range) -> tuple[Range, ...]:
    """Add a newer range over the others, and join neighbours of the same run."""
    rest = [part for old in ranges for part in _subtract(old, new)]
    merged: list[Range] = []
    for part in sorted([*rest, new], key=lambda each: each.after):
        if merged and merged[-1].through == part.after and merged[-1].run == part.run:
            merged[-1] = replace(merged[-1], through=part.through)
        else:
            merged.append(part)
    return tuple(merged)


def intersect(new: Range, ranges: Sequence[Range]) -> list[Range]:
    """Return the pieces of a range that lie inside the others."""
    parts = [replace(new, after=max(new.after, old.after), through=min(new.through, old.through)) for old in ranges]
    return [part for part in parts if part.after < part.through]


def _subtract(old: Range, new: Range) -> list[Range]:
    """Return the pieces of an older range outside the newer one: none, one or two."""
    if old.through <= new.after or old.after >= new.through:
        return [old]
    pieces = [replace(old, through=new.after), replace(old, after=new.through)]
    return [piece for piece in pieces if piece.after < piece.through]


def delivered_run_sql(ranges: Sequence[Range], position: RunId) -> Expression:
    """Return SQL for the run up to which ``user_id`` has been sent everything."""
    if not ranges:
        return Expression(str(position))
    cases = " ".join(
        f"when user_id > {quote_literal(each.after)} and user_id <= {quote_literal(each.through)} then {each.run}"
        for each in ranges
    )
    return Expression(f"case {cases} else {position} end")
