"""Whatever a destination's own code raises, at whichever moment, belongs to that destination alone."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from .conftest import Call, Project, Result

ERRORS = (
    "ValueError",
    "TypeError",
    "KeyError",
    "AttributeError",
    "UnicodeDecodeError",
    "RecursionError",
    "MemoryError",
    "StopIteration",
    "SystemExit",
    "OwnError",
)
STOPPING = [f"{moment}_{error.lower()}" for moment, error in product(("open", "encode", "request", "judge"), ERRORS)]
CLOSING = [f"close_{error.lower()}" for error in ERRORS]
VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
ACCEPTED: list[Call] = [("ada", {"vip": True}), ("bob", {"vip": True}), ("cyd", {"vip": True})]
LOG = {"type": "file", "path": "calls.jsonl"}


def a_project(folder: Path, **destinations: dict[str, Any]) -> Project:
    project = Project(folder)
    project.environment |= {"PYTHONPATH": str(folder), "CRM_TOKEN": "hush-4711-hush"}
    project.write("faulty_destination.py", (Path(__file__).parent / "faulty_destination.py").read_text())
    (folder / "faulty-1.0.dist-info").mkdir()
    project.write("faulty-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    project.write(
        "faulty-1.0.dist-info/entry_points.txt",
        "[audience_sync.destinations]\nfaulty = faulty_destination:FaultyDestination\n",
    )
    project.write_members("vip.csv", "ada", "bob", "cyd")
    project.configure(audiences=[VIP], destinations={"log": LOG, **destinations})
    return project


def faulty(moment: str, error: str, **options: Any) -> dict[str, Any]:
    return {"type": "faulty", "moment": moment, "error": error, "token": "${CRM_TOKEN}", **options}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    moments = ("open", "encode", "request", "judge", "close")
    planted = {f"{moment}_{error.lower()}": faulty(moment, error) for moment, error in product(moments, ERRORS)}
    return a_project(tmp_path_factory.mktemp("boundary"), **planted)


@pytest.fixture(scope="module")
def broken(project: Project) -> tuple[Result, list[Call]]:
    return project.run_afresh("sync", "--json"), project.sent()


@pytest.fixture(scope="module")
def rows(project: Project, broken: tuple[Result, list[Call]]) -> dict[str, tuple[int, int]]:
    """What the view says of the broken run: delivered and pending calls, by destination."""
    found = project.query("select destination, delivered, pending from deliveries where run = 1")
    return {name: (delivered, pending) for name, delivered, pending in found}


@pytest.fixture(scope="module")
def repaired(project: Project, rows: dict[str, tuple[int, int]]) -> Result:
    project.environment["REPAIRED"] = "1"
    return project.run_afresh("sync", "--json")


@pytest.mark.parametrize("name", STOPPING)
def test_a_destination_whose_code_raises_stops_by_name_with_its_error(
    name: str, broken: tuple[Result, list[Call]]
) -> None:
    destination = broken[0].destination(name)
    assert (destination["delivered"], destination["refused"], destination["pending"]) == (0, 0, 3)
    assert "error in the destination's own code: " in destination["error"]
    assert name.partition("_")[2] in destination["error"].lower()
    assert "faulty_destination.py, line " in destination["error"]


@pytest.mark.parametrize("name", CLOSING)
def test_an_error_in_closing_changes_nothing(name: str, broken: tuple[Result, list[Call]]) -> None:
    destination = broken[0].destination(name)
    assert (destination["delivered"], destination["pending"], destination["error"]) == (3, 0, None)


def test_the_destination_beside_them_is_sent_everything(broken: tuple[Result, list[Call]]) -> None:
    assert (broken[0].code, broken[1]) == (1, ACCEPTED)


@pytest.mark.parametrize("name", STOPPING)
def test_its_calls_are_pending_in_the_views(name: str, rows: dict[str, tuple[int, int]]) -> None:
    assert rows[name] == (0, 3)


def test_no_secret_is_shown_or_stored(project: Project, broken: tuple[Result, list[Call]]) -> None:
    assert "hush-4711-hush" not in broken[0].stdout + broken[0].stderr
    assert b"hush-4711-hush" not in project.store.read_bytes()


@pytest.mark.parametrize("name", STOPPING)
def test_the_next_run_sends_what_is_pending(name: str, repaired: Result) -> None:
    assert (repaired.code, repaired.destination(name)["delivered"]) == (0, 3)


def test_where_every_destination_fails_so_does_the_run(tmp_path: Path) -> None:
    project = a_project(tmp_path, log=faulty("open", "ValueError"))
    assert project.run_afresh("sync").code == 3


def test_a_call_that_alone_can_not_be_encoded_is_refused_and_the_others_go_through(tmp_path: Path) -> None:
    project = a_project(tmp_path, crm=faulty("encode", "SystemExit", only="bob"))
    run = project.run_afresh("sync", "--json")
    assert (run.code, run.destination("crm")["delivered"], run.destination("crm")["refused"]) == (1, 2, 1)
    [(user, reason)] = project.query("select user_id, reason from refused_calls")
    assert (user, reason.partition(" (")[0]) == (
        "bob",
        "error in the destination's own code: SystemExit: a bug at ***\\0",
    )


SQL = {
    "no SQL": ("nonsense((", "ParserException: "),
    "a column that is not there": ("nowhere", "BinderException: "),
    "a function that is not there": ("nonsense(user_id)", "CatalogException: "),
    "a value that is of another type": ("cast(cast(user_id as integer) as varchar)", "ConversionException"),
    "an error of its own": ("if(user_id > '', error(user_id)::varchar, user_id)", "InvalidInputException"),
}


@pytest.mark.parametrize(("sql", "words"), SQL.values(), ids=SQL.keys())
def test_sql_that_duckdb_refuses_stops_its_destination_alone(sql: str, words: str, tmp_path: Path) -> None:
    project = a_project(tmp_path, crm=faulty("never", "ValueError", sql=sql))
    run = project.run_afresh("sync", "--json")
    assert (run.code, run.destination("crm")["pending"], run.destination("log")["delivered"]) == (1, 3, 3)
    assert project.sent() == ACCEPTED
    [(error,)] = project.query("select error from deliveries where destination = 'crm'")
    assert error.startswith(f"error in the destination's own code: encode_sql: {words}")
    assert "ada" not in error


def test_a_plan_says_what_is_wrong_with_its_code(tmp_path: Path) -> None:
    project = a_project(tmp_path, crm=faulty("request", "ValueError"), erp=faulty("encode", "ValueError"))
    plan = project.run_afresh("plan")
    assert plan.stderr == ""
    assert "error in the destination's own code: ValueError" in plan.stdout


@pytest.mark.parametrize("moment", ["open", "encode", "request", "judge"])
def test_a_trial_ends_with_the_error_of_its_code(moment: str, tmp_path: Path) -> None:
    project = a_project(tmp_path, crm=faulty(moment, "KeyError"))
    trial = project.run_afresh("test-destination", "crm", "--user", "ada")
    assert trial.code == 3
    assert "error in the destination's own code: KeyError" in trial.stdout
