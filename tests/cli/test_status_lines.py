"""`status` is one screen: what needs a person with its command, what continues by itself, one line of what is well."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from audience_sync.cli.base.layout import PIPE, Screen
from audience_sync.cli.views.status import status_lines
from audience_sync.history.concern_rows import held_concerns
from audience_sync.history.concerns import Attention, Concern, LastRun, Reason, State, SubjectKind
from audience_sync.project.status import exit_code_of_status, status_json

NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
SCREEN = Screen(80)
HELD = Concern(
    state=State.HELD,
    kind=SubjectKind.AUDIENCE,
    subjects=("active_in_app",),
    name="Active in App",
    text="the new snapshot removes 369 of 805 members (46%), and the limit is 25%. Nothing of it was changed or sent.",
    commands=("audience-sync approve 46 active_in_app", "audience-sync reject 46 active_in_app"),
    since_run=45,
    since_at=datetime(2026, 11, 28, 18, 0, tzinfo=UTC),
)
REFUSED = Concern(
    state=State.REFUSED,
    kind=SubjectKind.DESTINATION,
    subjects=("connect",),
    name="connect",
    text="10 calls are refused: device token has expired (7), e-mail address is not deliverable (3)",
    commands=("audience-sync retry --destination connect",),
    count=10,
    reasons=(Reason("device token has expired", 7), Reason("e-mail address is not deliverable", 3)),
    since_run=40,
    since_at=datetime(2026, 11, 26, 6, 0, tzinfo=UTC),
)
WAITING = Concern(
    state=State.WAITING,
    kind=SubjectKind.AUDIENCE,
    subjects=("win_back_winter",),
    name="Win Back Winter",
    text="it is new and waits for a person to seed it (`initial: manual`). Nothing is sent until then.",
    commands=("audience-sync plan win_back_winter", "audience-sync seed win_back_winter"),
    since_run=44,
    since_at=datetime(2026, 11, 28, 6, 0, tzinfo=UTC),
)
PENDING = Concern(
    state=State.PENDING,
    kind=SubjectKind.DESTINATION,
    subjects=("segment",),
    name="segment",
    text="125 calls are pending; the next run sends them",
    commands=("audience-sync sync",),
    count=125,
    since_run=46,
    since_at=datetime(2026, 11, 29, 6, 0, tzinfo=UTC),
)
RUN = LastRun(
    run=46,
    command="schedule",
    status="partial",
    started_at=datetime(2026, 11, 29, 6, 0, tzinfo=UTC),
    finished_at=datetime(2026, 11, 29, 6, 0, 1, tzinfo=UTC),
    seconds=0.8,
    delivered=20,
    refused=0,
    pending=125,
)
FOUND = Attention(
    needs_person=(HELD, REFUSED, WAITING),
    continuing=(PENDING,),
    last_run=RUN,
    audiences=6,
    well=4,
    destinations=("log",),
)
WELL = Attention(last_run=replace(RUN, status="succeeded", pending=0), audiences=6, well=6, destinations=("log",))


def test_a_normal_screen_has_each_concern_with_its_commands_and_one_line_of_what_is_well() -> None:
    assert status_lines(FOUND, SCREEN, now=NOW) == [
        "1 audience is held, 10 calls are refused, 1 audience waits for a seed.",
        "Held: active_in_app (since run 45, 2026-11-28 18:00 UTC, 15 h ago)",
        "  The new snapshot removes 369 of 805 members (46%), and the limit is 25%.",
        "  Nothing of it was changed or sent.",
        "    audience-sync approve 46 active_in_app",
        "    audience-sync reject 46 active_in_app",
        "Refused by connect: 10 calls (since run 40, 2026-11-26 06:00 UTC)",
        "  device token has expired (7), e-mail address is not deliverable (3)",
        "    audience-sync retry --destination connect",
        "Waiting: win_back_winter (since run 44, 2026-11-28 06:00 UTC, 27 h ago)",
        "  It is new and waits for a person to seed it (`initial: manual`). Nothing is",
        "  sent until then.",
        "    audience-sync plan win_back_winter",
        "    audience-sync seed win_back_winter",
        "Pending at segment: 125 calls (since run 46, 2026-11-29 06:00 UTC, 3 h ago)",
        "  The next run sends them.",
        "    audience-sync sync",
        "Last: run 46 was partial, 2026-11-29 06:00 UTC, 3 h ago, took 0.8 s.",
        "In order: 4 of 6 audiences, destination log.",
    ]


def test_with_room_the_blocks_are_separated() -> None:
    found = status_lines(replace(FOUND, needs_person=(HELD,), continuing=()), SCREEN, now=NOW)
    assert [number for number, line in enumerate(found) if not line] == [1, 7]


def test_if_all_is_well_the_answer_is_one_line_with_the_last_run() -> None:
    found = status_lines(WELL, SCREEN, now=NOW)
    assert found == ["Nothing needs a person. Run 46 succeeded, 2026-11-29 06:00 UTC, 3 h ago."]


def test_before_the_first_run_the_answer_is_the_command_that_starts_one() -> None:
    assert status_lines(Attention(), SCREEN, now=NOW) == ["There is no run yet. To start one:", "  audience-sync sync"]


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("count", [1, 4, 8, 9, 10, 11, 12, 20, 200])
def test_any_number_of_concerns_fits_24_lines_and_those_left_out_are_counted(count: int, width: int) -> None:
    held = tuple(
        replace(HELD, subjects=(f"audience_{n}",), commands=(f"audience-sync approve 46 audience_{n}",))
        for n in range(count)
    )
    found = status_lines(replace(FOUND, needs_person=held), Screen(width), now=NOW)
    assert len(found) <= 23
    left_out = count + 1 - sum(line.startswith(("Held: ", "Pending at ")) for line in found)
    more = [line for line in found if line.startswith("and ")]
    assert more == ([f"and {left_out} more: audience-sync status --all"] if left_out else [])
    assert len(status_lines(replace(FOUND, needs_person=held), PIPE, now=NOW)) > 4 * count


def test_a_note_names_what_could_not_be_checked() -> None:
    found = status_lines(WELL, PIPE, now=NOW, notes=["The schedules were not checked."])
    assert found[-1] == "The schedules were not checked."


def test_the_document_has_every_concern_with_its_commands() -> None:
    found = status_json(FOUND, now=NOW)
    assert found["headline"] == "1 audience is held, 10 calls are refused, 1 audience waits for a seed"
    assert [each["state"] for each in found["needs_person"]] == ["held", "refused", "waiting"]
    assert found["needs_person"][1]["reasons"][0] == {"reason": "device token has expired", "calls": 7}
    assert found["continuing"][0]["commands"] == ["audience-sync sync"]
    assert found["in_order"] == {"audiences": 4, "of_audiences": 6, "frozen": 0, "destinations": ["log"]}
    assert found["last_run"]["run"] == 46


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], 0),
        ([State.WAITING, State.RUNNING], 0),
        ([State.REFUSED], 1),
        ([State.PENDING], 1),
        ([State.LATE], 1),
        ([State.HELD, State.REFUSED], 4),
        ([State.FAILED, State.HELD], 3),
    ],
)
def test_the_exit_code_is_that_of_the_worst_concern(states: list[State], code: int) -> None:
    found = Attention(needs_person=tuple(replace(HELD, state=state) for state in states))
    assert exit_code_of_status(found) == code


def hold(key: str, *, run: int = 46, kind: str = "audience") -> dict[str, object]:
    reason = f"audience '{key}' is held: the new snapshot removes 100 of 200 members (50%), and the limit is 30%"
    return {"run": 45, "last_run": run, "kind": kind, "key": key, "reason": reason, "held_at": NOW}


def test_many_audiences_that_one_run_holds_are_one_concern_with_one_decision() -> None:
    (found,) = held_concerns([hold(f"a{number:03}") for number in range(200)], {})
    assert (found.count, len(found.subjects), found.name) == (200, 200, "200 audiences")
    assert found.commands == ("audience-sync show 46", "audience-sync approve 46", "audience-sync reject 46")
    assert status_lines(replace(FOUND, needs_person=(found,), continuing=()), SCREEN, now=NOW)[:10] == [
        "200 audiences are held.",
        "",
        "Held: a000, a001, a002 and 197 more (since run 45, 2026-11-29 09:00 UTC, now)",
        "  Their new snapshots change too much. For a000: the new snapshot removes 100 of",
        "  200 members (50%), and the limit is 30%. Nothing of them was changed or sent.",
        "    audience-sync show 46",
        "    audience-sync approve 46",
        "    audience-sync reject 46",
        "",
        "Last: run 46 was partial, 2026-11-29 06:00 UTC, 3 h ago, took 0.8 s.",
    ]


def test_few_audiences_are_concerns_of_their_own() -> None:
    found = [*held_concerns([hold(f"a{number}") for number in range(5)], {})]
    assert [each.subjects for each in found] == [(f"a{number}",) for number in range(5)]


def test_a_decision_on_many_names_them_if_the_run_holds_something_else_too() -> None:
    rows = [*(hold(f"a{number}") for number in range(6)), hold("plan", kind="computed_trait")]
    first, _ = held_concerns(rows, {})
    assert first.commands[1] == "audience-sync approve 46 a0 a1 a2 a3 a4 a5"


def test_a_pipe_names_every_key() -> None:
    failed = replace(HELD, state=State.FAILED, subjects=tuple(f"a{number:03}" for number in range(200)))
    (title,) = [line for line in status_lines(replace(FOUND, needs_person=(failed,)), PIPE, now=NOW) if "a000" in line]
    assert "a199" in title


def test_the_texts_of_the_least_urgent_go_first() -> None:
    """A hold keeps its reason while there is room, and a waiting audience loses its own."""
    found = status_lines(replace(FOUND, continuing=()), SCREEN, now=NOW, height=16)
    assert len(found) <= 15
    assert "  The new snapshot removes 369 of 805 members (46%), and the limit is 25%." in found
    assert "  device token has expired (7), e-mail address is not deliverable (3)" in found
    assert "Waiting: win_back_winter" in found
