"""Frames of Polars and pyarrow are snapshots, and answers become Arrow tables; in CI where both are installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audience_sync import Project, WrongValueError

from .conftest import MakeFolder, calls

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")


@pytest.fixture
def project(make_folder: MakeFolder) -> Project:
    return Project.open(make_folder("ada") / "config.yaml")


@pytest.mark.parametrize(
    ("make", "sent", "invalid"),
    [
        (lambda: pl.DataFrame({"user_id": ["a", None, "b"], "n": [1, 2, 3]}), ["a", "b"], [2]),
        (lambda: pl.DataFrame({"user_id": [1, None]}), ["1"], [2]),
        (lambda: pl.DataFrame({"user_id": pl.Series(["a", "b"], dtype=pl.Categorical)}), ["a", "b"], []),
        (lambda: pa.table({"user_id": ["a", "b"]}), ["a", "b"], []),
        (lambda: pa.table({"user_id": ["a"]}).to_reader(), ["a"], []),
        (lambda: pa.RecordBatch.from_pydict({"user_id": ["a"]}), ["a"], []),
        (lambda: pa.table({"user_id": pa.array(["a", "b"]).dictionary_encode()}), ["a", "b"], []),
        (lambda: pa.table([["a"], ["b"]], names=["user_id", "USER_ID"]), ["a"], []),
        (lambda: pa.table({"user_id": pa.array([7], "uint64")}).to_pandas(types_mapper=_arrow_types()), ["7"], []),
    ],
)
def test_a_frame_is_a_snapshot(
    project: Project, tmp_path: Path, make: Callable[[], Any], sent: list[str], invalid: list[int]
) -> None:
    run = project.sync(frames={"vip": make()})
    assert [user for user, _ in calls(tmp_path / "project")] == sent
    assert [row.row for row in run.invalid_rows] == invalid


def _arrow_types() -> Any:
    import pandas as pd

    return pd.ArrowDtype


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pl.DataFrame({"user_id": ["a"]}).lazy(), "Call `.collect()` first"),
        (lambda: pa.table([["a"], ["b"]], names=["user_id", "user_id"]), "has 2 columns 'user_id'"),
        (lambda: pl.DataFrame({"id": ["a"]}), "has no column 'user_id'"),
    ],
)
def test_a_wrong_frame_is_refused(project: Project, make: Callable[[], Any], message: str) -> None:
    with pytest.raises(WrongValueError) as error:
        project.sync(frames={"vip": make()})
    assert message in str(error.value)


def test_answers_become_arrow_tables(project: Project) -> None:
    run = project.sync()
    assert run.to_arrow().to_pylist()[0] | {"error": None} == {
        "key": "vip",
        "name": "VIP",
        "status": "created",
        "members": 1,
        "members_before": 0,
        "entered": 1,
        "left": 0,
        "invalid": 0,
        "error": None,
        "absent": 0,
        "returned": 0,
        "held_out": 0,
    }
    assert run.deliveries.to_arrow().column("delivered").to_pylist() == [1]
    assert project.members("vip").to_arrow().column("user_id").to_pylist() == ["ada"]
    assert str(project.runs().to_arrow().schema.field("started_at").type) == "timestamp[us, tz=UTC]"
    assert project.runs()[:0].to_arrow().num_rows == 0
