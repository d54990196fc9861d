"""Derive from a run's report what needs attention, and which alerts start and end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from audience_sync.config.sections.notify import Notify
from audience_sync.model import AlertKind, AudienceStatus
from audience_sync.store.alerts.alerts import Alert, OpenAlert, Subject
from audience_sync.store.runs.schedule_slots import Slot
from audience_sync.sync.values.report import Report
from audience_sync.text import pluralize

#: Runs needed before a size can be unusual, and the smallest difference that can be, in members.
MIN_SIZES, MIN_DIFFERENCE = 5, 100
#: Subjects of alerts that belong to no audience and no destination.
RUN, TRAITS, CONFIG = "run", "computed traits", "config"

Conditions = dict[Subject, str | None]
#: A kind, a subject, and why it needs attention; None if all is well.
Condition = tuple[AlertKind, str, str | None]


def conditions(
    report: Report,
    notify: Notify,
    *,
    slots: Sequence[Slot],
    began_at: datetime,
    open_before: Collection[Subject],
    sizes: Mapping[str, Sequence[int]],
) -> Conditions:
    """The conditions that the run checked, by subject: why it needs attention, or None if all is well.

    ``sizes``: member counts of earlier runs, by key, for the audiences whose size is checked.
    """
    found: Conditions = {}
    for kind, subject, text in (
        *_audiences(report),
        *_run(report),
        *_destinations(report, notify, open_before),
        *_sizes(report, notify, sizes),
        *_late(slots, notify, began_at),
    ):
        key = (kind, subject)
        found[key] = found.get(key) or text
    return found


def audiences_to_compare(report: Report, open_before: Collection[Subject]) -> list[str]:
    """The keys of audiences whose size changed, or was unusual before."""
    return [
        each.key
        for each in report.audiences
        if each.status in (AudienceStatus.SYNCED, AudienceStatus.UNCHANGED)
        and (each.entered or each.left or (AlertKind.SIZE, each.key) in open_before)
    ]


def without_subject(open_before: Collection[Subject], subjects: Collection[str] | None) -> list[Subject]:
    """Open alerts about an audience or destination that no longer exists. ``subjects``: all that do, if listed."""
    if subjects is None:
        return []
    return [each for each in open_before if each[0] is not AlertKind.LATE and each[1] not in subjects]


def changed_texts(found: Conditions, open_before: Mapping[Subject, OpenAlert]) -> dict[int, str]:
    """New texts of alerts that stay open with other numbers, by the alert's id."""
    both = {subject: text for subject, text in found.items() if text and subject in open_before}
    return {open_before[each].id: text for each, text in both.items() if open_before[each].text != text}


def started_alerts(found: Conditions, open_before: Collection[Subject]) -> list[Alert]:
    return [Alert(*subject, text) for subject, text in found.items() if text and subject not in open_before]


def ended_alerts(found: Conditions, open_before: Collection[Subject]) -> list[Subject]:
    return [subject for subject, text in found.items() if not text and subject in open_before]


def _audiences(report: Report) -> Iterator[Condition]:
    for each in report.audiences:
        failed = each.status is AudienceStatus.FAILED
        yield AlertKind.FAILED, each.key, (each.error or "it failed") if failed else None
        if not failed:  # of a failed audience an earlier hold may still be open
            yield AlertKind.HELD, each.key, each.held.message if each.held else None


def _run(report: Report) -> Iterator[Condition]:
    yield AlertKind.FAILED, TRAITS, "\n".join(report.traits.errors) or None
    yield AlertKind.HELD, TRAITS, "\n".join(dict.fromkeys(each.message for _, each in report.traits.held)) or None
    yield AlertKind.FAILED, RUN, "\n".join(report.errors) or None
    yield AlertKind.HELD, RUN, "\n".join(report.held) or None


def _destinations(report: Report, notify: Notify, open_before: Collection[Subject]) -> Iterator[Condition]:
    for each in report.destinations:
        broken = each.error if not each.rate_limited else ""
        if each.calls or broken:  # a run without calls shows nothing about a destination
            pending = f"{pluralize(each.pending, 'call')} pending; the next run sends them"
            yield AlertKind.FAILED, each.name, f"{broken}. {pending}" if broken else None
        many = each.calls and each.refused / each.calls > notify.max_refused
        if many or not (each.still_refused and (AlertKind.REFUSED, each.name) in open_before):
            refused = f"{each.refused:,} of {pluralize(each.calls, 'call')} refused"
            text = f"{refused}. The reasons: audience-sync show {report.run}"
            yield AlertKind.REFUSED, each.name, text if many else None


def _sizes(report: Report, notify: Notify, sizes: Mapping[str, Sequence[int]]) -> Iterator[Condition]:
    for each in report.audiences:
        known = sizes.get(each.key, ())
        if len(known) < MIN_SIZES:
            continue
        from statistics import median  # the import costs 6 ms

        usual = round(median(known))
        away = abs(each.after - usual)
        unusual = away >= MIN_DIFFERENCE and away > notify.size * usual
        text = f"{pluralize(each.after, 'member')}; usually there are about {usual:,}"
        yield AlertKind.SIZE, each.key, text if unusual else None


def _late(slots: Sequence[Slot], notify: Notify, began_at: datetime) -> Iterator[Condition]:
    for each in slots:
        first = each.since or each.due_at
        late = began_at - first
        whole = timedelta(seconds=round(late.total_seconds()))
        text = f"due at {first:%Y-%m-%d %H:%M} UTC, it began {whole} late"
        if each.missed:
            text += f", for {pluralize(each.missed + 1, 'time')} at once"
        yield AlertKind.LATE, each.schedule, text if late > notify.late else None
