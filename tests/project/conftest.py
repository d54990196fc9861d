"""Small projects for the tests of the Python API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

CONFIG = """
store: sqlite:///store.db
sources: {shop: {files: .}}
audiences: [{name: VIP, source: shop, file: vip.csv}]
destinations: {log: {type: file, path: calls.jsonl}}
guard: {max_removed: 100%}
"""
MakeFolder = Callable[..., Path]


@pytest.fixture(name="make_folder")
def _make_folder(tmp_path: Path) -> MakeFolder:
    """Make a folder with a config, and the users of its audience VIP."""

    def make(*users: str, config: str = CONFIG, name: str = "project") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text(config)
        write_vip(folder, *users)
        return folder

    return make


def write_vip(folder: Path, *users: str) -> None:
    (folder / "vip.csv").write_text("".join(f"{line}\n" for line in ("user_id", *users)))


def calls(folder: Path) -> list[tuple[str, dict[str, object]]]:
    """The calls that the destination `log` got, in their order."""
    file = folder / "calls.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(call["userId"], call["traits"]) for call in map(json.loads, lines)]
