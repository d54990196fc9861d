"""Each kind of difference is found, and what was added or renamed on purpose is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from . import deliberate
from .compare import contract_of, differences
from .deliberate import as_before
from .masks import mask_output, mask_table
from .play import Observation
from .recording import summaries
from .store import Table

FIRST = '{"messageId": "a1", "userId": "u001"}'
SECOND = '{"messageId": "b2", "userId": "u002"}'
INVALID = Table(["run", "reason"], [["1", "empty user id"]])
RUNS = Table(["run", "entered"], [["1", "2"]])
OLD = Observation(
    command="day 1, crm well: sync",
    exit_code=0,
    stdout="Run 1 succeeded: 2 entered.\n",
    stderr="",
    calls={"crm": [FIRST, SECOND]},
    views={"rejected_rows": INVALID, "sync_runs": RUNS},
    tables={"runs": Table(["id"], [["1"]])},
    snapshots=["1 user_id: ('u001',) ('u002',)"],
    revision="0022",
)


def with_view(name: str, view: Table) -> Observation:
    return replace(OLD, views={**OLD.views, name: view})


def test_the_same_is_no_difference() -> None:
    assert list(differences(OLD, OLD)) == []


DIFFERENT = {
    "another message id": replace(OLD, calls={"crm": [FIRST.replace("a1", "c3"), SECOND]}),
    "another order": replace(OLD, calls={"crm": [SECOND, FIRST]}),
    "a call is missing": replace(OLD, calls={"crm": [FIRST]}),
    "a call too many": replace(OLD, calls={"crm": [FIRST, SECOND, SECOND]}),
    "calls to another destination": replace(OLD, calls={"crm": [FIRST, SECOND], "log": [FIRST]}),
    "another count": replace(OLD, stdout="Run 1 succeeded: 3 entered.\n"),
    "another exit code": replace(OLD, exit_code=4),
    "a message": replace(OLD, stderr="warning\n"),
    "another value in a view": with_view("sync_runs", Table(["run", "entered"], [["1", "3"]])),
    "a row too many": with_view("sync_runs", Table(["run", "entered"], [["1", "2"], ["2", "0"]])),
    "a view without a column": with_view("sync_runs", Table(["run"], [["1"]])),
    "a view is gone": replace(OLD, views={"sync_runs": RUNS}),
    "another user in a snapshot file": replace(OLD, snapshots=["1 user_id: ('u001',) ('u003',)"]),
}


@pytest.mark.parametrize("new", DIFFERENT.values(), ids=DIFFERENT)
def test_a_difference_is_found(new: Observation) -> None:
    assert len(list(differences(OLD, new))) == 1


@pytest.mark.parametrize("new", DIFFERENT.values(), ids=DIFFERENT)
def test_a_recording_differs_too(new: Observation) -> None:
    [before], [after] = summaries([OLD], contract_of(OLD)), summaries([new], contract_of(OLD))
    assert before != after


def test_a_difference_names_the_command_and_shows_both() -> None:
    [found] = differences(OLD, DIFFERENT["another count"])
    assert found.splitlines() == [
        "day 1, crm well: sync",
        "  stdout:",
        "    @@ -1 +1 @@",
        "    -Run 1 succeeded: 2 entered.",
        "    +Run 1 succeeded: 3 entered.",
    ]


@pytest.mark.parametrize(
    "new",
    [
        with_view("trait_values", Table(["run"], [["1"]])),
        with_view("sync_runs", Table(["run", "left", "entered"], [["1", "0", "2"]])),
        replace(OLD, views={"invalid_rows": INVALID, "sync_runs": RUNS}),
        replace(OLD, stdout="Run 1 ended well: 2 entered.\n"),
    ],
    ids=["a new view", "a new column", "a renamed view", "other words"],
)
def test_an_addition_or_a_deliberate_change_is_none(new: Observation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliberate, "VIEWS", {"invalid_rows": "rejected_rows"})
    monkeypatch.setattr(deliberate, "WORDS", {r"(Run \d+) ended well": r"\1 succeeded"})
    assert list(differences(OLD, new)) == []
    assert list(summaries([OLD], contract_of(OLD))) == list(summaries([as_before(new)], contract_of(OLD)))


@pytest.mark.parametrize(("revision", "found"), [("0022", 1), ("0023", 0)])
def test_tables_are_compared_between_stores_of_one_schema(revision: str, found: int) -> None:
    new = replace(OLD, tables={"runs": Table(["id"], [["2"]])}, revision=revision)
    assert len(list(differences(OLD, new))) == found


def test_a_time_is_masked_as_the_run_that_started_then() -> None:
    changes = Table(["run", "changed_at"], [[2, "2026-01-31 08:00:00.123456"], [1, "2026-01-31 07:00:00.000000"]])
    masked = mask_table(changes, {"2026-01-31 08:00:00.123": 2})
    assert masked == Table(["run", "changed_at"], [["1", "<time>"], ["2", "<run 2>"]])


def test_output_is_masked_where_no_two_plays_are_alike() -> None:
    text = "run 3, started 2026-01-31 08:00, ended in 0.4 s: /shop/a.csv, http://127.0.0.1:4711/crm, Request  12"
    assert mask_output(text, folder="/shop", port=4711) == (
        "run 3, started TIME, ended in DURATION: FOLDER/a.csv, http://127.0.0.1:PORT/crm, Request  N"
    )
