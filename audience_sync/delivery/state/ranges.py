"""How far has an unfinished delivery got? Ranges of user ids, each told everything up to a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audience_sync.workspace import quote_literal


@dataclass(frozen=True, slots=True)
class Range:
    """The users greater than ``after`` up to ``through`` have been told everything up to ``run``."""

    after: str
    through: str
    run: int


def merge_range(ranges: Sequence[Range], new: Range) -> tuple[Range, ...]:
    """The ranges with a newer one laid over them; neighbours of one run become one."""
    rest = [part for old in ranges for part in _subtract(old, new)]
    merged: list[Range] = []
    for part in sorted([*rest, new], key=lambda each: each.after):
        if merged and merged[-1].through == part.after and merged[-1].run == part.run:
            merged[-1] = replace(merged[-1], through=part.through)
        else:
            merged.append(part)
    return tuple(merged)


def intersect(new: Range, ranges: Sequence[Range]) -> list[Range]:
    """The parts of a range that lie in these ranges."""
    parts = [replace(new, after=max(new.after, old.after), through=min(new.through, old.through)) for old in ranges]
    return [part for part in parts if part.after < part.through]


def _subtract(old: Range, new: Range) -> list[Range]:
    """What is left of an older range: nothing, one piece or two."""
    if old.through <= new.after or old.after >= new.through:
        return [old]
    pieces = [replace(old, through=new.after), replace(old, after=new.through)]
    return [piece for piece in pieces if piece.after < piece.through]


def delivered_run_sql(ranges: Sequence[Range], position: int) -> str:
    """SQL for the run up to which ``user_id`` has been told everything."""
    if not ranges:
        return str(position)
    cases = " ".join(
        f"when user_id > {quote_literal(each.after)} and user_id <= {quote_literal(each.through)} then {each.run}"
        for each in ranges
    )
    return f"case {cases} else {position} end"
