"""Look for barriers on a page with axe-core, by WCAG 2.0 to 2.2 A and AA and its best practices."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from playwright.sync_api import Page

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def findings(page: Page, *, rule: str | None = None) -> list[str]:
    """What axe finds: the rule, and the first elements of each finding. ``rule``: look for this one alone.

    The policy of the page does not apply to axe. It loads nothing again from a page that is a file: it may not.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
    only = {"type": "rule", "values": [rule]} if rule else {"type": "tag", "values": list(TAGS)}
    found: dict[str, Any] = page.evaluate(
        "only => axe.run(document, {runOnly: only, resultTypes: ['violations'], preload: location.protocol[0] == 'h'})",
        only,
    )
    return [
        f"{each['id']}: {node['html'][:200]} ({node.get('failureSummary', '')[:300]})"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]
