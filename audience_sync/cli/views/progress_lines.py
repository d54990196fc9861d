"""Word a run's progress: what it is loading, and each destination's counts, speed, time left and refusals."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from audience_sync.cli.base.layout import GAP, INDENT, Screen, prose, width_of
from audience_sync.pace import Pace
from audience_sync.project.progress import Delivering
from audience_sync.text import duration

#: Width of a bar, and of the room that is kept for a destination's counts, in characters.
BAR, COUNTS = 14, 44
#: From so many seconds on the time left is in minutes.
MINUTES_FROM = 100
#: What a run does between loading and sending, by stage.
BETWEEN = {
    "guard": "Checking the limits",
    "pending": "Computing the calls",
    "commit": "Committing the changes",
}


class Sending(Struct, frozen=True, kw_only=True):
    """The progress of one destination. ``answered`` of ``calls`` have an answer, ``refused`` of them a refusal."""

    name: str
    calls: int
    answered: int
    refused: int
    pace: Pace


def next_sending(before: Sending | None, event: Delivering, now: float) -> Sending:
    """The progress of a destination after another answer or pause."""
    answered = event.delivered + event.refused
    pace = Pace.started(now, answered) if before is None else before.pace.counted(now, answered)
    if event.pause is not None:
        pace = pace.waiting(event.pause)
    return Sending(name=event.destination, calls=event.calls, answered=answered, refused=event.refused, pace=pace)


def loading_text(number: int, of: int, what: str, screen: Screen) -> str:
    """``Loading 2 of 5: audience vip``, without the name if it does not fit. ``of``: 0 = it is not known how many."""
    count = f"Loading {number:,} of {max(of, number):,}" if of else f"Loading {number:,}"
    text = f"{count}: {what}"
    return text if screen.width is None or width_of(text) < screen.width else count


def sending_lines(sending: Sequence[Sending], screen: Screen, now: float, *, room: int = COUNTS) -> list[str]:
    """One line for each destination: its name, a bar if there is room, and its counts.

    A name that leaves too little room stands on a line of its own. ``room``: characters that are kept for the counts,
    so that the lines don't change their form with every digit.
    """
    width = screen.width or 0
    texts = [counts_text(each, now, room=room) for each in sending]
    room = max(room, *map(width_of, texts)) if texts else room
    for before, bar in (("Sending to ", True), ("", True), ("", False)):
        titles = [f"{before}{each.name}" for each in sending]
        widest = max(map(width_of, titles), default=0)
        if widest + len(GAP) + (BAR + len(GAP)) * bar + room <= width:
            parts = zip(titles, sending, texts, strict=True)
            return [
                GAP.join([_padded(title, widest), *([_bar(each, screen)] if bar else []), text])
                for title, each, text in parts
            ]
    stacked = zip(sending, texts, strict=True)
    return [line for each, text in stacked for line in (*prose(each.name, screen), *prose(text, screen, indent=INDENT))]


def _padded(title: str, width: int) -> str:
    return title + " " * (width - width_of(title))


def _bar(each: Sending, screen: Screen) -> str:
    filled = BAR if each.answered >= each.calls else each.answered * BAR // each.calls
    whole, rest = ("━", "─") if screen.blocks else ("#", "-")
    return screen.styled(whole * filled, "green") + screen.styled(rest * (BAR - filled), "dim")


def counts_text(sending: Sending, now: float, *, room: int = COUNTS) -> str:
    """``1,400 of 5,000  200/s, 18 s left, 0 refused``. In a pause the name is repeated where it fits."""
    counts = f"{sending.answered:,} of {sending.calls:,}{GAP}"
    named = counts + progress_text(sending, now)
    return named if width_of(named) <= room else counts + progress_text(sending, now, named=False)


def progress_text(sending: Sending, now: float, *, named: bool = True) -> str:
    """``200/s, 18 s left, 0 refused``; ``waiting for connect, 20 s, 0 refused``; ``done`` at the end."""
    if sending.answered >= sending.calls:
        return "done" if not sending.refused else f"done, {sending.refused:,} refused"
    return ", ".join([*_speed(sending, now, named=named), f"{sending.refused:,} refused"])


def progress_line(sending: Sending, now: float) -> str:
    """``segment: 2,200 of 4,700 calls answered, 0 refused, 200/s, 13 s left``."""
    speed = _speed(sending, now) if sending.answered < sending.calls else ()
    counts = f"{sending.answered:,} of {sending.calls:,} calls answered, {sending.refused:,} refused"
    return f"{sending.name}: {', '.join([counts, *speed])}"


def _speed(sending: Sending, now: float, *, named: bool = True) -> list[str]:
    """The pause, the time without an answer, or users a second and the time left: what the answers show."""
    pace = sending.pace
    if (wait := pace.wait_left(now)) is not None:
        return [f"waiting for {sending.name}" if named else "waiting", duration(wait)]
    if (silent := pace.silent(now)) is not None:
        return [f"no answer for {duration(silent)}"]
    rate, left = pace.rate(now), pace.seconds_left(now, sending.calls - sending.answered)
    speed = [f"{rate:,.0f}/s" if rate >= 1 else f"{rate * 60:,.0f}/min"] if rate else []
    return [*speed, *([f"{_left_text(left)} left"] if left is not None else [])]


def _left_text(seconds: float) -> str:
    """``18 s``, ``3 min``, ``2 h 5 min``: rounded, because it is an estimate."""
    return duration(seconds) if seconds < MINUTES_FROM else duration(round(seconds / 60) * 60)
