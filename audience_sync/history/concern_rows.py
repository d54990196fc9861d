"""Make concerns of rows of the public views, and word what happened, what it means and what to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby

from audience_sync.command_line import to_paste
from audience_sync.history.concerns import Concern, LateSchedule, Reason, State, SubjectKind
from audience_sync.history.view_rows import Row
from audience_sync.model import WebhookStatus
from audience_sync.text import by_reason, form, join_names, pluralize

#: The most reasons of refused calls that the text of a concern names; ``reasons`` has all.
MAX_REASONS = 3
#: If one run holds more audiences, they are one concern.
MAX_HELD = 5
#: Subjects of alerts that are neither an audience nor a destination, and their names in a sentence.
WHOLE = {"run": "the whole run", "computed traits": "computed traits", "config": "the config of the scheduler"}

#: What a run is doing in each stage, before the subject.
STAGES = {
    "load": "opening",
    "compare": "reading",
    "guard": "checking the limits of",
    "pending": "computing the calls",
    "commit": "committing",
    "deliver": "sending to",
    "record": "recording",
}
#: How the reason of a hold begins, and the error of a failed audience.
_HELD_SUBJECT = re.compile(r"\A[^:]*? (?:is|are) held: ")
_FAILED_SUBJECT = re.compile(r"\Aaudience '[^']*': ")


def failed_concerns(
    alerts: Sequence[Row], audiences: Mapping[str, Row], destinations: Collection[str]
) -> Iterator[Concern]:
    """Failures that have not ended; audiences that failed for one reason are one concern."""
    same: dict[str, list[Row]] = {}
    for row in alerts:
        subject, words = row["subject"], row["words"]
        is_whole, is_destination = subject in WHOLE, subject in destinations and subject not in audiences
        if not (is_whole or is_destination):
            same.setdefault(_FAILED_SUBJECT.sub("", words), []).append(row)
            continue
        sync = ("audience-sync sync",) if is_destination else ()
        yield Concern(
            state=State.FAILED,
            kind=SubjectKind.DESTINATION if is_destination else SubjectKind.RUN,
            subjects=(subject,),
            name=str(WHOLE.get(subject, subject) if is_whole else subject),
            text=words,
            commands=("audience-sync check", *sync),
            since_run=row["began_run"],
            since_at=row["began_at"],
        )
    for reason, rows in same.items():
        keys = tuple(row["subject"] for row in rows)
        yield Concern(
            state=State.FAILED,
            kind=SubjectKind.AUDIENCE,
            subjects=keys,
            name=_names(keys, audiences, "audience"),
            text=f"{reason.rstrip('.')}. {'Its' if len(keys) == 1 else 'Their'} members are unchanged.",
            commands=("audience-sync check",),
            count=len(keys),
            since_run=rows[0]["began_run"],
            since_at=rows[0]["began_at"],
        )


def held_concerns(holds: Sequence[Row], audiences: Mapping[str, Row]) -> Iterator[Concern]:
    """Open holds. One concern are the computed traits that are held for one reason, and many audiences of one run."""
    runs = Counter(row["last_run"] for row in holds)
    audiences_held = Counter(row["last_run"] for row in holds if row["kind"] == "audience")
    many = {run for run, count in audiences_held.items() if count > MAX_HELD}
    for _, rows in groupby(holds, partial(_hold_group, many=many)):
        group = list(rows)
        first, keys = group[0], tuple(row["key"] for row in group)
        kind = {"audience": SubjectKind.AUDIENCE, "mapping": SubjectKind.DESTINATION}.get(first["kind"])
        has_all = len(group) == runs[first["last_run"]] and len(group) > 1
        which = [str(first["last_run"]), *(() if has_all or first["kind"] == "suppressed" else keys)]
        reason = _HELD_SUBJECT.sub("", str(first["reason"])).rstrip(".")
        is_many = first["kind"] == "audience" and len(group) > 1
        look = (to_paste("show", first["last_run"]),) if is_many else ()
        yield Concern(
            state=State.HELD,
            kind=kind or SubjectKind(first["kind"]),
            subjects=keys,
            name=_hold_name(first["kind"], keys, audiences),
            text=_many_text(keys[0], reason) if is_many else f"{reason}. {_effect(first['kind'])}",
            commands=(*look, *(to_paste(verb, *which) for verb in ("approve", "reject"))),
            count=len(keys),
            since_run=min(row["run"] for row in group),
            since_at=min(row["held_at"] for row in group),
        )


def _hold_group(hold: Row, *, many: Collection[int]) -> tuple[object, ...]:
    """``many``: the runs that hold many audiences."""
    if hold["kind"] == "audience" and hold["last_run"] in many:
        return (hold["last_run"], hold["kind"])
    own = None if hold["kind"] == "computed_trait" else hold["key"]
    return (hold["last_run"], hold["kind"], hold["reason"], hold["run"], own)


def _many_text(key: str, reason: str) -> str:
    return f"their new snapshots change too much. For {key}: {reason}. Nothing of them was changed or sent."


def _hold_name(kind: str, keys: Sequence[str], audiences: Mapping[str, Row]) -> str:
    match kind:
        case "suppressed":
            return "the lists of suppressed users"
        case "mapping":
            return f"the mapping of {keys[0]}"
        case "computed_trait":
            return _names(keys, {}, "computed trait")
        case _:
            return _names(keys, audiences, "audience")


def _effect(kind: str) -> str:
    match kind:
        case "suppressed":
            return "No user was removed from them."
        case "mapping":
            return "Changes are sent under the former mapping."
        case _:
            return "Nothing of it was changed or sent."


def refused_concerns(rows: Sequence[Row]) -> Iterator[Concern]:
    """Calls that are refused now, one concern for each destination."""
    for destination in sorted({row["destination"] for row in rows}):
        mine = [row for row in rows if row["destination"] == destination]
        calls = sum(row["calls"] for row in mine)
        first = min(mine, key=lambda row: row["since_at"])
        reasons = _reasons(mine)
        named = [f"{each.text} ({each.calls:,})" for each in reasons[:MAX_REASONS]]
        more = len(reasons) - MAX_REASONS
        named += [pluralize(more, "more reason")] if more > 0 else []
        yield Concern(
            state=State.REFUSED,
            kind=SubjectKind.DESTINATION,
            subjects=(destination,),
            name=destination,
            text=f"{pluralize(calls, 'call')} {form(calls, 'is')} refused: {', '.join(named)}",
            commands=(to_paste("retry", "--destination", destination),),
            count=calls,
            reasons=reasons,
            since_run=first["since_run"],
            since_at=first["since_at"],
        )


def _reasons(rows: Iterable[Row]) -> tuple[Reason, ...]:
    """The reasons with their calls, the most frequent first; reasons that differ only in a size are one."""
    calls: dict[str, int] = {}
    for row in rows:
        status, reason = row["http_status"], " ".join((row["reason"] or "").split())
        answer = ": ".join(
            filter(None, [f"HTTP {status}" if status and f"HTTP {status}" not in reason else "", reason])
        )
        calls[answer or "no reason given"] = calls.get(answer or "no reason given", 0) + row["calls"]
    found = [Reason(shared, sum(calls[each] for each in alike)) for shared, alike in by_reason(calls).items()]
    return tuple(sorted(found, key=lambda each: (-each.calls, each.text)))


def waiting_concern(audience: Row, since: Row | None) -> Concern:
    """``since``: the run since which it waits, and when that started."""
    key = audience["key"]
    return Concern(
        state=State.WAITING,
        kind=SubjectKind.AUDIENCE,
        subjects=(key,),
        name=audience["name"] or key,
        text="it is new and waits for a person to seed it (`initial: manual`). Nothing is sent until then.",
        commands=tuple(to_paste(verb, key) for verb in ("plan", "seed")),
        since_run=since["since_run"] if since else None,
        since_at=since["since_at"] if since else None,
    )


def late_concerns(late: Sequence[LateSchedule], alerts: Sequence[Row]) -> Iterator[Concern]:
    """Schedules that are late now; an alert about another one shows that its last run was late."""
    for each in late:
        times = f", and {pluralize(each.missed - 1, 'later time')} {form(each.missed - 1, 'was')} missed"
        yield _late_concern(
            each.schedule,
            f"due at {each.due_at:%Y-%m-%d %H:%M} UTC{times if each.missed > 1 else ''}. No run has begun since.",
            ("audience-sync schedule", "audience-sync sync"),
            since_at=each.due_at,
        )
    for row in alerts:
        if row["subject"] not in {each.schedule for each in late}:
            commands = ("audience-sync schedule --list",)
            yield _late_concern(
                row["subject"], row["words"], commands, since_run=row["began_run"], since_at=row["began_at"]
            )


def _late_concern(
    schedule: str,
    text: str,
    commands: tuple[str, ...],
    *,
    since_run: int | None = None,
    since_at: datetime,
) -> Concern:
    return Concern(
        state=State.LATE,
        kind=SubjectKind.SCHEDULE,
        subjects=(schedule,),
        name=schedule,
        text=text,
        commands=commands,
        since_run=since_run,
        since_at=since_at,
    )


def size_concerns(alerts: Sequence[Row], audiences: Mapping[str, Row]) -> Iterator[Concern]:
    for row in alerts:
        key = row["subject"]
        yield Concern(
            state=State.SIZE,
            kind=SubjectKind.AUDIENCE,
            subjects=(key,),
            name=_names((key,), audiences, "audience"),
            text=row["words"],
            commands=(to_paste("history", key),),
            since_run=row["began_run"],
            since_at=row["began_at"],
        )


def unfinished_concerns(last: Row | None, stages: Sequence[Row]) -> Iterator[Concern]:
    """The newest run, if it is running or was interrupted. ``stages``: those in progress."""
    if last is None or last["status"] not in (State.RUNNING, State.INTERRUPTED):
        return
    run, is_running = last["run"], last["status"] == State.RUNNING
    what = "what it committed is stored, and the next run continues from there"
    counts = [f"{last[name] or 0:,} {name}" for name in ("delivered", "refused", "pending") if last[name]]
    yield Concern(
        state=State(last["status"]),
        kind=SubjectKind.RUN,
        subjects=(str(run),),
        name=f"run {run} ({last['command']})",
        text="; ".join([*_stage_texts(stages), ", ".join(counts) or "nothing is sent yet"]) if is_running else what,
        commands=(f"audience-sync show {run}",) if is_running else ("audience-sync sync",),
        count=last["pending"] or 0,
        since_run=run,
        since_at=last["started_at"],
    )


def _stage_texts(stages: Sequence[Row]) -> Iterator[str]:
    """What a run is doing: ``sending to connect and log``."""
    for stage in dict.fromkeys(row["stage"] for row in stages):
        subjects = [row["subject"] for row in stages if row["stage"] == stage and row["subject"]]
        yield f"{STAGES.get(stage, stage)} {join_names(subjects)}".strip()


def pending_concerns(rows: Sequence[Row], last: Row | None) -> Iterator[Concern]:
    is_running = last is not None and last["status"] == State.RUNNING
    is_seeding = last is not None and is_running and last["command"] == "seed"
    for row in rows:
        if not row["calls"]:
            continue
        calls, waiting = row["calls"], 0 if is_seeding else row["waiting"]
        which = f"run {last['run']}" if last is not None and is_running else "the next run"
        which = "the next `seed`" if waiting == calls else which
        rest = f", and the next `seed` the other {waiting:,}" if 0 < waiting < calls else ""
        them = "it" if calls == 1 else "them" if waiting in (0, calls) else f"{calls - waiting:,} of them"
        yield Concern(
            state=State.PENDING,
            kind=SubjectKind.DESTINATION,
            subjects=(row["destination"],),
            name=row["destination"],
            text=f"{pluralize(calls, 'call')} {form(calls, 'is')} pending; {which} sends {them}{rest}",
            commands=() if is_running or waiting == calls else ("audience-sync sync",),
            count=calls,
            since_run=row["since_run"],
            since_at=row["since_at"],
        )


def hook_concerns(rows: Sequence[Row], status: str) -> Iterator[Concern]:
    """Webhooks about runs that hooks have not accepted: they wait, or were given up. One concern for each hook."""
    for row in rows:
        if row["status"] != status:
            continue
        is_waiting = status == WebhookStatus.WAITING
        calls, reason = row["webhooks"], row["error"] or "no run has posted it yet"
        effect = "the next run posts what is due" if is_waiting else "no longer posted. Later runs still are"
        yield Concern(
            state=State.PENDING if is_waiting else State.FAILED,
            kind=SubjectKind.HOOK,
            subjects=(row["hook"],),
            name=f"on_run hook {row['hook']}",
            text=f"{pluralize(calls, 'webhook')} {form(calls, 'was')} not accepted ({reason}); {effect}.",
            commands=("audience-sync check --notify",),
            count=calls if is_waiting else 1,
            since_run=row["since_run"],
            since_at=row["since_at"],
        )


def _names(keys: Sequence[str], audiences: Mapping[str, Row], what: str) -> str:
    """The name of one audience, the key of one that has none, or the number of several."""
    if len(keys) > 1:
        return pluralize(len(keys), what)
    return (audiences[keys[0]]["name"] if keys[0] in audiences else None) or keys[0]
