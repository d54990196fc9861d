"""How are people told? One message for all that is new, to every address, through Apprise."""

from __future__ import annotations

from collections.abc import Sequence

from audience_sync.config.secrets import masked
from audience_sync.errors import NotifyError
from audience_sync.model import AlertKind
from audience_sync.store.alerts import News

#: Of so many things a message has the words; of more it gives the number.
MOST_LINES = 20
#: Seconds that the dead-man's switch has for its answer.
PATIENCE = 10
HEADINGS = {
    AlertKind.FAILED: "FAILED",
    AlertKind.HELD: "HELD",
    AlertKind.REFUSED: "REFUSED",
    AlertKind.SIZE: "UNUSUAL SIZE",
    AlertKind.LATE: "LATE",
}


def tell(addresses: Sequence[str], news: Sequence[News], *, run: int, secrets: Sequence[str]) -> Sequence[News]:
    """Tell every address; returns what was told. Raises NotifyError where one of them did not take it."""
    if not news or not addresses:
        return []
    send(
        addresses, masked(title(news, run), secrets), masked(body(news), secrets), is_good=all(e.is_over for e in news)
    )
    return news


def title(news: Sequence[News], run: int) -> str:
    """`audience-sync run 7: 2 held, 1 recovered`."""
    counts = {kind: sum(each.alert.kind is kind and not each.is_over for each in news) for kind in AlertKind}
    words = [f"{count:,} {HEADINGS[kind].lower()}" for kind, count in counts.items() if count]
    recovered = sum(each.is_over for each in news)
    return f"audience-sync run {run}: {', '.join([*words, f'{recovered:,} recovered'] if recovered else words)}"


def body(news: Sequence[News]) -> str:
    lines = [_line(each) for each in sorted(news, key=lambda each: each.is_over)]
    more = len(lines) - MOST_LINES
    return "\n".join([*lines[:MOST_LINES], *([f"... and {more:,} more: audience-sync history"] if more > 0 else [])])


def _line(news: News) -> str:
    kind, subject, words = news.alert
    if news.is_over:
        return f"RECOVERED {subject} (was: {HEADINGS[kind].lower()})"
    return f"{HEADINGS[kind]} {subject}: {words}"


def send(addresses: Sequence[str], heading: str, text: str, *, is_good: bool = True) -> None:
    """Send it to every address. Raises NotifyError where one is none that Apprise knows, or did not take it."""
    wrong = [
        f"the {ordinal(place)} address {problem}"
        for place, address in enumerate(addresses, 1)
        if (problem := _sent(address, heading, text, is_good=is_good))
    ]
    if wrong:
        raise NotifyError(f"of `notify.to` {', '.join(wrong)}")


def _sent(address: str, heading: str, text: str, *, is_good: bool) -> str | None:
    """What is wrong with the address, without the address."""
    from apprise import Apprise, NotifyType

    one = Apprise()
    if not one.add(address):
        return "is none that Apprise knows (the forms of addresses are in its documentation)"
    kind = NotifyType.SUCCESS if is_good else NotifyType.WARNING
    return None if one.notify(title=heading, body=text, notify_type=kind) else "did not take the message"


def ping(url: str) -> None:
    """Tell the dead-man's switch that runs are carried out. Raises NotifyError, without the address."""
    import requests

    try:
        answer = requests.get(url, timeout=PATIENCE)
    except requests.RequestException as error:
        raise NotifyError(f"`notify.ping` could not be called ({type(error).__name__})") from None
    if not answer.ok:
        raise NotifyError(f"`notify.ping` answered {answer.status_code}")


def ordinal(place: int) -> str:
    """`first`, `second`, ... `12th`."""
    return {1: "first", 2: "second", 3: "third"}.get(place, f"{place}th")
