"""The start in a notebook is played with the config of its page."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "starts.md").read_text("utf-8")


def test_the_notebook_shows_what_a_reader_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "config.yaml").write_text(next(each for each in configs if each.startswith("sources:")), "utf-8")
    monkeypatch.chdir(tmp_path)
    session = "".join(re.findall(r"^```pycon\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(session, {}, "starts.md", None, None)
    shown: list[str] = []
    results = doctest.DocTestRunner(verbose=False).run(test, out=shown.append)
    assert results.attempted == 11
    assert results.failed == 0, "".join(shown)
