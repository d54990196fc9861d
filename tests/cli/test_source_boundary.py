"""Any error of a source, at any moment, concerns its own entry only."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from .conftest import Call, Project, Result

ERRORS = (
    "OverflowError",
    "ValueError",
    "UnicodeDecodeError",
    "UnicodeEncodeError",
    "RecursionError",
    "MemoryError",
    "KeyError",
    "OSError",
    "RuntimeError",
    "AssertionError",
    "StopIteration",
    "DriverError",
)
MOMENTS = ("open", "first_row", "middle", "end")
FAULTS = [f"{moment}_{error.lower()}" for moment, error in product(MOMENTS, ERRORS)]
#: More than are fetched at once, so that there is a middle.
QUERY = (
    "with recursive u(i) as (select 1 union all select i + 1 from u where i < 10001) select 'u' || i as user_id from u"
)
DRIVER = (Path(__file__).parent / "faulty_driver.py").read_text()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("boundary"))
    project.environment["PYTHONPATH"] = str(project.folder)
    project.write("sitecustomize.py", DRIVER)
    project.write_members("vip.csv", "ada", "bob")
    project.write("plans.csv", "user_id,plan\nada,free\n")
    faulty = {
        f"{moment}_{error.lower()}": {"database": f"faulty://{moment}/{error}"}
        for moment, error in product(MOMENTS, ERRORS)
    }
    project.configure(
        sources={"shop": {"files": "."}, **faulty, "no_port": {"database": "postgresql://ada:hush4@host:port/db"}},
        audiences=[
            *({"name": name, "source": name, "query": QUERY} for name in (*faulty, "no_port")),
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
        ],
        computed_traits=[
            {"source": "middle_drivererror", "query": f"select user_id, 1 as n from ({QUERY})", "traits": ["n"]},
            {"source": "shop", "file": "plans.csv", "traits": ["plan"]},
        ],
    )
    return project


@pytest.fixture(scope="module")
def broken(project: Project) -> tuple[Result, list[Call]]:
    return project.run_afresh("sync", "--json"), project.sent()


@pytest.mark.parametrize("name", FAULTS)
def test_an_audience_whose_source_raises_fails_by_name_with_a_message(
    name: str, broken: tuple[Result, list[Call]]
) -> None:
    audience = broken[0].audience(name)
    assert audience["status"] == "failed"
    assert "Nothing of it was used" in audience["error"]
    assert name in audience["error"]


def test_everything_else_is_synced_and_delivered(broken: tuple[Result, list[Call]]) -> None:
    result, sent = broken
    assert result.code == 3
    assert result.audience("vip")["status"] == "created"
    assert sent == [("ada", {"plan": "free", "vip": True}), ("bob", {"vip": True})]


def test_traits_whose_source_raises_fail_by_their_place(broken: tuple[Result, list[Call]]) -> None:
    assert broken[0].json["traits"]["errors"] == [
        "computed_traits[0]: source 'middle_drivererror' can't be read: DriverError: the driver gave up\\0 on \\ud800. "
        "Nothing of it was used. Correct the data or the query."
    ]


def test_a_port_that_is_not_a_number_is_an_error_without_the_password(broken: tuple[Result, list[Call]]) -> None:
    error = broken[0].audience("no_port")["error"]
    assert "is not one that SQLAlchemy can read" in error
    assert "the port is a number" in error
    assert "hush4" not in broken[0].stdout + broken[0].stderr


def test_the_next_run_is_fine(project: Project, broken: tuple[Result, list[Call]]) -> None:
    project.environment["HEALED"] = "1"
    result = project.run_afresh("sync", "--json", *FAULTS, "vip")
    assert result.code == 0
    assert [result.audience(name)["status"] for name in FAULTS] == ["created"] * len(FAULTS)
    assert result.audience("vip")["status"] == "unchanged"
    assert len(project.sent()) == 10_001


#: DuckDB fails at it in a way that ends the whole database it happens in.
FATAL = "select user_id, {column} from 'odd.csv' where cast(make_timestamp(n::bigint) as varchar) <> 'x'"


def test_an_entry_that_breaks_duckdb_itself_fails_alone(vip: Project) -> None:
    vip.write("odd.csv", "user_id,n\nada,1\nbob,-9223372036854775808\n")
    vip.write("plans.csv", "user_id,plan\nada,free\n")
    vip.configure(
        audiences=[
            {"name": "First", "source": "shop", "file": "vip.csv"},
            {"name": "Odd", "source": "shop", "query": FATAL.format(column="1 as x")},
            {"name": "Last", "source": "shop", "file": "vip.csv"},
        ],
        computed_traits=[
            {"source": "shop", "query": FATAL.format(column="n"), "traits": ["n"]},
            {"source": "shop", "file": "plans.csv", "traits": ["plan"]},
        ],
    )
    planned = vip.run("plan", "--json")
    assert [each["status"] for each in planned.json["audiences"]] == ["created", "failed", "created"]
    result = vip.sync()
    assert result.code == 3
    assert [each["status"] for each in result.json["audiences"]] == ["created", "failed", "created"]
    assert result.audience("odd")["error"].endswith(
        "Date out of range in timestamp conversion. Nothing of it was used."
    )
    assert len(result.json["traits"]["errors"]) == 1
    assert dict(vip.sent())["ada"] == {"first": True, "last": True, "plan": "free"}
