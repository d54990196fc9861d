"""``docs`` opens the pages of the installation as files, and names what is missing."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from audience_sync.cli import group
from audience_sync.cli.commands import docs
from audience_sync.errors import AudienceSyncError


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site of two pages, as that of an installation. Its folder has a space."""
    folder = tmp_path / "a site"
    for name in ("index.html", "commands/seed.html"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("<h1>", "utf-8")
    monkeypatch.setattr(docs, "SITES", (tmp_path / "none", folder))
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the browser was asked to open; it opens each."""
    addresses: list[str] = []

    def opens(address: str) -> bool:
        addresses.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", opens)
    return addresses


def test_the_first_page_is_opened_as_a_file(site: Path, opened: list[str]) -> None:
    answer = CliRunner().invoke(group, ["docs"])
    assert answer.exit_code == 0
    assert opened == [f"{site.as_uri()}/index.html"]
    assert answer.stdout == f"Opened: {opened[0]}\n"


@pytest.mark.parametrize("page", ["commands/seed", "commands/seed.html", "docs/commands/seed.md", "/commands/seed"])
def test_a_page_is_named_as_in_the_site_or_in_the_repository(site: Path, opened: list[str], page: str) -> None:
    answer = CliRunner().invoke(group, ["docs", page, "--print"])
    assert answer.stdout == f"{(site / 'commands' / 'seed.html').as_uri()}\n"
    assert opened == []


def test_json_has_the_address(site: Path, opened: list[str]) -> None:
    answer = CliRunner().invoke(group, ["docs", "--json"])
    assert answer.stdout == f'{{\n  "url": "{site.as_uri()}/index.html"\n}}\n'
    assert opened == []


def test_without_a_browser_the_address_is_shown(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    answer = CliRunner().invoke(group, ["docs"])
    assert answer.stdout == f"There is no browser to open. Open this file:\n{site.as_uri()}/index.html\n"


@pytest.mark.parametrize("name", ["commands/sed", "sed"])
def test_a_page_that_does_not_exist_is_an_error_with_the_nearest(site: Path, name: str) -> None:
    with pytest.raises(click.BadParameter, match=rf"there is no page `{name}`\. Did you mean `commands/seed`\?"):
        docs.page_file(name, docs.SITES)


def test_an_installation_without_the_site_names_the_command_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(AudienceSyncError, match="python docs/build_site"):
        docs.page_file("index", (tmp_path,))
