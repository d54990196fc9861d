"""Word and draw the stages of a run as rows of a timeline. Loading and comparing an audience share a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from audience_sync.dashboard.charts import timeline
from audience_sync.dashboard.links import href
from audience_sync.dashboard.queries.run import AudienceResult, Delivery, Stage
from audience_sync.project.history import PastRun
from audience_sync.text import pluralize
from audience_sync.web import formats

#: Rows of the timeline: the stages that took longest stay, in the order of time.
MOST_STAGES = 60
#: The subject of the stages that load and compare computed traits.
TRAITS = "computed traits"
_KINDS = {"compare": "self", "deliver": "ok"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a run found: for the words next to its stages. ``masked``: removes ids from a text."""

    run: PastRun
    audiences: Mapping[str, AudienceResult]
    deliveries: Mapping[str, Delivery]
    masked: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLine:
    """A row of the timeline. ``began``: seconds since the start of the run."""

    name: str
    svg: Markup
    began: str
    took: str
    result: str
    link: str


def stage_lines(results: Results, stages: Sequence[Stage], total: float) -> list[StageLine]:
    """The rows of the timeline in the order of time; of very many the longest ones. ``total``: seconds of the axis."""
    rows = _rows(stages)
    if len(rows) > MOST_STAGES:
        kept = sorted(rows, key=lambda each: -sum(part.seconds or total for part in each))[:MOST_STAGES]
        rows = [each for each in rows if each in kept]
    return [_line(results, parts, total) for parts in rows]


def _rows(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Stages that share a row: loading and comparing one audience."""
    rows, loading = list[list[Stage]](), dict[str | None, list[Stage]]()
    for each in stages:
        if each.stage == "compare" and each.subject in loading:
            loading.pop(each.subject).append(each)
            continue
        rows.append([each])
        if each.stage == "load":
            loading[each.subject] = rows[-1]
    return rows


def _line(results: Results, parts: Sequence[Stage], total: float) -> StageLine:
    run, first = results.run, parts[0]
    stage, subject = first.stage, first.subject
    audience = results.audiences.get(subject or "")
    delivery = results.deliveries.get(subject or "") if stage == "deliver" else None
    name = audience.name if audience else subject or ""
    words = ", ".join(each.stage for each in parts)
    began = (first.started_at - run.started_at).total_seconds()
    known = [each.seconds for each in parts if each.seconds is not None]
    is_open = len(known) < len(parts)
    link = href("audience", key=subject) if audience else href("destinations", anchor=subject or "") if delivery else ""
    drawn = list(_parts(run, parts, audience, delivery, total))
    return StageLine(
        name=f"{words} {name}".strip(),
        svg=timeline.row(total, drawn),
        began=f"+{formats.duration(max(began, 0.0))}" if began >= 0.0005 else "0",
        took=("running" if not run.is_over else formats.NOTHING) if is_open else formats.duration(sum(known)),
        result=results.masked(_result(first, audience, delivery, run)),
        link=link,
    )


def _parts(
    run: PastRun, parts: Sequence[Stage], audience: AudienceResult | None, delivery: Delivery | None, total: float
) -> Iterator[timeline.Part]:
    for each in parts:
        start = max((each.started_at - run.started_at).total_seconds(), 0.0)
        if each.stage == "deliver" and start >= total:  # the axis ends before it
            continue
        end = start + each.seconds if each.seconds is not None else total
        kind = _KINDS.get(each.stage, "out")
        if each.seconds is None:
            kind = "self" if not run.is_over else "none"
        elif audience is not None and audience.status in ("failed", "held") and each is parts[-1]:
            kind = "bad" if audience.status == "failed" else "act"
        elif each.stage == "guard" and run.held and audience is None:
            kind = "act"
        took = formats.duration(each.seconds) if each.seconds is not None else "not ended"
        title = f"{each.stage} {each.subject or ''}: {took}"
        yield timeline.Part(start, end, kind, title)
        if delivery is not None and each.seconds is not None and (delivery.refused or delivery.pending):
            cap = max((end - start) * (delivery.refused + delivery.pending) / max(delivery.calls, 1), total * 0.004)
            yield timeline.Part(max(end - cap, start), end, "self" if delivery.pending else "act", title)


def _result(stage: Stage, audience: AudienceResult | None, delivery: Delivery | None, run: PastRun) -> str:
    if delivery is not None:
        counts = ((delivery.delivered, "accepted"), (delivery.refused, "refused"), (delivery.pending, "pending"))
        named = [f"{formats.count(count)} {word}" for count, word in counts if count]
        return ", ".join([*named, pluralize(delivery.requests, "request")]) if delivery.requests else ", ".join(named)
    if audience is not None:
        if audience.status == "created":
            return f"first creation, {pluralize(audience.members_after, 'member')}"
        if audience.status == "synced":
            return " ".join(formats.change(each) for each in (audience.entered, -audience.left) if each) or "no change"
        return audience.status
    match stage.stage:
        case "commit":
            return "in one transaction"
        case "guard" if run.held:
            return f"held {pluralize(run.held, 'audience')}"
        case "load" | "compare" if stage.subject == TRAITS and run.trait_users_changed is not None:
            return f"{pluralize(run.trait_users_changed, 'user')} changed"
        case _:
            return ""
