"""The sample project after a week of runs: refusals, an outage, a missing file, a hold, and an audience that waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from cli.conftest import Project, segment
from dashboard.week import move_into_the_past

from .vendor import SLOW_DOWN, Vendor

#: Users whose calls the vendor refuses. All are members of `vip` in the first run.
REFUSED = ("C-00003", "C-00004", "C-00005")
#: A user who left `vip` on the third day.
LEFT = "C-00010"
#: An id that would be a script, if a page did not escape it.
HOSTILE = "<script>alert(1)</script>"
VIP, RUNS = "vip", 7


def vip_members(first: int, last: int) -> list[str]:
    return [f"C-{number:05}" for number in range(first, last)]


@contextmanager
def week_of_runs(folder: Path) -> Iterator[tuple[Project, Vendor]]:
    """Run the sample project on seven mornings, of which the last is today. The vendor stays open."""
    project = Project(folder)
    assert project.run("init", ".").code == 0
    with Vendor(REFUSED) as vendor:
        _configure(project, vendor)
        project.write_members("new.csv", *vip_members(51, 101))
        _vip(project, *vip_members(1, 201), HOSTILE)
        _run(project, 1)  # refused calls
        _vip(project, *vip_members(1, 221), HOSTILE)
        _run(project, 1)
        _vip(project, *(each for each in vip_members(1, 241) if each != LEFT), HOSTILE)
        vendor.is_down = True
        _run(project, 1, 3)  # the outage
        vendor.is_down = False
        vendor.instead = [SLOW_DOWN]
        _vip(project, *(each for each in vip_members(1, 261) if each != LEFT), HOSTILE)
        _run(project, 1)
        (project.folder / "extra.csv").rename(project.folder / "away.csv")
        _run(project, 3)  # a missing file
        (project.folder / "away.csv").rename(project.folder / "extra.csv")
        _run(project, 1)
        _vip(project, *vip_members(1, 21))
        _run(project, 4)  # the hold
        yield project, vendor


def _configure(project: Project, vendor: Vendor) -> None:
    path = project.folder / "config.yaml"
    config = yaml.safe_load(path.read_text("utf-8"))
    config["audiences"] += [
        {"name": "VIP", "source": "own", "file": "vip.csv"},
        {"name": "Extra", "source": "own", "file": "extra.csv"},
        {"name": "Win Back Winter", "source": "own", "file": "new.csv", "initial": "manual"},
    ]
    config["sources"]["own"] = {"files": "."}
    config["computed_traits"] = []
    config["destinations"]["segment"] = segment(vendor, give_up_after="2s", batch_size=50)
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    project.write_members("extra.csv", *vip_members(300, 340))


def _vip(project: Project, *users: str) -> None:
    project.write_members("vip.csv", *users)


def _run(project: Project, *codes: int) -> None:
    """Run a day after the run before it."""
    move_into_the_past(project.store, hours=24)
    done = project.run("sync")
    assert done.code in codes, done.stdout + done.stderr
