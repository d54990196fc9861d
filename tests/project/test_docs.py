"""The examples of the page on Python run as they stand, and the reference is current."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from python_reference import python_reference

from audience_sync import Project, Run

from .conftest import MakeFolder, calls

DOCS = Path(__file__).resolve().parents[2] / "docs"
CONFIG = """
store: sqlite:///store.db
sources: {shop: {files: .}}
audiences: [{name: VIP, source: shop, file: vip.csv}]
destinations: {log: {type: file, path: calls.jsonl}}
environments: {production: {guard: {at_least: 1}}}
"""
USERS = [f"C-{number:05}" for number in range(600, 650)]


def examples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def shop(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_folder(*USERS, config=CONFIG)
    monkeypatch.chdir(folder)
    return folder


def test_the_examples_run_one_after_another(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = dict[str, Any]()
    with ThreadPoolExecutor(1) as thread:  # in this one the loop of Playwright may be running
        for example in examples("python.md"):
            thread.submit(exec, compile(example, "docs/python.md", "exec"), names).result()
    shown = capsys.readouterr().out
    assert "vip       50     0" in shown
    assert "1 succeeded 50" in shown
    assert "[(3, 'no user id')]" in shown
    assert "loading audience vip" in shown
    assert len(calls(shop)) >= 50


def test_the_example_of_the_readme_runs(shop: Path) -> None:
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    names = dict[str, Any]()
    exec(compile(example, "README.md", "exec"), names)
    assert isinstance(names["run"], Run)


def test_the_example_of_the_product_runs(shop: Path) -> None:
    """Held, because the frame removes nearly everyone; approved, by the frame again."""
    import pandas as pd

    project = Project.open("config.yaml", env="production")
    project.sync()
    df = pd.DataFrame({"user_id": ["C-00617"]})
    with project:
        plan = project.plan(["vip"])
        assert (len(plan.audiences), len(plan.destinations), len(plan.to_frame())) == (1, 1, 1)
        run = project.sync(["vip"], frames={"vip": df})
        assert (run.status.value, len(run.audiences), len(run.deliveries)) == ("held", 1, 1)
        approved = project.approve(run.number, ["vip"])
        assert approved.deliveries[0].delivered == 49
        assert list(project.members("vip").to_frame().user_id) == ["C-00617"]
        assert len(project.members("vip", at="2026-05-01").to_frame()) == 0
        assert project.explain("C-00617").audiences[0].is_member is True
        assert len(project.runs(limit=50).to_frame()) == 3


def test_the_reference_is_current() -> None:
    assert (DOCS / "python-reference.md").read_text("utf-8") == python_reference()
