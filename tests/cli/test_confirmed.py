"""Does a person see what would be told before they say yes, and is nothing done without one?"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest

from audience_sync.cli import confirmed
from audience_sync.sync.findings import Findings
from audience_sync.sync.forecast import Forecast
from audience_sync.sync.order import Order
from audience_sync.sync.plan import Plan
from audience_sync.sync.saved import SavedPlan
from audience_sync.sync.tellings import Telling

FORECASTS = [Forecast("log", "s3://calls", 50.0, calls=3, requests=3), Forecast("late", "s3://late", None)]
FOUND = Plan(
    cast(SavedPlan, SimpleNamespace(refuse_other=None)),
    Findings(),
    FORECASTS,
    [],
    {"log": [Telling("vip", "false", 2), Telling("vip", "true", 1)]},
)
SHOWN = (
    "log: 3 identify calls to s3://calls, in 3 requests, 0 s at its rate limit.\n"
    "  vip: false to 2 users\n"
    "  vip: true to 1 user\n"
    "late: nothing to send.\n"
    "It is for good.\n"
)
Ask = Callable[..., bool]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Whether the order was carried out."""

    def asked(typed: io.StringIO, *, yes: bool = False, as_json: bool = False) -> bool:
        done = []
        monkeypatch.setattr(sys, "stdin", typed)
        monkeypatch.setattr(confirmed, "_look_ahead", lambda context, order: FOUND)
        monkeypatch.setattr(
            confirmed, "carry_out", lambda *order, **options: done.append(order) or SimpleNamespace(exit_code=1)
        )
        context: Any = SimpleNamespace(obj=SimpleNamespace(as_json=as_json))
        code = confirmed.carry_out_if_meant(
            context, Order("undo 1"), "Do it?", lambda found: ["It is for good."], yes=yes, dry_run=False
        )
        assert code == len(done)
        return bool(done)

    return asked


@pytest.mark.parametrize(("typed", "agreed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_person_sees_what_would_be_told_and_is_asked(
    ask: Ask, capsys: pytest.CaptureFixture[str], typed: str, agreed: bool
) -> None:
    assert ask(Terminal(typed)) is agreed
    said = capsys.readouterr().out
    assert said.startswith(f"{SHOWN}Do it? [y/N]: ")
    assert ("Nothing was changed or sent." in said) is not agreed


def test_whoever_said_yes_beforehand_is_not_asked(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(io.StringIO(), yes=True)
    assert capsys.readouterr().out == ""


def test_without_a_terminal_it_is_shown_and_refused(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.UsageError, match=r"There is no terminal .* Nothing was changed or sent\. .* add --yes"):
        ask(io.StringIO("y\n"))
    assert capsys.readouterr().out == SHOWN


def test_stdout_is_kept_free_for_json(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(Terminal("y\n"), as_json=True)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"{SHOWN}Do it? [y/N]: ")
