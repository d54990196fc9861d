"""Looking back is readable on terminals of 80 and 60 columns and in a pipe: no id, run, reason or error is cut."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import Project, segment
from .terminal import at_a_terminal

LONG = "order_completed_in_the_last_30_days"
REFUSED = Reply(400, body=b'{"error": "Invalid email address for the user of this call, see the log"}')
#: Each with words of its answer that must be there at every width, whatever line they are on.
COMMANDS = {
    "history": ("history", ["run", " 2 ", " held ", "partial", "failed", "there is no column 'user_id'"]),
    "history of one audience": ("history big", ["run", "there is no column 'user_id'"]),
    "status": ("status", ["1 audience failed", f"Held: {LONG}", f"approve 3 {LONG}", "Refused by seg", "retry"]),
    "show a run with refusals": ("show 1", ["Run 1 partial", "Invalid email address for the user of this call", LONG]),
    "show a held run": ("show 2", [f"Held: {LONG}", "approve 3", "u00, u01, u02, u03, u04 and 15 more"]),
    "show a failed run": ("show 3", ["Failed: big", "there is no column 'user_id'"]),
    "explain a refused user": ("explain u00", ["Refused by seg", "Invalid email address for the user of this call"]),
    "explain a long value": ("explain u01", ["and", "more characters"]),
    "explain an unknown user": ("explain nobody", ["There is no user 'nobody' in the store."]),
    "check": ("check", ["checks failed: 1 audience.", "FAILED", "there is no column 'user_id'"]),
    "db check": ("db check", ["The store is intact: 7 checks passed.", "all checksums match"]),
    "db current": ("db current", ["is up to date: schema"]),
    "schedule --list": ("schedule --list", ["30 4 * * mon-fri Europe/Berlin", LONG, "computed traits"]),
    "members": (f"members {LONG}", ["user_id,member_since", "u19,"]),
    "help": ("--help", ["explain", "history"]),
}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Run 1 was refused in part, run 2 is held, and run 3 could not load an audience."""
    project = Project(tmp_path_factory.mktemp("used"))
    with Receiver() as receiver:
        receiver.will_answer(REFUSED)
        project.configure(
            audiences=[
                {"name": LONG, "source": "shop", "file": "orders.csv"},
                {"name": "Big", "source": "shop", "file": "big.csv"},
            ],
            computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["bio", "city"]}],
            destinations={"seg": segment(receiver), "log": {"type": "file", "path": "calls.jsonl"}},
            guard={"max_removed": "30%", "at_least": 1},
            schedule={"cron": "30 4 * * mon-fri", "timezone": "Europe/Berlin"},
        )
        users = [f"u{number:02}" for number in range(20)]
        project.write_members("orders.csv", *users)
        project.write_members("big.csv", *users[:3])
        project.write("traits.csv", f"user_id,bio,city\nu01,{'x' * 5000},Llanfairpwllgwyngyll\n")
        project.run("sync")
        project.write_members("orders.csv", "u98", "u99")
        project.run("sync")
        project.write("big.csv", "customer_number\nu01\n")
        project.run("sync")
        yield project


def on_a_terminal(project: Project, width: int, arguments: list[str]) -> str:
    """What a person sees without colour."""
    return at_a_terminal(project, *arguments, width=width, environment={"NO_COLOR": "1"}).screen


def in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def too_long(text: str, width: int) -> list[str]:
    """Lines over the width, without those that are a command to paste."""
    return [
        line for line in text.splitlines() if len(line) > width and not re.match(" +(audience-sync|sqlite3) ", line)
    ]


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize(("command", "words"), COMMANDS.values(), ids=COMMANDS)
def test_an_answer_fits_the_terminal_and_nothing_is_cut(
    used: Project, command: str, words: list[str], width: int
) -> None:
    seen = on_a_terminal(used, width, command.split())
    assert (too_long(seen, width), seen.count("…")) == ([], 0)
    assert [each for each in words if each not in in_one_line(seen)] == []


@pytest.mark.parametrize(("command", "words"), COMMANDS.values(), ids=COMMANDS)
def test_in_a_pipe_each_text_is_on_one_line(used: Project, command: str, words: list[str]) -> None:
    seen = used.run(*command.split()).stdout
    assert ("…" in seen, "\x1b" in seen, "─" in seen) == (False, False, False)
    assert [each for each in words if each not in in_one_line(seen)] == []
