"""The stages of a run are functions from values to values, and a run is short to follow from one to the next."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

import audience_sync.sync
from audience_sync import Project
from audience_sync.sync.run import sync

SYNC = Path(audience_sync.sync.__file__).parent
#: Methods that change a list, a set or a mapping.
CHANGING = {"append", "extend", "add", "update", "setdefault", "pop", "clear", "insert", "remove"}
CONFIG = """
store: sqlite:///store.db
sources: {shop: {files: .}}
audiences: [{name: VIP, source: shop, file: vip.csv}]
computed_traits: [{source: shop, file: plans.csv, traits: [plan]}]
destinations: {log: {type: file, path: calls.jsonl}}
"""


class Trace:
    """The modules of `sync/` whose functions a run calls, in order; each entry and each return is one step."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self._is_over = False

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        entered = event == "call"
        if self._is_over or (not entered and event != "return"):
            return
        self._is_over = not entered and frame.f_code is sync.__code__  # what the answer reads is not the run
        place = frame if entered else self._caller(frame)
        if self._is_traced(frame) and place is not None:
            self.steps.append(place.f_code.co_filename)

    def _caller(self, frame: FrameType) -> FrameType | None:
        above = frame.f_back
        while above is not None and not self._is_traced(above):
            above = above.f_back
        return above

    def _is_traced(self, frame: FrameType) -> bool:
        return frame.f_code.co_filename.startswith(str(SYNC)) and frame.f_code.co_name != "<module>"

    @property
    def changes(self) -> int:
        return sum(before != after for before, after in zip(self.steps, self.steps[1:], strict=False))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "vip.csv").write_text("user_id\nada\n")
    (tmp_path / "plans.csv").write_text("user_id,plan\nada,free\n")
    return Project.open(tmp_path / "config.yaml")


def traced(project: Project) -> Trace:
    trace = Trace()
    sys.setprofile(trace)
    try:
        project.sync(upgrade=True)  # so that it is not a repeat of the last run
    finally:
        sys.setprofile(None)
    return trace


def test_a_run_enters_at_most_25_modules_and_changes_between_them_at_most_200_times(
    project: Project, tmp_path: Path
) -> None:
    project.sync()
    (tmp_path / "vip.csv").write_text("user_id\nada\nbob\n")
    (tmp_path / "plans.csv").write_text("user_id,plan\nada,pro\n")

    trace = traced(project)

    assert trace.steps[0] == trace.steps[-1] == sync.__code__.co_filename
    assert {Path(step).parent.name for step in trace.steps} >= {"load", "detect", "diff", "guard", "commit", "deliver"}
    assert len(set(trace.steps)) <= 25
    assert trace.changes <= 200


def test_the_description_of_a_run_is_at_most_60_lines() -> None:
    assert len(Path(sync.__code__.co_filename).read_text().splitlines()) <= 60


def changed_fields(tree: ast.AST) -> Iterator[ast.Attribute]:
    """The fields that are assigned to, or whose lists, sets or mappings are changed."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets):
                found = [each for target in targets for each in getattr(target, "elts", [target])]
            case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
                found = [target]
            case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in CHANGING:
                found = [owner]
            case _:
                continue
        for each in found:
            field = each.value if isinstance(each, ast.Subscript) else each
            if isinstance(field, ast.Attribute):
                yield field


@pytest.mark.parametrize("module", sorted(SYNC.rglob("*.py")), ids=lambda module: str(module.relative_to(SYNC)))
def test_no_function_writes_into_a_value_that_it_was_given(module: Path) -> None:
    fields = changed_fields(ast.parse(module.read_text("utf-8")))
    outside = (field for field in fields if not (isinstance(field.value, ast.Name) and field.value.id == "self"))
    assert [f"line {field.lineno}: {ast.unparse(field)}" for field in outside] == []
