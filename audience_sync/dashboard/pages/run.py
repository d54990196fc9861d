"""Show one run: its timeline, what it changed and sent, what was held, refused and invalid."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from audience_sync.command_line import to_paste
from audience_sync.dashboard.charts import timeline
from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.pages.run_timeline import Results, stage_lines
from audience_sync.dashboard.queries.decisions import read_run_decisions
from audience_sync.dashboard.queries.holds import Hold, read_run_holds
from audience_sync.dashboard.queries.invalid_rows import read_invalid_reasons, read_reading_run
from audience_sync.dashboard.queries.progress import read_progress
from audience_sync.dashboard.queries.run import (
    AUDIENCES,
    DELIVERIES,
    INVALID,
    REFUSALS,
    STAGES,
    AudienceResult,
    Delivery,
    Stage,
    read_audience_results,
    read_deliveries,
    read_refused,
    read_stages,
)
from audience_sync.dashboard.queries.runs import neighbours, read_run
from audience_sync.project.history import PastRun
from audience_sync.text import listed, pluralize
from audience_sync.web.errors import NotFoundError

#: Audiences that failed, and holds, of which each has a note.
MOST_FAILURES, MOST_HOLDS = 5, 5
#: Names of the other holds.
MOST_NAMES = 20
#: Audiences of a page of their table.
PAGE = 50
#: Audiences whose invalid rows an earlier run has listed.
MOST_NOT_READ = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What happened, what it means, what to do. ``hue``: act, bad, self or ok."""

    hue: str
    strong: str
    text: str
    commands: Sequence[str] = ()
    sample: Sequence[tuple[str, bool]] = ()
    sample_of: int = 0


def run_page(visit: Visit, *, rows: int = PAGE) -> Page:
    """Show a run, with ``rows`` audiences a page. Raises NotFoundError for a number that the store does not have."""
    number = visit.number("run")
    run = read_run(visit.connection, number)
    if run is None:
        raise NotFoundError(
            f"There is no run {number}.", commands=["audience-sync history"], title=f"There is no run {number}"
        )
    audiences, deliveries = read_audience_results(visit.connection, number), read_deliveries(visit.connection, number)
    holds, stages = read_run_holds(visit.connection, number), read_stages(visit.connection, number)
    earlier, later = neighbours(visit.connection, number)
    names = {each.audience_key: each.name for each in audiences}
    invalid = read_invalid_reasons(visit.connection, number)
    length, committed = _length(visit, run, stages), _before_delivery(run, stages)
    is_short = visit.choice("axis", ("commit",)) == "commit" and committed is not None
    total = committed if committed is not None and is_short else length
    results = Results(
        run=run,
        audiences={each.audience_key: each for each in audiences},
        deliveries={each.destination: each for each in deliveries},
        masked=visit.site.masked,
    )
    values = {"run": number}
    page = min(visit.number("number", 1), max((len(audiences) - 1) // rows + 1, 1))
    first = (page - 1) * rows
    return Page(
        template="run.html",
        context={
            "title": f"Run {number}",
            "here": "runs",
            "live": "" if run.is_over else "page",
            "run": run,
            "notes": [
                *_interruption(visit, run, later),
                *_failures(visit, run, audiences),
                *_hold_notes(visit, run, holds, names),
                *_stopped(visit, run, deliveries),
            ],
            "progress": read_progress(visit.connection, number, visit.now) if not run.is_over else None,
            "axis": timeline.axis(total),
            "stages": stage_lines(results, stages, total),
            "stage_count": len(stages),
            "is_short": is_short,
            "may_be_short": committed is not None and committed < length,
            "audiences": audiences[first : first + rows],
            "audience_count": len(audiences),
            "first": first,
            "page": page,
            "has_next": first + rows < len(audiences),
            "deliveries": deliveries,
            "refused": read_refused(visit.connection, number),
            "invalid": invalid,
            "not_read": _not_read(visit, number, audiences, {each.audience_key for each in invalid}),
            "decisions": read_run_decisions(visit.connection, number),
            "names": names,
            "earlier": earlier,
            "later": later,
        },
        datasets=(
            Dataset("stages", STAGES, values),
            Dataset("audiences", AUDIENCES, values),
            Dataset("deliveries", DELIVERIES, values),
            Dataset("refusals", REFUSALS, values),
            Dataset("invalid_rows", INVALID, values),
        ),
    )


def _length(visit: Visit, run: PastRun, stages: Sequence[Stage]) -> float:
    """The seconds of the time axis: the run's, or until the end of its last stage, or until now."""
    ends = [(each.started_at - run.started_at).total_seconds() + (each.seconds or 0.0) for each in stages]
    if not run.is_over:
        ends.append((visit.now - run.started_at).total_seconds())
    return max([*ends, run.seconds or 0.0, 0.001])


def _before_delivery(run: PastRun, stages: Sequence[Stage]) -> float | None:
    """The seconds until the first delivery, next to which the other stages are often too short to be seen."""
    starts = [(each.started_at - run.started_at).total_seconds() for each in stages if each.stage == "deliver"]
    return max(min(starts), 0.001) if starts else None


def _interruption(visit: Visit, run: PastRun, later: int | None) -> Iterator[Note]:
    if run.status != "interrupted":
        return
    went = f"Run {later} continued from there." if later else "The next run continues from there."
    yield Note(
        hue="self",
        strong="The process ended before the run did.",
        text=f"What it had committed is kept. {went}",
        commands=() if later else [visit.site.command("audience-sync sync")],
    )


def _failures(visit: Visit, run: PastRun, audiences: Sequence[AudienceResult]) -> Iterator[Note]:
    """Notes on the audiences that failed, or on the run's own error."""
    check = [visit.site.command("audience-sync check")]
    failed = [each for each in audiences if each.status == "failed"]
    for each in failed[:MOST_FAILURES]:
        others = "; the other audiences were not affected" if len(audiences) > 1 else ""
        effect = f"Its members stay the same{others}."
        text = f"{_sentence(visit.site.masked(each.error))} {effect}"
        yield Note(hue="bad", strong=f"{each.name} could not be loaded.", text=text, commands=check)
    if run.error and run.status == "failed" and not failed:
        yield Note(hue="bad", strong="The run failed.", text=visit.site.masked(run.error), commands=check)


def _stopped(visit: Visit, run: PastRun, deliveries: Sequence[Delivery]) -> Iterator[Note]:
    """Notes on deliveries that ended early."""
    for each in deliveries:
        if not each.error:
            continue
        rest = f" {pluralize(each.pending, 'call')} stayed pending; the next run sends them." if each.pending else ""
        yield Note(
            hue="self" if run.is_over else "act",
            strong=f"Delivery to {each.destination} ended early.",
            text=f"{_sentence(visit.site.masked(each.error))}{rest}",
        )


def _not_read(
    visit: Visit, run: int, audiences: Sequence[AudienceResult], listed: Collection[str | None]
) -> list[tuple[AudienceResult, int]]:
    """Audiences whose source has not changed, so that an earlier run has listed their invalid rows, with that run."""
    wanted = [each for each in audiences if each.invalid and each.audience_key not in listed][:MOST_NOT_READ]
    runs = [(each, read_reading_run(visit.connection, each.audience_key, run)) for each in wanted]
    return [(each, earlier) for each, earlier in runs if earlier is not None]


def _sentence(text: str) -> str:
    """The text as a sentence: with a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")


def _hold_notes(visit: Visit, run: PastRun, holds: Sequence[Hold], names: Mapping[str, str]) -> Iterator[Note]:
    """Notes on the first holds, the open ones before the others, and one on the rest."""
    found = sorted(holds, key=lambda each: each.status != "held")
    for each in found[:MOST_HOLDS]:
        yield _hold_note(visit, run, each, names.get(each.key, each.key))
    if not (more := found[MOST_HOLDS:]):
        return
    still = [each for each in more if each.status == "held"]
    last = max(each.last_run for each in still or more)
    which = listed([names.get(each.key, each.key) for each in more], most=MOST_NAMES)
    yield Note(
        hue="act" if still else "self",
        strong=f"{pluralize(len(more), 'more hold')}: {which}.",
        text="Each with its reason, and all that are held decided at once:" if still else "Each with its reason:",
        commands=[
            visit.site.command(to_paste(verb, last)) for verb in ("show", *(("approve", "reject") if still else ()))
        ],
    )


def _hold_note(visit: Visit, run: PastRun, hold: Hold, name: str) -> Note:
    is_open = hold.status == "held"
    facts = {
        "held": "Nothing of it was changed or sent. The other audiences were not affected.",
        "approved": f"A person approved it; run {hold.ended_run} used it."
        if hold.ended_run
        else "A person approved it.",
        "rejected": "A person rejected it.",
        "superseded": f"Run {hold.ended_run} got another snapshot." if hold.ended_run else "Another snapshot came.",
    }
    seen = f" Run {hold.last_run} met the same." if is_open and hold.last_run > run.run else ""
    which = (hold.last_run, hold.key) if hold.kind != "suppressed" else (hold.last_run,)
    commands = [visit.site.command(to_paste(verb, *which)) for verb in ("approve", "reject")]
    return Note(
        hue="act" if is_open else "self",
        strong=f"{name} {'is' if is_open else 'was'} held.",
        text=f"{visit.site.masked(hold.cause)} {facts.get(hold.status, '')}{seen}",
        commands=commands if is_open else (),
        sample=hold.sample,
        sample_of=hold.entered + hold.left,
    )
