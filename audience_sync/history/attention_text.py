"""Word what needs a person as one sentence of counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audience_sync.history.concerns import Attention, Concern, State, SubjectKind
from audience_sync.text import form, pluralize

_KINDS = {
    SubjectKind.AUDIENCE: "audience",
    SubjectKind.COMPUTED_TRAIT: "computed trait",
    SubjectKind.DESTINATION: "destination",
    SubjectKind.SCHEDULE: "schedule",
}


def headline(found: Attention) -> str:
    """``1 audience is held, 15 calls are refused``: what needs a person, the worst first, or that nothing does."""
    parts = [*_parts(found.needs_person)]
    if parts:
        return ", ".join(parts)
    if found.last_run is None:
        return "There is no run yet"
    pending = sum(
        each.count for each in found.continuing if each.state is State.PENDING and each.kind is SubjectKind.DESTINATION
    )
    rest = f"; {pluralize(pending, 'call')} {form(pending, 'is')} pending" if pending else ""
    return f"Nothing needs a person{rest}"


def _parts(concerns: Sequence[Concern]) -> Iterator[str]:
    for state in State:
        mine = [each for each in concerns if each.state is state]
        for kind in dict.fromkeys(each.kind for each in mine):
            same = [each for each in mine if each.kind is kind]
            count = sum(each.count for each in same)
            match state, kind:
                case State.REFUSED, _:
                    yield f"{pluralize(count, 'call')} {form(count, 'is')} refused"
                case State.HELD, SubjectKind.SUPPRESSED:
                    yield "the lists of suppressed users are held"
                case State.HELD, SubjectKind.DESTINATION:
                    yield f"{pluralize(count, 'mapping')} {form(count, 'is')} held"
                case State.FAILED, SubjectKind.RUN:
                    yield f"{' and '.join(each.name for each in same)} failed"
                case State.FAILED, SubjectKind.HOOK:
                    yield f"{pluralize(count, 'hook')} of `on_run` failed"
                case State.FAILED, _:
                    yield f"{pluralize(count, _KINDS[kind])} failed"
                case State.WAITING, _:
                    yield f"{pluralize(count, 'audience')} {'waits' if count == 1 else 'wait'} for a seed"
                case State.SIZE, _:
                    yield f"{pluralize(count, 'audience')} {form(count, 'has')} an unusual size"
                case _:
                    yield f"{pluralize(count, _KINDS.get(kind, kind.value))} {form(count, 'is')} {state.value}"
