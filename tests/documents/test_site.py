"""The documentation site has every page in its navigation, and its build finds what leads nowhere."""

from __future__ import annotations

from pathlib import Path

import build_site
import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NAVIGATION = [name for _, name in build_site.nav_pages(build_site.navigation())]
#: Made by the build: documents of the root, and the list of decisions.
MADE = {*build_site.ROOT_PAGES.values(), "decisions/index.md"}


def test_every_document_is_in_the_navigation_once() -> None:
    documents = {file.relative_to(DOCS).as_posix() for file in DOCS.rglob("*.md")} - {"configuration.template.md"}
    assert sorted(NAVIGATION) == sorted(documents | MADE), "name the page in mkdocs.yml, under one of the four parts"


def test_the_navigation_has_the_four_parts() -> None:
    parts = [path[0] for path, _ in build_site.nav_pages(build_site.navigation()) if path]
    assert list(dict.fromkeys(parts)) == ["Tutorials", "How-to guides", "Reference", "Explanation"]


def test_every_document_is_linked_from_the_index_or_from_an_overview() -> None:
    overviews = ("index", "commands", "destinations", "sources")
    linked = {
        (DOCS / match[2].partition("#")[0]).resolve()
        for name in overviews
        for match in build_site.LINK.finditer((DOCS / f"{name}.md").read_text("utf-8"))
    }
    documents = {DOCS / name for name in NAVIGATION if name not in MADE and not name.startswith("decisions/")}
    assert {str(each) for each in documents - linked} == {str(DOCS / "index.md")}


def test_llms_txt_lists_every_page_with_its_first_sentence(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    build_site.copy_pages(pages)
    build_site.write_llms(pages, tmp_path)
    listed, full = ((tmp_path / name).read_text("utf-8") for name in ("llms.txt", "llms-full.txt"))
    for name in NAVIGATION:
        address = name.removesuffix("md") + "html"
        assert f"]({address}): " in listed
        assert f"<!-- {address} -->" in full
        assert build_site.title((pages / name).read_text("utf-8")) in full
    assert listed.startswith("# Audience Sync\n\n> Audience Sync loads audience snapshots")


@pytest.mark.parametrize(
    ("origin", "link", "on_the_site"),
    [
        ("docs/guards.md", "[undo](commands/undo.md#an-example)", "[undo](commands/undo.md#an-example)"),
        ("docs/guards.md", "[the rules](../CONTRIBUTING.md)", "[the rules](contributing.md)"),
        ("docs/commands/undo.md", "[the rules](../../CONTRIBUTING.md#tests)", "[the rules](../contributing.md#tests)"),
        ("CHANGELOG.md", "[guards](docs/guards.md)", "[guards](guards.md)"),
        ("docs/index.md", "[Decisions](decisions)", "[Decisions](decisions/index.md)"),
        ("docs/guards.md", "[elsewhere](https://example.org/a)", "[elsewhere](https://example.org/a)"),
        ("docs/guards.md", "![a drawing](diagrams/run.svg)", "![a drawing](diagrams/run.svg)"),
        ("docs/guards.md", "```\n[x](../LICENSE)\n```\n", "```\n[x](../LICENSE)\n```\n"),
    ],
)
def test_links_of_the_repository_lead_to_pages_of_the_site(origin: str, link: str, on_the_site: str) -> None:
    assert build_site.with_site_links(link, ROOT / origin) == on_the_site


def test_a_link_to_a_file_that_is_no_page_leads_to_the_repository_or_is_text() -> None:
    address = build_site.repository_address()
    expected = f"[the image]({address}/blob/main/Dockerfile)" if address else "the image"
    assert build_site.with_site_links("[the image](../Dockerfile)", DOCS / "guards.md") == expected


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="gone.html">', "index.html: gone.html leads to no file"),
        ('<a href="other.html#gone">', "index.html: other.html#gone leads to no heading"),
        ('<a href="#gone">', "index.html: #gone leads to no heading"),
        ('<img src="gone.svg">', "index.html: gone.svg leads to no file"),
        ('<a href="other.html#here">', None),
        ('<a href="https://example.org/">', None),
    ],
)
def test_the_build_finds_links_that_lead_nowhere(body: str, fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(body, "utf-8")
    (tmp_path / "other.html").write_text('<h2 id="here">', "utf-8")
    assert list(build_site.broken_links(tmp_path)) == ([fault] if fault else [])


def test_the_build_finds_what_a_page_would_load_from_the_network(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<script src="https://cdn.example.org/a.js"></script>', "utf-8")
    (tmp_path / "a.css").write_text("a { background: url(//cdn.example.org/a.png) }", "utf-8")
    assert list(build_site.foreign_parts(tmp_path)) == [
        "index.html: loads https://cdn.example.org/a.js",
        "a.css: loads //cdn.example.org/a.png",
    ]
