"""Build the documentation site: `python docs/build_site.py [FOLDER]`, by default into build/site.

The pages are copied into build/pages first. Root documents such as the changelog become pages there, and links to other
files of the repository lead to its address or lose their link. Then Zensical builds the site from mkdocs.yml, every
link of the result is followed, and llms.txt and llms-full.txt list the pages for programs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = ROOT / "build" / "pages"
SITE = ROOT / "build" / "site"
#: Documents of the repository's root that are pages of the site, by their name there.
ROOT_PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "reporting.md"}
#: Tools and templates that are not for readers.
NOT_PAGES = shutil.ignore_patterns("__pycache__", "*.template.md", "theme")
FONT = ROOT / "audience_sync/web/static/vendor/ibm-plex-sans-latin-wght-normal.woff2"
#: The characters of a sentence that says too little of a page.
SHORT = 40
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


class BrokenSiteError(Exception):
    """The site can't be built, has links that lead nowhere, or loads something from elsewhere."""


def build(site: Path = SITE) -> int:
    """Build the site into the folder and return the number of its pages.

    Raises BrokenSiteError when a link leads nowhere, and CalledProcessError when Zensical has a warning.
    """
    if find_spec("zensical") is None:
        raise BrokenSiteError("Zensical is not installed: pip install -e '.[site]'")
    copy_pages(PAGES)
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(ROOT / "mkdocs.yml")]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    (SITE / "search.json").unlink()  # the same as search.js, which also a page that was opened as a file can load
    for page in SITE.rglob("*.html"):  # the corner of a table with row names is no head
        page.write_text(page.read_text("utf-8").replace("<th></th>", "<td></td>"), "utf-8")
    shutil.rmtree(SITE / "assets/stylesheets/classic")  # the theme's other variant
    write_llms(PAGES, SITE)
    if broken := [*broken_links(SITE), *foreign_parts(SITE)]:
        raise BrokenSiteError("\n".join(broken))
    if site.resolve() != SITE:
        shutil.copytree(SITE, site, dirs_exist_ok=True)
    return sum(1 for _ in SITE.rglob("*.html"))


def copy_pages(folder: Path) -> None:
    """Copy what the site is built from into the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=NOT_PAGES)
    for tool in folder.glob("*.py"):
        tool.unlink()
    shutil.copytree(DOCS / "theme", folder / "theme", ignore=shutil.ignore_patterns("overrides"))
    shutil.copy(FONT, folder / "theme" / "plex.woff2")
    for page in list(folder.rglob("*.md")):
        origin = DOCS / page.relative_to(folder)
        page.write_text(with_site_links(origin.read_text("utf-8"), origin), "utf-8")
    for name, page_name in ROOT_PAGES.items():
        (folder / page_name).write_text(with_site_links((ROOT / name).read_text("utf-8"), ROOT / name), "utf-8")
    for linked in linked_folders(DOCS):
        text = decisions_page(linked) if linked.name == "decisions" else folder_page(linked)
        (folder / linked.relative_to(DOCS) / "index.md").write_text(text, "utf-8")


def with_site_links(text: str, origin: Path) -> str:
    """The page with links that hold on the site. ``origin``: its file in the repository."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(lambda m: _link(m, origin), part) for part in parts)


def _link(match: re.Match[str], origin: Path) -> str:
    text, target = match[1], match[2]
    path, sign, anchor = target.partition("#")
    if not path or re.match("[a-z]+:", target):
        return match[0]
    file = (origin.parent / path).resolve()
    here = DOCS / ROOT_PAGES[origin.name] if origin.parent == ROOT else origin
    if file.is_relative_to(DOCS):
        page = file / "index.md" if file.is_dir() else file
    elif file.parent == ROOT and file.name in ROOT_PAGES:
        page = DOCS / ROOT_PAGES[file.name]
    elif address := repository_address():
        return f"[{text}]({address}/blob/main/{file.relative_to(ROOT).as_posix()})"
    else:
        return text
    return f"[{text}]({Path(os.path.relpath(page, here.parent)).as_posix()}{sign}{anchor})"


def repository_address() -> str | None:
    """The address of the source code, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    urls = {name.lower(): address for name, address in project.get("urls", {}).items()}
    found = urls.get("source") or urls.get("repository")
    return found.rstrip("/") if found else None


def linked_folders(docs: Path) -> set[Path]:
    """The folders that pages link to; each has a page on the site."""
    linked = {
        (page.parent / match[2]).resolve()
        for page in docs.rglob("*.md")
        for match in LINK.finditer(page.read_text("utf-8"))
    }
    return {folder for folder in linked if folder.is_dir() and folder.is_relative_to(docs)}


def decisions_page(folder: Path) -> str:
    """The list of decisions, by number."""
    lines = [f"- [{title(file.read_text('utf-8'))}]({file.name})" for file in sorted(folder.glob("[0-9]*.md"))]
    return "# Decisions\n\nEach page has one question, what was decided, and what was decided against.\n\n" + "\n".join(
        [*lines, ""]
    )


def folder_page(folder: Path) -> str:
    """The files of a folder that a page links to."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    names = [file.relative_to(folder).as_posix() for file in files]
    return "\n".join([f"# The files of {folder.relative_to(DOCS)}", "", *(f"- [{name}]({name})" for name in names), ""])


def title(text: str) -> str:
    """The first heading of a page, without marks."""
    found = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
    return re.sub(r"[`*]", "", found[1]).strip() if found else ""


def nav_pages(nav: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The pages of the navigation in order, each with the titles of its groups."""
    for entry in nav:
        if isinstance(entry, str):
            yield path, entry
            continue
        for name, inner in entry.items():
            if isinstance(inner, str):
                yield path, inner
            else:
                yield from nav_pages(inner, (*path, name))


def navigation() -> Any:
    """The navigation of mkdocs.yml."""
    return yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader=_AnyTag)["nav"]


class _AnyTag(yaml.SafeLoader):
    """Reads a file whose tags name Python functions, without calling them."""


_AnyTag.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def write_llms(pages: Path, site: Path) -> None:
    """Write llms.txt, which lists the pages with one sentence each, and llms-full.txt, which has their texts."""
    lines = ["# Audience Sync", "", f"> {summary((pages / 'index.md').read_text('utf-8'))}", ""]
    texts, group = [], ""
    for path, name in nav_pages(navigation()):
        text = (pages / name).read_text("utf-8")
        if path and path[0] != group:
            group = path[0]
            lines += ["", f"## {group}", ""]
        address = re.sub(r"\.md$", ".html", name)
        lines.append(f"- [{title(text)}]({address}): {summary(text)}")
        texts.append(f"<!-- {address} -->\n\n{text.strip()}\n")
    (site / "llms.txt").write_text("\n".join([*lines, ""]), "utf-8")
    (site / "llms-full.txt").write_text("\n".join(texts), "utf-8")


def summary(text: str) -> str:
    """The first sentence of a page's first paragraph, or two if the first is short; without marks."""
    body = re.sub(r"<!--.*?-->|^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    paragraphs = (part.strip() for part in re.split(r"\n\s*\n", body))
    first = next((part for part in paragraphs if part and not part.startswith(("#", "|", "!", "-", "    "))), "")
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", first).replace("**", "").replace("\n", " ")
    sentences = re.split(r"(?<=[.!?])\s", plain)
    return " ".join(sentences[: 1 if len(sentences[0]) > SHORT else 2]).rstrip(":")


class _Page(HTMLParser):
    """Collects the ids, the links and the loaded files of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.loaded = set[str](), list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values: Mapping[str, str | None] = dict(attrs)
        if found := values.get("id") or values.get("name"):
            self.ids.add(found)
        if tag == "a" and (link := values.get("href")):
            self.links.append(link)
        elif loaded := values.get("src") or (values.get("href") if tag == "link" else None):
            self.loaded.append(loaded)


def broken_links(site: Path) -> Iterator[str]:
    """The links of the site's pages that lead to no file or to no heading."""
    pages = {file.resolve(): _Page(file.read_text("utf-8")) for file in sorted(site.rglob("*.html"))}
    for file, page in pages.items():
        if file.name == "404.html":  # it is served at any address
            continue
        for link in [*page.links, *page.loaded]:
            path, _, anchor = unquote(link).partition("#")
            if re.match("[a-z]+:", link):
                continue
            target = (file.parent / path).resolve() if path else file
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                yield f"{file.relative_to(site.resolve())}: {link} leads to no file"
            elif anchor and target in pages and anchor not in pages[target].ids:
                yield f"{file.relative_to(site.resolve())}: {link} leads to no heading"


def foreign_parts(site: Path) -> Iterator[str]:
    """What pages and style sheets would load from the network."""
    for file in sorted(site.rglob("*.html")):
        for loaded in _Page(file.read_text("utf-8")).loaded:
            if re.match("(https?:)?//", loaded):
                yield f"{file.relative_to(site)}: loads {loaded}"
    for file in sorted(site.rglob("*.css")):
        for loaded in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", file.read_text("utf-8")):
            yield f"{file.relative_to(site)}: loads {loaded}"


if __name__ == "__main__":
    try:
        print(f"{build(*map(Path, sys.argv[1:2]))} pages")
    except (BrokenSiteError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
