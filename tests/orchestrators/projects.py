"""Make projects whose next run ends in each of the ways that a scheduler has to handle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audience_sync import Project

CONFIG = """
sources: {shop: {files: .}}
audiences:
  - {name: VIP, source: shop, file: vip.csv, dbt_model: shop.vip}
  - {name: Test, source: shop, file: test.csv}
computed_traits: [{source: shop, file: vip.csv, traits: [plan]}]
destinations: {log: {type: DESTINATION, path: calls.jsonl}}
guard: {at_least: 1, max_removed: 50%}
"""
DOWN = "webhook, url: 'http://127.0.0.1:9/hook', give_up_after: 1s, events: false"
#: What the first run of each project finds.
COUNTS = {"status": "succeeded", "entered": 4, "left": 0}


def project(folder: Path) -> Path:
    """A project that has never run: VIP has three members, Test one. Returns its config."""
    folder.mkdir()
    write_members(folder, "ada", "bob", "cyd")
    (folder / "test.csv").write_text("user_id\nada\n")
    config = folder / "config.yaml"
    config.write_text(CONFIG.replace("DESTINATION", "file"))
    return config


def write_members(folder: Path, *users: str) -> None:
    (folder / "vip.csv").write_text("".join(["user_id,plan\n", *(f"{user},gold\n" for user in users)]))


def held(folder: Path) -> Path:
    """A project whose next run holds VIP, because two of three members would leave."""
    config = project(folder)
    Project.open(config).sync()
    write_members(folder, "ada")
    return config


def failed(folder: Path) -> Path:
    """A project whose next run can't read the file of VIP."""
    config = project(folder)
    (folder / "vip.csv").unlink()
    return config


def partial(folder: Path) -> Path:
    """A project with a destination that nobody answers at, beside one that works."""
    config = project(folder)
    text = config.read_text().replace("path: calls.jsonl}}", "path: calls.jsonl}, down: {type: " + DOWN + "}}")
    config.write_text(text)
    return config


def invalid(folder: Path) -> Path:
    """A project with a misspelled option."""
    config = project(folder)
    config.write_text(config.read_text().replace("guard:", "gaurd:"))
    return config


def names_from(folder: Path) -> Path:
    """A project with two columns of names: the plans of three users, and the tier of one."""
    config = project(folder)
    (folder / "test.csv").write_text("user_id,tier\nada,high\n")
    entries = [
        f"  - {{names_from: {column}, source: shop, file: {file}.csv}}\n"
        for column, file in (("plan", "vip"), ("tier", "test"))
    ]
    before, _, after = config.read_text().partition("audiences:\n")
    config.write_text(f"{before}audiences:\n{''.join(entries)}destinations:{after.partition('destinations:')[2]}")
    return config


def example(page: str, config: Path, number: int = 0) -> dict[str, Any]:
    """The names that a page's Python code of this number defines, with this config."""
    text = (Path(__file__).parents[2] / "docs" / page).read_text("utf-8")
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[number]
    assert "/etc/audience-sync/config.yaml" in code
    names: dict[str, Any] = {"__name__": "example"}
    exec(code.replace("/etc/audience-sync/config.yaml", str(config)), names)
    return names


@contextmanager
def busy(config: Path) -> Iterator[None]:
    """Another run is in progress meanwhile."""
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.connection.lease import acquire

    Project.open(config).sync()
    with acquire(Store(f"sqlite:///{config.parent / 'audience_sync.db'}")):
        yield
