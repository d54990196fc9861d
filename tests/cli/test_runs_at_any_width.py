"""The answer of every command that makes, previews or decides a run is readable at 80 and 60 columns and in a pipe."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import Project, segment
from .test_readable_at_any_width import in_one_line, on_a_terminal

LONG = "order_completed_in_the_last_30_days"
REASON = "Invalid email address for the user of this call, see the log of the receiving service"
REFUSED = Reply(400, body=f'{{"error": "{REASON}"}}'.encode())
#: Each with words of its answer that must be there at every width, whatever line they are on.
COMMANDS = {
    "sync": ("sync", ["Run 5 failed", f"Held: {LONG}", "run 3,", f"approve 5 {LONG}", "Waiting: by_hand"]),
    "plan": ("plan", [f"Held: {LONG}", "run 3,", f"approve 3 {LONG}", "plan by_hand", "customer_number"]),
    "plan of a seed": ("plan by_hand", ["3 users would enter", "seed by_hand", "u00", '"userId":"u00"']),
    "seed": ("seed by_hand", ["Run 5 ", REASON, "u00, u01, u02", "retry --destination seg"]),
    "seed of a held audience": (f"seed {LONG}", [f"Run 5 held {LONG}", "run 3,", f"approve 5 {LONG}"]),
    "approve": ("approve 3", ["Run 5 approved what run 3 held", LONG, REASON, "retry --destination seg"]),
    "reject": ("reject 3", [f"Rejected for {LONG}", "2 entering, 20 leaving"]),
    "resync": ("resync", ["Run 5 ", REASON, "retry --destination seg"]),
    "retry": ("retry", ["Run 5 ", REASON, "retry --destination seg"]),
    "retire": (f"retire {LONG} --yes", [f"Run 5 retired {LONG}", LONG]),
    "preview of retire": (
        f"retire {LONG} --dry-run",
        [f"Retire {LONG}: sends false to 20 users", f"{LONG} false", f"audience-sync retire {LONG}"],
    ),
    "preview of undo": ("undo 1 --dry-run", ["Undo run 1 (sync, ", LONG, "audience-sync undo 1"]),
    "undo": ("undo 1 --yes", ["Run 5 undid run 1", LONG]),
    "freeze": (f"freeze {LONG} --reason on-leave", [LONG, f"audience-sync unfreeze {LONG}"]),
    "unfreeze": (f"unfreeze {LONG}", [LONG]),
    "suppress": ("suppress u00", ["1 user suppressed"]),
    "erase": ("erase u00", ["1 user erased"]),
    "test-destination": ("test-destination seg --user u00", ["Refused: HTTP 400", REASON, "user u00"]),
}


@pytest.fixture(scope="module")
def receiver_of_all() -> Iterator[Receiver]:
    """Refuses every call."""
    with Receiver() as running:
        running.will_answer(REFUSED)
        yield running


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, receiver_of_all: Receiver) -> Path:
    """Run 1 was refused, run 3 holds an audience, and run 4 could not load another."""
    project = Project(tmp_path_factory.mktemp("used"))
    project.configure(
        audiences=[
            {"name": LONG, "source": "shop", "file": "orders.csv"},
            {"name": "Big", "source": "shop", "file": "big.csv"},
            {"name": "By hand", "source": "shop", "file": "big_before.csv", "initial": "manual"},
        ],
        destinations={"seg": segment(receiver_of_all), "log": {"type": "file", "path": "calls.jsonl"}},
        guard={"max_removed": "30%", "at_least": 1},
    )
    users = [f"u{number:02}" for number in range(20)]
    project.write_members("orders.csv", *users)
    project.write_members("big.csv", *users[:3])
    project.write_members("big_before.csv", *users[:3])
    project.run("sync")
    project.run("sync")
    project.write_members("orders.csv", "u98", "u99")
    project.run("sync")
    project.run("seed", "big")
    project.write("big.csv", "customer_number\nu01\n")
    return project.folder


@pytest.fixture
def a_copy(used: Path, tmp_path: Path) -> Project:
    shutil.copytree(used, tmp_path / "copy")
    return Project(tmp_path / "copy")


def too_long(text: str, width: int) -> list[str]:
    """Lines over the width; not a command, and not a request, which is shown as it is to be pasted."""
    pasted = re.compile(r" +(audience-sync|sqlite3|tail) |  (POST http|[A-Z][A-Za-z-]+: |\{)")
    return [line for line in text.splitlines() if len(line) > width and not pasted.match(line)]


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize(("command", "words"), COMMANDS.values(), ids=COMMANDS)
def test_an_answer_fits_the_terminal_and_nothing_is_cut(
    a_copy: Project, command: str, words: list[str], width: int
) -> None:
    seen = on_a_terminal(a_copy, width, command.split())
    assert (too_long(seen, width), seen.count("…"), "Traceback" in seen) == ([], 0, False)
    assert [each for each in words if each not in in_one_line(seen)] == []


@pytest.mark.parametrize(("command", "words"), COMMANDS.values(), ids=COMMANDS)
def test_in_a_pipe_each_text_is_on_one_line(a_copy: Project, command: str, words: list[str]) -> None:
    seen = a_copy.run(*command.split()).stdout
    assert ("…" in seen, "\x1b" in seen, "─" in seen) == (False, False, False)
    assert [each for each in words if each not in in_one_line(seen)] == []
