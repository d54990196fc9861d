"""Make small projects with a history, and look at their pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from html import unescape
from typing import Any
from urllib.parse import urlencode

from cli.conftest import Project
from starlette.types import ASGIApp
from web.asgi import Answer, ask

from audience_sync.dashboard.app import dashboard_app
from audience_sync.dashboard.masks import IdMask
from audience_sync.dashboard.site import Site
from audience_sync.project.opening import load_settings

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
NEWS = {"name": "Newsletter", "source": "shop", "file": "news.csv"}
PLAN = {"source": "shop", "file": "traits.csv", "traits": ["plan", "email"]}
MASK = IdMask(bytes(32))
#: After the last run of a project: runs of `dated` are on the first days of March.
NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
#: Ids that a page must show as they are: markup, script, SQL, paths, controls, other directions, long ones.
ODD_IDS = {
    "markup": "<b>bold</b>",
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)',
    "sql": "'; drop table members; --",
    "percent": "a%2Fb%00c",
    "path": "../../etc/passwd",
    "query": "a&b=c?d#e+f",
    "template": "{{ 7 * 7 }}{% raw %}",
    "emoji": "👩‍👩‍👧‍👦" * 100,
    "right to left": "מזהה-‏123-ش",
    "override": "abc\u202edef",
    "control": "a\tb\x1b[31mc",
    "combining": "e\u0301" * 20,
    "spaces": "two  spaces",
    "long": "x" * 700,
}


def site_of(project: Project, *, masked: bool = False) -> Site:
    """The project as the dashboard has it, with the config of its folder."""
    settings = load_settings(project.folder / "config.yaml")
    mask = MASK if masked else None
    return Site(url=f"sqlite:///{project.store}", label="audience_sync.db", settings=settings, id_mask=mask)


def look(project: Project, path: str, *, masked: bool = False, now: datetime = NOW, **query: object) -> Answer:
    """Ask the project's dashboard for a page."""
    return ask(
        _app(project, (project.folder / "config.yaml").read_text(), masked, now),
        path + (f"?{urlencode(query)}" if query else ""),
    )


@cache
def _app(project: Project, config: str, masked: bool, now: datetime) -> ASGIApp:
    """The application of a project with a config, made once: its templates take most of the time."""
    return dashboard_app(site_of(project, masked=masked), clock=lambda: now)


def dated(project: Project, run: int, day: int) -> None:
    """Move a run to six o'clock of a day of March 2026, with its requests."""
    at = f"2026-03-{day:02} 06:00:00.000000"
    project.query(f"update runs set started_at = '{at}', finished_at = '{at}' where id = {run}")
    project.query(f"update delivery_requests set answered_at = '{at}' where run_id = {run}")
    project.query("update delivery_destinations set created_at = '2026-03-01 00:00:00.000000'")


def text_of(html: str) -> str:
    """The text of a page as a person reads it, with single spaces."""
    without = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    without = re.sub(r"</?(a|b|bdi|code|strong|time|wbr)\b[^>]*>", "", without)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", without)).split())


def cells(html: str, heading: str) -> list[list[str]]:
    """The rows of the first table after a heading's id."""
    part = html[html.index(f'id="{heading}"') :]
    table = part[part.index("<tbody>") : part.index("</table>")]
    rows = re.findall(r"<tr\b[^>]*>(.*?)</tr>", table, re.DOTALL)
    return [[text_of(cell) for cell in re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows]


def facts(html: str) -> Mapping[str, str]:
    """The facts at the head of a page by label."""
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html, re.DOTALL)
    return {text_of(label): text_of(value) for label, value in found}


def play_small_week(project: Project) -> Project:
    """Five days of two audiences and two traits: bob comes and goes, the last snapshot of VIP is held."""
    project.configure(
        audiences=[VIP, NEWS], computed_traits=[PLAN], guard={"at_least": 1, "max_removed": "60%", "max_added": "500%"}
    )
    project.write("traits.csv", "user_id,plan,email\nada,pro,ada@example.org\nbob,free,bob@example.org\n")
    project.write_members("news.csv", "ada", "bob", "cyd", "dan")
    for day, members in enumerate((["ada", "bob"], ["ada"], ["ada", "bob", "eve"], ["ada", "eve"], []), 1):
        project.write("vip.csv", "\n".join(["user_id", *members, *(['""'] if day == 4 else []), ""]))
        project.sync()
        dated(project, day, day)
    return project


def play_odd_ids(project: Project) -> Project:
    """Every odd id is in the newsletter from the start, and enters VIP in the second run."""
    project.configure(audiences=[VIP, NEWS], guard={"at_least": 1000})
    quoted = "".join('"' + each.replace('"', '""') + '"\n' for each in ODD_IDS.values())
    project.write("vip.csv", "user_id\nada\n")
    project.write("news.csv", f"user_id\n{quoted}")
    project.sync()
    project.write("vip.csv", f"user_id\nada\n{quoted}")
    project.sync()
    return project


def json_of(project: Project, *arguments: str) -> Any:
    """The answer of a command as a document."""
    return project.run(*arguments, "--json").json
