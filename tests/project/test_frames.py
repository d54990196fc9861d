"""Frames of Python are snapshots of one run: with the rules, guards and invalid rows of any source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from audience_sync import Project, UnknownKeyError, WrongValueError

from .conftest import CONFIG, MakeFolder, calls

EVERYTHING = """
store: sqlite:///store.db
sources: {shop: {files: .}}
audiences:
  - {name: VIP, source: shop, file: vip.csv}
  - {names_from: audience, source: shop, file: named.csv}
computed_traits: [{source: shop, file: traits.csv, user_id: customer, traits: [plan, total, seen, tags]}]
destinations: {log: {type: file, path: calls.jsonl}}
guard: {max_removed: 100%}
"""
FROM_SOURCE = [("ada", {"vip": True}), ("bob", {"vip": True})]


class Stream:
    """A frame that has Arrow's interface and nothing else, like those of libraries that do not exist yet."""

    def __init__(self, query: str) -> None:
        self.relation: Any = duckdb.sql(query)

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self.relation.__arrow_c_stream__(requested_schema)


@pytest.fixture
def folder(make_folder: MakeFolder) -> Path:
    return make_folder("ada", "bob")


def closed_relation() -> Any:
    with duckdb.connect() as connection:
        return connection.sql("select 'a' as user_id")


def members(run: Any) -> tuple[int, int]:
    """The members of `vip` after a run, and the rows that it could not use."""
    [vip] = [each for each in run.audiences if each.key == "vip"]
    return vip.members, vip.invalid


def ids(values: Sequence[Any], dtype: Any = None) -> Callable[[], pd.DataFrame]:
    return lambda: pd.DataFrame({"user_id": pd.Series(values, dtype=dtype)})


@pytest.mark.parametrize(
    ("make", "sent", "invalid"),
    [
        pytest.param(ids(["a", "b", "a"]), ["a", "b"], {}, id="texts, one twice"),
        pytest.param(
            ids(["a", None, "", " "], object),
            ["a"],
            {2: "no user id", 3: "empty user id", 4: "empty user id"},
            id="objects",
        ),
        pytest.param(
            ids([None] * 2 + ["x"], object),
            ["x"],
            {1: "no user id", 2: "no user id"},
            id="objects that begin with none",
        ),
        pytest.param(ids(["a", pd.NA], "string"), ["a"], {2: "no user id"}, id="a string with NA"),
        pytest.param(ids([1, 2]), ["1", "2"], {}, id="integers"),
        pytest.param(
            ids([1.0, np.nan, 2.5]), ["1"], {2: "no user id", 3: "user id is not a whole number"}, id="floats with NaN"
        ),
        pytest.param(ids([1, None], "Int64"), ["1"], {2: "no user id"}, id="integers with NA"),
        pytest.param(ids([7], "float16"), ["7"], {}, id="half precision"),
        pytest.param(ids(["a", "b", None], "category"), ["a", "b"], {3: "no user id"}, id="categories"),
        pytest.param(ids([1, 2], "category"), ["1", "2"], {}, id="categories of integers"),
        pytest.param(
            ids(["a", 5, True, 1.5, np.int64(8)], object),
            ["5", "8", "a"],
            {3: "user id is neither text nor a number", 4: "user id is not a whole number"},
            id="mixed objects",
        ),
        pytest.param(
            ids(["a", "b\0", "\ud800"]),
            ["a"],
            {2: "user id contains a NUL character", 3: "user id contains half a surrogate pair"},
            id="texts that no store keeps",
        ),
        pytest.param(lambda: duckdb.sql("select 'a' as user_id, 1 as other"), ["a"], {}, id="a relation of DuckDB"),
        pytest.param(
            lambda: Stream("select unnest(['a', null]) as user_id"), ["a"], {2: "no user id"}, id="an Arrow stream"
        ),
        pytest.param(lambda: Stream("select 7::ubigint as user_id"), ["7"], {}, id="integers of an Arrow stream"),
        pytest.param(
            lambda: pd.DataFrame({"user_id": ["a", "b"]}, index=[5, 5]).iloc[1:], ["b"], {}, id="a part of a frame"
        ),
    ],
)
def test_ids_follow_the_rules_of_files(
    folder: Path, make: Callable[[], Any], sent: list[str], invalid: dict[int, str]
) -> None:
    run = Project.open(folder / "config.yaml").sync(frames={"vip": make()})
    assert calls(folder) == [(user, {"vip": True}) for user in sent]
    assert {row.row: row.reason for row in run.invalid_rows} == invalid
    assert {row.file for row in run.invalid_rows} <= {"frames['vip']"}
    assert members(run) == (len(sent), len(invalid))


def test_values_of_traits_follow_the_rules_of_files(make_folder: MakeFolder) -> None:
    folder = make_folder("ada", config=EVERYTHING)
    (folder / "named.csv").write_text("user_id,audience\n")
    (folder / "traits.csv").write_text("customer,plan,total,seen,tags\n")
    frame = pd.DataFrame(
        {
            "customer": [1, 2, 3],
            "plan": pd.Categorical(["pro", "free", None]),
            "total": [1.5, np.nan, np.inf],
            "seen": pd.Series(pd.to_datetime(["2024-01-01T00:00", "2024-07-01T12:00", "NaT"])).dt.tz_localize(
                "Europe/Berlin"
            ),
            "tags": [{"a": [1, np.nan, np.int64(2)]}, np.array(["x"]), None],
            "other": [object(), object(), object()],
        }
    )
    run = Project.open(folder / "config.yaml").sync(frames={"total": frame, "vip": ids(["1"])()})
    assert run.raise_for_status().traits.users == 2
    assert calls(folder) == [
        (
            "1",
            {"plan": "pro", "seen": "2023-12-31T23:00:00.000Z", "tags": {"a": [1, None, 2]}, "total": 1.5, "vip": True},
        ),
        ("2", {"plan": "free", "seen": "2024-07-01T10:00:00.000Z", "tags": ["x"]}),
    ]


@pytest.mark.parametrize("value", [object(), [object()], {"a": object()}], ids=["alone", "in a list", "in an object"])
def test_an_object_without_a_text_of_its_own_is_an_invalid_value(make_folder: MakeFolder, value: Any) -> None:
    folder = make_folder("ada", config=EVERYTHING)
    (folder / "named.csv").write_text("user_id,audience\n")
    frame = pd.DataFrame({"customer": ["ada"], "plan": [value], "total": [1], "seen": None, "tags": None})
    run = Project.open(folder / "config.yaml").sync(frames={"plan": frame})
    assert [(row.user_id, row.reason) for row in run.invalid_rows] == [
        ("ada", "column 'plan' is an object of Python, which has no form in JSON")
    ]
    assert calls(folder) == [("ada", {"total": 1, "vip": True})]


def test_a_frame_has_all_audiences_of_names_from(make_folder: MakeFolder) -> None:
    folder = make_folder("ada", config=EVERYTHING)
    (folder / "traits.csv").write_text("customer,plan,total,seen,tags\n")
    frame = pd.DataFrame({"user_id": ["a", "b"], "audience": ["Big Spenders", "Churn Risk"]})
    Project.open(folder / "config.yaml").sync(frames={"audience": frame})
    assert calls(folder)[:2] == [("a", {"big_spenders": True}), ("ada", {"vip": True})]


def test_an_empty_frame_is_held_where_there_were_members(folder: Path) -> None:
    project = Project.open(folder / "config.yaml")
    project.sync()
    run = project.sync(frames={"vip": pd.DataFrame({"user_id": []})})
    assert (run.status.value, [each.left for each in run.held]) == ("held", [2])
    assert calls(folder) == FROM_SOURCE


@pytest.mark.parametrize("is_same_project", [True, False])
def test_a_held_frame_is_approved_with_the_frame(folder: Path, is_same_project: bool) -> None:
    project, empty = Project.open(folder / "config.yaml"), pd.DataFrame({"user_id": []})
    project.sync()
    held = project.sync(frames={"vip": empty})
    if is_same_project:
        approved = project.approve(held.number, ["vip"])
    else:
        approved = Project.open(folder / "config.yaml").approve(held.number, ["vip"], frames={"vip": empty})
    assert approved.raise_for_status().deliveries[0].delivered == 2
    assert calls(folder)[2:] == [("ada", {"vip": False}), ("bob", {"vip": False})]


def test_the_frames_of_the_newest_holds_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audience_sync.project.project._MAX_HELD", 1)
    project = Project.open(folder / "config.yaml")
    project.sync()
    for _ in range(2):
        held = project.sync(frames={"vip": ids([], object)()})
    assert project.approve(held.number).audiences[0].left == 2


def test_held_frames_of_traits_and_of_names_are_approved_one_by_one(make_folder: MakeFolder) -> None:
    folder = make_folder("ada", config=EVERYTHING)
    project = Project.open(folder / "config.yaml")
    names = pd.DataFrame({"user_id": ["a", "b"], "audience": ["Big Spenders", "Churn Risk"]})
    traits = pd.DataFrame({"customer": ["a", "b"], "plan": "pro", "total": 1, "seen": None, "tags": None})
    (folder / "named.csv").write_text(names.to_csv(index=False))
    (folder / "traits.csv").write_text(traits.to_csv(index=False))
    project.sync()
    held = project.sync(frames={"audience": names.iloc[:0], "total": traits.iloc[:0], "vip": ids([], object)()})
    assert {each.key for each in held.held} > {"big_spenders", "churn_risk", "plan", "vip"}
    assert [each.left for each in project.approve(held.number, ["churn_risk"]).audiences if each.left] == [1]
    assert project.approve(held.number, ["plan"]).traits.changed == 2
    assert calls(folder)[-3:] == [("b", {"churn_risk": False}), ("a", {"plan": None}), ("b", {"plan": None})]


def test_the_next_run_without_a_frame_reads_the_source(folder: Path) -> None:
    project = Project.open(folder / "config.yaml")
    for _ in range(3):  # so that runs are repeated, since nothing has changed
        project.sync()
    project.sync(frames={"vip": pd.DataFrame({"user_id": ["ada", "cyd"]})})
    project.sync()
    assert calls(folder)[2:] == [
        ("bob", {"vip": False}),
        ("cyd", {"vip": True}),
        ("bob", {"vip": True}),
        ("cyd", {"vip": False}),
    ]


def test_a_plan_of_a_frame_changes_nothing_and_can_be_carried_out(folder: Path) -> None:
    project, frame = Project.open(folder / "config.yaml"), pd.DataFrame({"user_id": ["x"]})
    plan = project.plan(["vip"], frames={"vip": frame})
    assert [(each.key, each.entered) for each in plan.audiences] == [("vip", 1)]
    assert [(each.destination, each.calls, each.samples) for each in plan.destinations] == [
        ("log", 1, (("x", {"vip": True}),))
    ]
    assert calls(folder) == []
    project.sync(plan=plan, frames={"vip": frame})
    assert calls(folder) == [("x", {"vip": True})]


def test_explain_names_the_frame(folder: Path) -> None:
    project = Project.open(folder / "config.yaml")
    project.sync(frames={"vip": pd.DataFrame({"user_id": ["x"]})})
    [vip] = project.explain("x").to_dict()["audiences"]
    assert vip["snapshot"]["loaded_from"] == "a frame of Python"


@pytest.mark.parametrize(
    ("frames", "error", "message"),
    [
        ({"vpi": ids(["a"])()}, UnknownKeyError, "there is no audience or computed trait 'vpi'. Did you mean 'vip'?"),
        ({"vip": ["a"]}, WrongValueError, r"frames\['vip'\] is a list. It has to be a pandas or Polars DataFrame"),
        ({"vip": pd.DataFrame({"id": [1]})}, WrongValueError, "has no column 'user_id'. Columns: id."),
        ({"vip": pd.DataFrame()}, WrongValueError, "has no column 'user_id'"),
        ({"vip": duckdb.sql("select 1 as userid")}, WrongValueError, "Did you mean 'userid'"),
        ({"vip": ids(["a"])().set_index("user_id")}, WrongValueError, r"It is the index: pass `frame.reset_index\(\)`"),
        ({"vip": pd.DataFrame([["a", "b"]], columns=["user_id"] * 2)}, WrongValueError, "has 2 columns 'user_id'"),
        ({"vip": duckdb.sql("select error('x') as user_id")}, WrongValueError, "can't be read"),
        ({"vip": closed_relation()}, WrongValueError, "can't be read: ConnectionException"),
        ({"vip": pd.Series(["a"], name="user_id")}, WrongValueError, r"is a Series. .* Call `.to_frame\(\)` first"),
        ({"vip": pd.DataFrame}, WrongValueError, "is a type. It has to be"),
        ({"vip": (each for each in "a")}, WrongValueError, "is a generator. It has to be"),
    ],
)
def test_a_wrong_frame_is_refused_before_anything_is_done(
    folder: Path, frames: dict[str, Any], error: type[Exception], message: str
) -> None:
    project = Project.open(folder / "config.yaml")
    with pytest.raises(error, match=message):
        project.sync(frames=frames)
    assert calls(folder) == []
    assert len(project.runs()) == 0


def test_a_frame_of_an_audience_that_is_not_loaded_is_refused(make_folder: MakeFolder) -> None:
    folder = make_folder(
        "ada", config=CONFIG.replace("vip.csv}", "vip.csv}, {name: Other, source: shop, file: vip.csv}")
    )
    with pytest.raises(WrongValueError, match="this run does not load vip: name it among the audiences"):
        Project.open(folder / "config.yaml").sync(["other"], frames={"vip": ids(["a"])()})


@pytest.mark.parametrize("values", [[pd.Timestamp("2024-01-01")], [[1], [2]]], ids=["times", "lists"])
def test_a_column_that_can_t_be_ids_fails_its_audience_alone(folder: Path, values: list[Any]) -> None:
    run = Project.open(folder / "config.yaml").sync(frames={"vip": pd.DataFrame({"user_id": values})})
    assert run.status.value == "failed"
    assert "Choose another column, or write this one as text" in str(run.error)
