"""docs/first-ten-minutes.md is played through: every line of output that it shows is what a reader gets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from forks import forks

DOCUMENT = (Path(__file__).parents[2] / "docs" / "first-ten-minutes.md").read_text("utf-8")
#: Commands are indented, the output that belongs to those above it is fenced. Commands that install or serve are fenced
#: as those of a shell.
PARTS = re.compile(
    r"^(?P<commands>(?:    [^\n]+\n)+)|^```sh\n.*?^```$|^```\n(?P<shown>.*?)^```$", re.MULTILINE | re.DOTALL
)


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the document asks for the sqlite3 command")
def test_a_reader_sees_what_the_document_shows(tmp_path: Path) -> None:
    forks().install(tmp_path)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    folder, seen, missing = tmp_path, "", list[str]()
    for part in PARTS.finditer(DOCUMENT):
        if part["commands"]:
            script = re.sub(r"^    ", "", part["commands"], flags=re.MULTILINE)
            process = subprocess.run(
                ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
            )
            seen += process.stdout
            assert "error" not in process.stderr.lower(), process.stderr
            folder = folder / "shop" if "cd shop" in script else folder
        elif part["shown"]:
            missing += [line for line in part["shown"].splitlines() if line not in seen]
            seen = ""
    assert missing == []
    assert folder.name == "shop"
