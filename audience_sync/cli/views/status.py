"""Lay out `status` on one screen: what needs a person, with commands, what continues by itself, and what is well."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from audience_sync.cli.base.layout import COLOURS, INDENT, Screen, command, display_id, printable_lines, prose
from audience_sync.cli.base.output import short_duration
from audience_sync.history.attention_text import headline
from audience_sync.history.concerns import Attention, Concern, LastRun, State, SubjectKind
from audience_sync.text import ago, form, join_names, listed, pluralize

#: Lines of a normal terminal.
HEIGHT = 24
ALL = "audience-sync status --all"
#: Lines that are left for the shell's prompt.
_PROMPT = 1
#: The most keys in a title on a terminal.
_MAX_KEYS = 3
#: Kinds whose subjects are shown by the concern's name.
_NAMED = (SubjectKind.RUN, SubjectKind.SUPPRESSED, SubjectKind.HOOK)
_TITLES = {State.SIZE: "Unusual size"}


def status_lines(
    found: Attention, screen: Screen, *, now: datetime, height: int | None = HEIGHT, notes: Sequence[str] = ()
) -> list[str]:
    """Lay out the answer within ``height`` lines; None: without a limit. ``notes``: what could not be checked.

    If it does not fit, the lines between blocks go first. Then the texts of concerns go, the last concern's first, and
    then the last concerns, which are counted. A pipe gets everything.
    """
    concerns = [*found.needs_person, *found.continuing]
    head, foot = _head(found, screen, now), [line for note in notes for line in prose(note, screen)]
    if found.last_run is not None and concerns:
        foot += _foot(found, screen, now)
    full, brief = [_block(each, screen, now) for each in concerns], [_brief(each, screen) for each in concerns]
    room = None if screen.width is None or height is None else height - _PROMPT - len(head) - len(foot)
    spaced = [line for block in full for line in ("", *block)] + ([""] if foot else [])
    if room is None or len(spaced) <= room:
        return [*head, *spaced, *foot]
    for whole in range(len(concerns), -1, -1):
        blocks = [*full[:whole], *brief[whole:]]
        if sum(map(len, blocks)) <= room:
            return [*head, *(line for block in blocks for line in block), *foot]
    return [*head, *_first(brief, room, screen), *foot]


def _first(blocks: Sequence[Sequence[str]], room: int, screen: Screen) -> list[str]:
    """The first blocks that fit, and the number of the others."""
    lines = list[str]()
    for number, block in enumerate(blocks):
        if number and len(lines) + len(block) + 1 > room:
            return [*lines, *prose(f"and {len(blocks) - number:,} more: {ALL}", screen)]
        lines += block
    return lines


def _head(found: Attention, screen: Screen, now: datetime) -> list[str]:
    text = headline(found)
    if found.last_run is None:
        return [*prose(f"{text}. To start one:", screen), command("audience-sync sync", screen)]
    if not found.needs_person and not found.continuing:
        return prose(f"{text}. {_last_run(replace(found.last_run, seconds=None), now)}", screen)
    return prose(f"{text}.", screen)


def _last_run(run: LastRun, now: datetime) -> str:
    """``Run 46 succeeded, 2026-11-29 06:00 UTC, 3 h ago, took 0.8 s.``"""
    took = f", took {short_duration(run.seconds)}" if run.seconds is not None else ""
    return f"Run {run.run} {_status(run.status)}, {_since(run.started_at, now)}{took}."


def _status(status: str) -> str:
    match status:
        case "partial":
            return "was partial"
        case "held":
            return "was held"
        case "interrupted":
            return "was interrupted"
        case "running":
            return "is running"
        case _:
            return status


def _foot(found: Attention, screen: Screen, now: datetime) -> list[str]:
    last = found.last_run
    lines = [] if last is None else prose(f"Last: {_last_run(last, now).replace('Run', 'run', 1)}", screen)
    well = f"{found.well:,} of {pluralize(found.audiences, 'audience')}" if found.audiences else ""
    names = f"{form(len(found.destinations), 'destination')} {join_names(found.destinations)}"
    parts = [each for each in (well, names if found.destinations else "") if each]
    frozen = f" {pluralize(found.frozen, 'audience')} {form(found.frozen, 'is')} frozen." if found.frozen else ""
    return [*lines, *(prose(f"In order: {', '.join(parts)}.{frozen}", screen) if parts else [])]


def _block(each: Concern, screen: Screen, now: datetime) -> list[str]:
    """The title with since when, what happened, and the commands."""
    title = _title(each, screen)
    since = _since_text(each, now)
    lines = prose(f"{title} ({since})" if since else title, screen, hanging=INDENT)
    word = title.partition(" ")[0].rstrip(":")
    lines[0] = lines[0].replace(word, screen.styled(word, COLOURS.get(each.state.value)), 1)
    lines += prose(printable_lines(_text(each)), screen, indent=INDENT)
    return [*lines, *(command(text, screen, indent=INDENT + INDENT) for text in each.commands)]


def _brief(each: Concern, screen: Screen) -> list[str]:
    """The title and the first command."""
    return [
        *prose(_title(each, screen), screen, hanging=INDENT),
        *(command(text, screen, indent=INDENT * 2) for text in each.commands[:1]),
    ]


def _title(each: Concern, screen: Screen) -> str:
    title, most = _TITLES.get(each.state, each.state.value.capitalize()), None if screen.width is None else _MAX_KEYS
    subject = each.name if each.kind in _NAMED else listed(each.subjects, most=most)
    if each.state is State.HELD and each.kind is SubjectKind.DESTINATION:
        subject = each.name
    match each.state:
        case State.REFUSED:
            return f"Refused by {display_id(subject)}: {pluralize(each.count, 'call')}"
        case State.PENDING:
            what = "webhook" if each.kind is SubjectKind.HOOK else "call"
            return f"Pending at {display_id(subject)}: {pluralize(each.count, what)}"
        case _:
            return f"{title}: {display_id(subject)}"


def _text(each: Concern) -> str:
    """The text, without what the title has."""
    text = each.text
    if each.state is State.REFUSED:
        return text.partition(": ")[2]
    if each.state is State.PENDING and each.kind is SubjectKind.DESTINATION:
        text = f"{text.partition('; ')[2]}."
    return text[:1].upper() + text[1:]


def _since_text(each: Concern, now: datetime) -> str:
    run = f"run {each.since_run}" if each.since_run and each.kind is not SubjectKind.RUN else ""
    return ", ".join(filter(None, [f"since {run}" if run else "", _since(each.since_at, now)]))


def _since(moment: datetime | None, now: datetime) -> str:
    """``2026-11-29 06:00 UTC, 3 h ago``: relative only within two days."""
    if moment is None:
        return ""
    return ", ".join(filter(None, [f"{moment:%Y-%m-%d %H:%M} UTC", ago((now - moment).total_seconds())]))
