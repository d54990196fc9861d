"""The pages with examples are played through: what they show is what a reader gets, to the letter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from forks import forks

from audience_sync.cli import COMMANDS

from .conftest import NOT_INHERITED

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "commands").glob("*.md"))
#: How most examples begin. The first run is made once, and copied.
START = ("audience-sync init shop > /dev/null && cd shop", "audience-sync sync > /dev/null")
#: Pages with examples, beside those of the commands.
PLAYED = (
    "guards",
    "damping",
    "holdout",
    "priority-groups",
    "renaming",
    "identity",
    "mapping",
    "scheduling",
    "operations",
    "production",
    "switching",
    "on-run",
    "serve",
    "dbt",
)
#: Files of tests/ that a page's reader has, by what they are there.
READERS = {
    "dbt": {
        "dbt_project/manifests/v12.json": "target/manifest.json",
        "dbt_project/results/broken.json": "target/run_results.json",
    }
}
SESSION = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: A command, and what it answers.
STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
#: Between the answers; the exit code of the command before stays what it was.
MARK = "--- the next command ---"
NEXT = f"\ncode=$?; echo '{MARK}'; (exit $code)\n"
#: What is another every time, and what stands for it.
DIFFERENT = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?"), "0000-00-00 00:00:00"),
    (re.compile(r"(?<=:\d\d)\.\d+(?=Z)"), ".000"),
    (re.compile(r"\b\d+\.\d s\b"), "0.0 s"),
    (re.compile(r"\b(now|\d+ (s|min) ago)(?=[,)])"), "0 s ago"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "0" * 32),
    (re.compile(r"(?<=audience-sync/)[\d.]+"), "0.0.0"),
    (re.compile(r'(?<="version":")[\d.]+'), "0.0.0"),
)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample project after its first run."""
    folder = tmp_path_factory.mktemp("started")
    assert _played([*START], folder) == ["", ""]
    return folder / "shop"


@pytest.mark.parametrize(
    "page",
    [*(page for page in PAGES if page.stem != "serve"), *(DOCS / f"{name}.md" for name in PLAYED)],
    ids=lambda page: f"{page.parent.name}-{page.stem}",
)
@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the pages ask for the sqlite3 command")
def test_a_page_shows_what_a_reader_gets(page: Path, tmp_path: Path, started: Path) -> None:
    if page.stem == "docs" and not (DOCS.parent / "build" / "site" / "index.html").exists():
        pytest.skip("it opens the site, which is not built: nox -s site")
    steps = [step for session in SESSION.findall(page.read_text("utf-8")) for step in STEP.findall(session)]
    assert steps, "the page has no example"
    for ours, theirs in READERS.get(page.stem, {}).items():
        (tmp_path / theirs).parent.mkdir(exist_ok=True)
        shutil.copyfile(Path(__file__).parents[1] / ours, tmp_path / theirs)
    commands = [command for command, _ in steps]
    if tuple(commands[:2]) == START:
        shutil.copytree(started, tmp_path / "shop")
        commands[:2] = ["cd shop", ":"]
    assert _played(commands, tmp_path) == [_same(shown) for _, shown in steps]


def test_every_command_has_a_page_that_is_linked() -> None:
    overview = (DOCS / "commands.md").read_text("utf-8")
    assert {page.stem for page in PAGES} == set(COMMANDS)
    for page in PAGES:
        assert f"(commands/{page.name})" in overview


def _played(commands: list[str], folder: Path) -> list[str]:
    """What each of these commands answers, in one session."""
    forks().install(folder)
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    script = "".join(f"{command}{NEXT}" for command in commands)
    session = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env={**kept, "PATH": f"{folder}:{kept['PATH']}"},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=240,
    )
    return [_same(answer) for answer in session.stdout.split(f"{MARK}\n")[:-1]]


def _same(answer: str) -> str:
    """The answer with one word for what is another every time."""
    for pattern, word in DIFFERENT:
        answer = pattern.sub(word, answer)
    return answer
