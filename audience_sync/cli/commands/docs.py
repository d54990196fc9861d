"""``audience-sync docs``: open the documentation in the browser, without a network."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.base.layout import prose
from audience_sync.cli.base.session import Session, with_session
from audience_sync.errors import AudienceSyncError
from audience_sync.text import nearest

PACKAGE = Path(__file__).resolve().parents[2]
#: The site of an installed package, and the one that `nox -s site` builds in a checkout.
SITES = (PACKAGE / "site", PACKAGE.parent / "build" / "site")
HOME = "index"


@click.command()
@click.argument("page", default=HOME)
@click.option("--print", "only_print", is_flag=True, help="Print the page's address, and open no browser.")
@with_session
def docs(session: Session, page: str, only_print: bool) -> None:
    """Open the documentation, or one PAGE of it, such as guards or commands/seed.

    The pages are files of the installation: neither they nor their search need a network.
    """
    address = page_file(page, SITES).as_uri()
    if only_print or session.as_json:
        session.answer({"url": address}, lambda _: [address])
        return
    import webbrowser

    if webbrowser.open(address):
        click.echo(f"Opened: {address}")
    else:
        session.answer(
            {"url": address}, lambda screen: [*prose("There is no browser to open. Open this file:", screen), address]
        )


def page_file(name: str, sites: tuple[Path, ...]) -> Path:
    """The file of a page in the first of these folders that has a site.

    Raises AudienceSyncError if none has, and click.BadParameter if the site has no such page.
    """
    site = next((folder for folder in sites if (folder / f"{HOME}.html").is_file()), None)
    if site is None:
        raise AudienceSyncError(
            "this installation has no documentation. No page was opened.\n"
            "In a checkout, build it: pip install -e '.[site]' && python docs/build_site.py\n"
            "Elsewhere, install it again, without pip's --no-build-isolation."
        )
    pages = {file.relative_to(site).with_suffix("").as_posix(): file for file in site.rglob("*.html")}
    name = name.strip("/").removesuffix(".html").removesuffix(".md").removeprefix("docs/")
    if name not in pages:
        nested_first = sorted(pages, key=lambda page: -page.count("/"))
        by_end = {page.rpartition("/")[2]: page for page in nested_first}  # `seeed` means commands/seed
        meant = nearest(name, pages) if "/" in name else by_end.get(nearest(name, by_end) or "")
        raise click.BadParameter(
            f"there is no page `{name}`." + (f" Did you mean `{meant}`?" if meant else ""), param_hint="PAGE"
        )
    return pages[name]
