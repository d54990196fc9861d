"""A person sees what would be sent before they confirm, and nothing is sent without a confirmation."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest

from audience_sync.cli.base.layout import Screen
from audience_sync.cli.base.session import Session
from audience_sync.cli.views.preview import sends_table
from audience_sync.cli.wiring import confirm as confirmed
from audience_sync.project.run_details import Details
from audience_sync.project.values import Plan
from audience_sync.sync.preview.forecast import Forecast
from audience_sync.sync.preview.plan import RunPreview, Sends
from audience_sync.sync.preview.plan_file import PlanFile
from audience_sync.sync.values.findings import RunFindings

FORECASTS = [
    Forecast(name="log", address="s3://calls", rate_limit=50.0, calls=3, requests=3),
    Forecast(name="late", address="s3://late", rate_limit=None),
]
FOUND = RunPreview(
    saved=cast(PlanFile, SimpleNamespace(refuse_other=None)),
    findings=RunFindings(),
    forecasts=FORECASTS,
    largest=[],
    sends={"log": [Sends("vip", "false", 2), Sends("vip", "true", 1)]},
)
PLAN = Plan(preview=FOUND, details=Details(), counts_sends=True)
SHOWN = (
    "It is for good.\n\n"
    "destination  calls  requests   time  sends\n"
    "log              3         3  < 1 s  vip false to 2\n"
    "                                     vip true to 1\n"
    "Destinations without calls: late.\n"
)
Ask = Callable[..., bool]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Whether the order was carried out."""

    def asked(typed: io.StringIO, *, yes: bool = False, as_json: bool = False) -> bool:
        done: list[Any] = []
        monkeypatch.setattr(sys, "stdin", typed)

        def execute(session: Session, make: Callable[..., Any], **options: Any) -> Any:
            return make(None)

        def undo(**options: Any) -> Any:
            done.append(options)
            return SimpleNamespace(exit_code=1)

        monkeypatch.setattr(confirmed, "make_run", execute)
        with click.Context(click.Command("undo"), info_name="undo"):
            code = confirmed.confirm_and_run(
                Session(as_json=as_json),
                undo,
                lambda progress: PLAN,
                "Do it?",
                lambda plan, screen: [["It is for good."], sends_table(plan.preview, screen)],
                yes=yes,
                dry_run=False,
            )
        assert code == len(done)
        return bool(done)

    return asked


@pytest.mark.parametrize(("typed", "agreed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_person_sees_what_would_be_sent_and_is_asked(
    ask: Ask, capsys: pytest.CaptureFixture[str], typed: str, agreed: bool
) -> None:
    assert ask(Terminal(typed)) is agreed
    shown = capsys.readouterr()
    assert shown.out == (SHOWN if agreed else f"{SHOWN}Nothing was changed or sent.\n")
    assert shown.err == "\nDo it? [y/N]: "


def test_a_coloured_terminal_has_what_is_sent_in_the_table() -> None:
    assert sends_table(FOUND, Screen(60, colour=True))[1:] == [
        "log              3         3  < 1 s  vip false to 2",
        "                                     vip true to 1",
        "Destinations without calls: late.",
    ]


def test_a_narrow_terminal_has_what_is_sent_under_its_row() -> None:
    assert sends_table(FOUND, Screen(50)) == [
        "destination  calls  requests   time",
        "log              3         3  < 1 s",
        "  vip false to 2",
        "  vip true to 1",
        "Destinations without calls: late.",
    ]


def test_whoever_said_yes_beforehand_is_not_asked(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(io.StringIO(), yes=True)
    assert capsys.readouterr().out == ""


def test_without_a_terminal_it_is_shown_and_refused(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        click.ClickException,
        match=r"undo needs a confirmation, and there is no terminal to ask\. Nothing was changed or sent\.",
    ):
        ask(io.StringIO("y\n"))
    assert capsys.readouterr().out == SHOWN


def test_stdout_is_kept_free_for_json(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(Terminal("y\n"), as_json=True)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"{SHOWN}\nDo it? [y/N]: ")
