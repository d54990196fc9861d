"""Each entry of the table of markers is about tests that exist, and the fast tests cover every package."""

from __future__ import annotations

import re

import pytest
from conftest import FAST, HERE, MARKED, has_fast_tests, is_marked

PACKAGE = HERE.parent / "audience_sync"
FILES = sorted(HERE.rglob("test_*.py"))


#: Packages that no fast test imports: a fast test runs commands that do.
RUN_BY_COMMANDS = {"alerts": "cli/test_notify.py", "metrics": "cli/test_metrics.py"}


@pytest.mark.parametrize("pattern", sorted({each for patterns in MARKED.values() for each in patterns}))
def test_a_pattern_matches_a_file_with_tests(pattern: str) -> None:
    path, _, test = pattern.partition("::")
    files = [file for file in FILES if file.relative_to(HERE).match(path)]
    assert files
    assert any(f"def {test}" in file.read_text("utf-8") for file in files)


@pytest.mark.parametrize("fast", FAST)
def test_a_fast_file_or_test_exists(fast: str) -> None:
    file, _, test = fast.partition("::")
    assert f"def {test}" in (HERE / file).read_text("utf-8")


@pytest.mark.parametrize("package", sorted(file.parent.name for file in PACKAGE.glob("*/__init__.py")))
def test_a_fast_test_uses_each_package(package: str) -> None:
    fast = [file for file in FILES if has_fast_tests(file)]
    imports = [file for file in fast if re.search(rf"audience_sync\.{package}\b", file.read_text("utf-8"))]
    assert imports or HERE / RUN_BY_COMMANDS[package] in fast


@pytest.mark.parametrize(
    ("file", "test", "markers"),
    [
        ("cli/test_undo.py", "", {"process", "slow"}),
        ("cli/test_layout.py", "", {"process"}),
        ("cli/test_metrics.py", "test_every_run_writes_them_into_a_file", {"process"}),
        ("cli/test_metrics.py", "test_people_see_the_summary_alone", {"process", "slow"}),
        ("sync/test_diff.py", "", {"property", "slow"}),
        ("test_workspace.py", "test_a_signal_in_the_middle_of_a_query_is_no_error_of_the_query", {"slow"}),
        ("sources/test_surrogates.py", "", {"property", "slow"}),
        ("test_keys.py", "", set()),
    ],
)
def test_a_test_has_the_markers_of_its_folder_and_file(file: str, test: str, markers: set[str]) -> None:
    assert {marker for marker in MARKED if is_marked(marker, HERE / file, test)} == markers
