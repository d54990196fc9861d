"""Every command that changes something records who gave it, where, and why."""

from __future__ import annotations

import getpass
import socket

import pytest
from conftest import PostgreSQL
from destinations.receiver import Receiver, Reply
from sqlalchemy import NullPool, create_engine, text

from .conftest import Project, segment

DECISIONS = "select command, subject, run, reason from decisions order by decision"
WHO = "select distinct decided_by, host from decisions"
VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}


def test_each_command_is_one_row_with_its_subject_run_and_reason(vip: Project) -> None:
    vip.configure(audiences=[VIP], guard={"at_least": 1})
    vip.sync()
    assert vip.run("freeze", "vip", "--reason", "it is rebuilt").code == 0
    assert vip.run("unfreeze", "vip", "--reason", "it is ready").code == 0
    vip.write_members("vip.csv", "ada")
    assert vip.sync().code == 4
    assert vip.run("reject", "2", "--reason", "half an export").code == 0
    assert vip.sync().code == 4
    assert vip.run("approve", "3", "--reason", "it is right after all").code == 0
    assert vip.run("undo", "4", "--yes", "--reason", "it was not").code == 0
    assert vip.run("resync", "vip", "--destination", "log", "--reason", "it lost its data").code in (0, 4)
    assert vip.run("retry", "--destination", "log", "--reason", "corrected").code in (0, 4)
    assert vip.run("suppress", "bob", "cyd", "--reason", "they asked").code == 0
    assert vip.run("unsuppress", "bob", "--reason", "he came back").code == 0
    assert vip.run("erase", "cyd", "--reason", "ticket 12").code == 0
    assert vip.run("retire", "vip", "--yes", "--reason", "the campaign is over").code in (0, 4)
    assert vip.query(DECISIONS) == [
        ("freeze", "vip", None, "it is rebuilt"),
        ("unfreeze", "vip", None, "it is ready"),
        ("reject", "vip", 2, "half an export"),
        ("approve", "vip", 4, "it is right after all"),
        ("undo", "run 4", 5, "it was not"),
        ("resync", "vip at log", 6, "it lost its data"),
        ("retry", "log", 7, "corrected"),
        ("suppress", "2 users", None, "they asked"),
        ("unsuppress", "1 user", None, "he came back"),
        ("erase", "1 user", None, "ticket 12"),
        ("retire", "vip", 8, "the campaign is over"),
    ]
    assert vip.query(WHO) == [(getpass.getuser(), socket.gethostname())]


def test_an_exception_in_a_sync_is_a_decision_and_a_plain_sync_is_none(vip: Project) -> None:
    assert vip.sync().code == 0
    assert vip.query(DECISIONS) == []
    vip.write_members("vip.csv")
    assert vip.sync("--accept", "vip", "--reason", "the shop is closed").code == 0
    vip.configure(audiences=[{**VIP, "key": "best"}])
    assert vip.sync("--move-key", "vip=best").code == 0
    assert vip.sync("--accept-clock").code == 0
    assert vip.sync("--reason", "a test of the new export").code == 0
    assert vip.query(DECISIONS) == [
        ("accept", "vip", 2, "the shop is closed"),
        ("move-key", "vip=best", 3, None),
        ("accept-clock", None, 4, None),
        ("sync", None, 5, "a test of the new export"),
    ]


def test_a_seed_is_a_decision_of_each_run_that_it_makes(vip: Project) -> None:
    vip.configure(audiences=[{**VIP, "initial": "manual"}])
    assert vip.run("seed", "vip", "--limit", "1", "--reason", "a first try").code == 0
    assert vip.run("seed", "vip", "--reason", "all of it").code == 0
    assert vip.query(DECISIONS) == [("seed", "vip", 1, "a first try"), ("seed", "vip", 2, "all of it")]


def test_a_command_that_changes_nothing_is_no_decision(vip: Project) -> None:
    vip.sync()
    assert vip.run("unfreeze", "vip").code == 0
    assert vip.run("unsuppress", "zoe").code == 0
    assert vip.run("approve", "1").code == 2
    assert vip.run("retire", "nothing", "--yes").code == 2
    assert vip.run("undo", "1", "--dry-run").code == 0
    assert vip.query(DECISIONS) == []


def test_a_snapshot_that_has_changed_since_is_not_recorded_as_approved(vip: Project) -> None:
    vip.configure(audiences=[VIP], guard={"at_least": 1})
    vip.sync()
    vip.write_members("vip.csv", "ada")
    assert vip.sync().code == 4
    vip.write_members("vip.csv", "bob")
    assert vip.run("approve", "2", "--reason", "it is right").code == 4
    assert vip.query(DECISIONS) == []


def test_an_erased_user_is_in_no_reason_and_a_suppressed_one_neither(vip: Project) -> None:
    vip.sync()
    vip.run("freeze", "vip", "--reason", "Ada and bob wrote; ADA's friend adamant too")
    vip.run("unfreeze", "vip", "--reason", "ada is content")
    vip.run("suppress", "bob", "--reason", "bob asked for it")
    vip.run("erase", "ada", "--reason", "request 7 of ada")
    assert vip.query("select reason from decisions order by decision") == [
        ("[user] and [user] wrote; [user]'s friend adamant too",),
        ("[user] is content",),
        ("[user] asked for it",),
        ("request 7 of [user]",),
    ]
    assert vip.query("select reason from freezes") == [("[user] and [user] wrote; [user]'s friend adamant too",)]


def test_a_secret_of_the_config_is_masked_in_a_reason(vip: Project, receiver: Receiver) -> None:
    vip.environment["KEY"] = "s3cret-key-of-segment"
    vip.configure(audiences=[VIP], destinations={"segment": segment(receiver, write_key="${KEY}")})
    receiver.will_answer(Reply(body=b'{"success": true}'))
    vip.sync()
    for command in (["freeze", "vip"], ["unfreeze", "vip"], ["resync"], ["suppress", "zoe"], ["erase", "zoe"]):
        assert vip.run(*command, "--reason", "the key s3cret-key-of-segment is new").code == 0
    assert vip.query("select distinct reason from decisions") == [("the key *** is new",)]
    assert vip.query("select reason from freezes") == [("the key *** is new",)]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("x" * 5_000, "x" * 5_000),
        ("two\r\nlines\n", "two\nlines"),
        ("\x1b[31mred\x07", "[31mred"),
        ("'); drop table runs; --", "'); drop table runs; --"),
        ("שלום 👋", "שלום 👋"),
    ],
    ids=["long", "lines", "control characters", "SQL", "any script"],
)
def test_a_reason_may_be_any_text(vip: Project, given: str, stored: str) -> None:
    vip.sync()
    assert vip.run("freeze", "vip", "--reason", given).code == 0
    assert vip.query("select reason from decisions") == [(stored,)]
    assert vip.run("resync", "--reason", given).code == 0
    assert "\x1b" not in vip.run("history").stdout + vip.run("show", "2").stdout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (" \n", "the reason is empty. Nothing was changed. Write why, or leave the option out"),
        ("x" * 10_001, "the reason has 10,001 characters, and at most 10,000 are stored"),
    ],
    ids=["empty", "too long"],
)
def test_a_reason_that_can_not_be_stored_is_refused_before_anything_is_changed(
    vip: Project, given: str, message: str
) -> None:
    vip.sync()
    refused = vip.run("freeze", "vip", "--reason", given)
    assert refused.code == 2
    assert message in " ".join(refused.stderr.split())
    assert vip.query("select count(*) from freezes") == [(0,)]


def test_with_sudo_the_person_is_the_one_who_used_it(vip: Project) -> None:
    vip.environment["SUDO_USER"] = "ana"
    vip.sync()
    vip.run("freeze", "vip")
    assert vip.query("select decided_by from decisions") == [("ana",)]
    assert vip.query("select started_by, host from sync_runs") == [("ana", socket.gethostname())]
    assert vip.query("select frozen_by from freezes") == [(f"ana on {socket.gethostname()}",)]


def test_show_and_history_name_the_person_and_the_reason(vip: Project) -> None:
    vip.environment["SUDO_USER"] = "ana"
    vip.configure(audiences=[VIP], guard={"at_least": 1})
    vip.sync()
    vip.write_members("vip.csv", "ada")
    vip.sync()
    vip.run("approve", "2", "--reason", "the shop is\nsmaller now")
    assert f"approved by ana on {socket.gethostname()}, run 3: the shop is smaller now" in vip.run("show", "2").stdout
    shown = vip.run("show", "3")
    assert f"By       ana on {socket.gethostname()}" in shown.stdout
    assert "Reason   the shop is smaller now" in shown.stdout
    (decision,) = vip.run("show", "3", "--json").json["decisions"]
    assert (decision["command"], decision["subject"], decision["reason"]) == (
        "approve",
        "vip",
        "the shop is\nsmaller now",
    )
    newest = vip.run("history", "--json").json["runs"][0]
    assert (newest["started_by"], newest["reason"]) == ("ana", "the shop is\nsmaller now")


def test_a_copy_of_the_store_has_the_decisions_and_its_own(vip: Project) -> None:
    vip.sync()
    vip.run("freeze", "vip", "--reason", "before the move")
    assert vip.run("db", "copy", "sqlite:///new.db", "--reason", "a faster disk").code == 0
    vip.store = vip.folder / "new.db"
    assert vip.query("select command, reason from decisions order by decision") == [
        ("freeze", "before the move"),
        ("db copy", "a faster disk"),
    ]


def test_decisions_on_postgresql(new_vip: Project, postgresql: PostgreSQL) -> None:
    new_vip.configure(store="${STORE}", audiences=[VIP], guard={"at_least": 1})
    new_vip.environment["STORE"] = url = postgresql.create()
    new_vip.sync("--upgrade")
    new_vip.write_members("vip.csv", "ada")
    new_vip.sync()
    assert new_vip.run("approve", "2", "--reason", "bob is gone").code == 0
    assert new_vip.run("erase", "bob", "--reason", "GDPR").code == 0
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    with engine.connect() as connection:
        found = connection.execute(text(DECISIONS.replace("from ", "from audience_sync."))).all()
    assert [tuple(row) for row in found] == [
        ("approve", "vip", 3, "[user] is gone"),
        ("erase", "1 user", None, "GDPR"),
    ]
