"""What needs a person is on stderr where stdout is redirected, so that cron mails it; a run that is well is silent."""

from __future__ import annotations

import json
import os

import pytest
from destinations.receiver import Receiver, Reply
from forks import forks

from .conftest import Project, segment

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
TEST = {"name": "Test", "source": "shop", "file": "test.csv"}
INVALID = Reply(400, body=b"Invalid email address")
EMPTIED = (
    "Held: vip\n"
    "  Change   3 of 3 members (100%) would leave\n"
    "  Reason   the new snapshot is empty\n"
    "  Source   vip.csv of shop\n"
    "  Leaving  ada, bob, cyd\n"
    "\n"
    "  If the change is right:\n"
    "    audience-sync approve 2 vip\n"
    "  If it is wrong, correct the source; the next good snapshot ends the hold.\n"
    "  To drop this snapshot now:\n"
    "    audience-sync reject 2 vip\n"
)


def mailed(project: Project, *arguments: str) -> tuple[int, str]:
    """The exit code and what cron would mail of `audience-sync ... > /dev/null`."""
    code, _, err = forks().run(arguments, folder=project.folder, environment=project.environment, out=os.devnull)
    return code, err.decode()


def logged(project: Project, *arguments: str) -> str:
    """What is in a file after `audience-sync ... > FILE 2>&1`."""
    file = project.folder / "cron.log"
    forks().run(arguments, folder=project.folder, environment=project.environment, out=file, err=file)
    return file.read_text()


@pytest.fixture
def emptied(vip: Project) -> Project:
    """Run 1 made an audience of three; its next snapshot is empty."""
    vip.sync()
    vip.write_members("vip.csv")
    return vip


@pytest.fixture
def refused(vip: Project, receiver: Receiver) -> Project:
    """A destination that refuses every call."""
    receiver.will_answer(INVALID)
    vip.configure(audiences=[VIP], destinations={"seg": segment(receiver)})
    return vip


@pytest.fixture
def missing(vip: Project) -> Project:
    """One of two audiences has no file."""
    vip.configure(audiences=[VIP, TEST])
    return vip


@pytest.fixture
def waiting(vip: Project) -> Project:
    """An audience that waits for its seed."""
    vip.configure(audiences=[{**VIP, "initial": "manual"}])
    return vip


@pytest.mark.parametrize("options", [[], ["--json"], ["--quiet"], ["--quiet", "--json"]], ids=" ".join)
class TestWithoutAnOutput:
    def test_a_held_audience_is_mailed(self, emptied: Project, options: list[str]) -> None:
        assert mailed(emptied, "sync", *options) == (4, EMPTIED)

    def test_an_audience_that_could_not_be_loaded_is_mailed(self, missing: Project, options: list[str]) -> None:
        code, mail = mailed(missing, "sync", *options)
        assert code == 3
        assert mail.startswith("Failed: test\n  Reason  ")
        assert "test.csv" in mail
        assert mail.endswith("\n  After correcting it:\n    audience-sync check\n")

    def test_refused_calls_are_mailed(self, refused: Project, options: list[str]) -> None:
        assert mailed(refused, "sync", *options) == (
            1,
            "Refused by seg: 3 calls\n"
            "  3  HTTP 400: Invalid email address\n"
            "     ada, bob, cyd\n"
            "\n"
            "  These users keep their old values at seg. After correcting the data:\n"
            "    audience-sync retry --destination seg\n",
        )

    def test_a_stopped_destination_is_mailed(self, vip: Project, receiver: Receiver, options: list[str]) -> None:
        receiver.will_answer(Reply(401, b"invalid key"))
        vip.configure(audiences=[VIP], destinations={"seg": segment(receiver)})
        code, mail = mailed(vip, "sync", *options)
        assert code == 3
        assert "Stopped: seg\n  Reason   HTTP 401: " in mail
        assert "\n  Effect   3 calls are pending; the next run sends them\n" in mail

    def test_what_an_approval_holds_again_is_mailed(self, emptied: Project, options: list[str]) -> None:
        emptied.write_members("vip.csv", "dan")
        emptied.configure(audiences=[{**VIP, "guard": {"max_removed": "10%", "at_least": 1}}])
        assert emptied.sync().code == 4
        emptied.write_members("vip.csv", "dan", "eve", "fay", "gus")
        code, mail = mailed(emptied, "approve", "2", *options)
        assert code == 4
        assert mail.startswith("Held: vip\n  Change    3 of 3 members (100%) would leave, 4 users would enter\n")
        assert "\n    audience-sync approve 3 vip\n" in mail

    def test_what_refuses_an_approved_change_is_mailed(
        self, vip: Project, receiver: Receiver, options: list[str]
    ) -> None:
        vip.configure(audiences=[VIP], destinations={"seg": segment(receiver)})
        vip.sync()
        vip.write_members("vip.csv")
        assert vip.sync().code == 4
        receiver.will_answer(INVALID)
        code, mail = mailed(vip, "approve", "2", *options)
        assert code == 1
        assert mail.startswith("Refused by seg: 3 calls\n  3  HTTP 400: Invalid email address\n")

    def test_what_a_seed_was_refused_is_mailed(self, refused: Project, receiver: Receiver, options: list[str]) -> None:
        refused.configure(audiences=[{**VIP, "initial": "manual"}], destinations={"seg": segment(receiver)})
        code, mail = mailed(refused, "seed", "vip", *options)
        assert code == 1
        assert mail.startswith("Refused by seg: 3 calls\n  3  HTTP 400: Invalid email address\n     ada, bob, cyd\n")

    def test_what_is_well_is_silent(self, vip: Project, options: list[str]) -> None:
        assert mailed(vip, "sync", *options) == (0, "")
        vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")
        assert mailed(vip, "sync", *options) == (0, "")

    def test_what_waits_for_a_seed_is_silent(self, waiting: Project, options: list[str]) -> None:
        assert mailed(waiting, "sync", *options) == (0, "")
        assert mailed(waiting, "seed", "vip", *options) == (0, "")


class TestInOneFile:
    """After `2>&1` nothing is there twice."""

    def test_a_hold_is_there_once(self, emptied: Project) -> None:
        log = logged(emptied, "sync")
        assert log.startswith("Run 2 held 1 audience in ")
        assert log.endswith(f"\n\n{EMPTIED}")
        assert log.count("Held: vip\n") == 1

    def test_a_quiet_hold_is_there_alone(self, emptied: Project) -> None:
        assert logged(emptied, "sync", "--quiet") == EMPTIED

    def test_a_failure_is_there_once(self, missing: Project) -> None:
        assert logged(missing, "sync").count("Failed: test\n") == 1

    def test_refusals_are_there_once(self, refused: Project) -> None:
        assert logged(refused, "sync").count("Refused by seg: 3 calls\n") == 1

    def test_a_refused_seed_is_there_once(self, refused: Project, receiver: Receiver) -> None:
        refused.configure(audiences=[{**VIP, "initial": "manual"}], destinations={"seg": segment(receiver)})
        assert logged(refused, "seed", "vip").count("Refused by seg: 3 calls\n") == 1


def test_files_of_their_own_have_the_answer_and_what_needs_a_person(emptied: Project) -> None:
    done = emptied.run("sync")
    assert (done.code, done.stderr) == (4, EMPTIED)
    assert done.stdout.endswith(EMPTIED)


def test_json_stays_one_document_beside_the_mail(emptied: Project) -> None:
    done = emptied.run("sync", "--json")
    assert (json.loads(done.stdout)["status"], done.stderr) == ("held", EMPTIED)


def test_quiet_is_without_a_word_where_all_is_well(vip: Project) -> None:
    first = vip.run("sync", "--quiet")
    again = vip.run("sync", "--quiet", "--json")
    assert [(each.code, each.stdout, each.stderr) for each in (first, again)] == [(0, "", ""), (0, "", "")]


def test_a_hold_that_lasts_is_mailed_by_each_run(emptied: Project) -> None:
    mailed(emptied, "sync")
    code, mail = mailed(emptied, "sync", "--quiet")
    assert code == 4
    assert "\n  Since    run 2, " in mail
    assert "\n    audience-sync approve 3 vip\n" in mail


def test_a_config_that_is_no_yaml_is_mailed(vip: Project) -> None:
    vip.write("config.yaml", "audiences: [")
    code, mail = mailed(vip, "sync", "--quiet")
    assert code == 2
    assert "this is not YAML" in mail


class TestALogForPrograms:
    """`AUDIENCE_SYNC_LOG=json`: the same needs a line of its own, with the command, also where the run is quiet."""

    @pytest.fixture(autouse=True)
    def json_log(self, vip: Project) -> None:
        vip.environment["AUDIENCE_SYNC_LOG"] = "json"

    def lines(self, project: Project) -> list[tuple[str, str]]:
        _, mail = mailed(project, "sync", "--quiet")
        return [(line["level"], line["message"]) for line in map(json.loads, mail.splitlines())]

    def test_refused_calls_are_a_warning_in_each_run(self, refused: Project, receiver: Receiver) -> None:
        warning = (
            "warning",
            "destination seg: 3 calls are refused. After correcting the data: audience-sync retry --destination seg",
        )
        assert self.lines(refused) == [warning]
        assert self.lines(refused) == [warning]

    def test_a_hold_is_a_warning(self, emptied: Project) -> None:
        ((level, message),) = self.lines(emptied)
        assert level == "warning"
        assert message.startswith("audience 'vip' is held: the new snapshot is empty, and the last one had 3 members.")

    def test_a_failure_is_a_warning(self, missing: Project) -> None:
        ((level, message),) = self.lines(missing)
        assert level == "warning"
        assert message.startswith("audience 'test': no file 'test.csv' in ")

    def test_what_is_well_is_silent(self, vip: Project) -> None:
        assert self.lines(vip) == []
