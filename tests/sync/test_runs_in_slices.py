"""A run whose calls are made in slices of users sends, forecasts and counts what it does without slices."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from audience_sync import Project
from audience_sync.project.opening import load_settings, open_to_read
from audience_sync.project.progress import Delivering, Loading
from audience_sync.sync.deliver import pending
from audience_sync.sync.preview.forecast import Forecast
from audience_sync.sync.preview.plan import RunPreview, preview_run
from audience_sync.sync.values.request import ProgressListener, Resync, RunRequest, Seed, Sync

CONFIG = """
store: sqlite:///store.db
sources: {shop: {files: .}}
audiences:
  - {name: VIP, source: shop, file: vip.csv}
  - {name: Wave, source: shop, file: vip.csv, initial: manual}
computed_traits: [{source: shop, file: plans.csv, traits: [plan]}]
destinations:
  log: {type: file, path: log.jsonl}
"""
LATE = "  late: {type: file, path: late.jsonl, batch_size: 2}\n"
USERS = [f"user-{number}" for number in range(1, 8)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project that has been synced to one destination, and has another one since."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "vip.csv").write_text("\n".join(["user_id", *USERS[:5], ""]))
    (folder / "plans.csv").write_text("\n".join(["user_id,plan", *(f"{user},pro" for user in USERS[2:]), ""]))
    Project.open(folder / "config.yaml").sync()
    (folder / "config.yaml").write_text(CONFIG + LATE)
    return folder


class Copy:
    """A copy of the project, whose runs make slices of so many users."""

    def __init__(self, folder: Path, users: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pending, "SLICE_USERS", users)
        self.folder = Path(shutil.copytree(folder, folder.with_name(f"slices-of-{users}")))
        self.project = Project.open(self.folder / "config.yaml")

    def sent(self, name: str = "late") -> list[bytes]:
        """The lines of a destination."""
        return (self.folder / f"{name}.jsonl").read_bytes().splitlines()

    def preview(self, request: RunRequest) -> RunPreview:
        with open_to_read(load_settings(self.folder / "config.yaml")) as parts:
            return preview_run(parts, request, ProgressListener(), counts_sends=True)


@pytest.mark.parametrize("users", [1, 2, 3, 6])
def test_a_new_destination_is_sent_the_same_bytes(folder: Path, users: int, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = Copy(folder, 100, monkeypatch)
    at_once.project.sync()

    copy = Copy(folder, users, monkeypatch)
    run = copy.project.sync()

    assert copy.sent() == at_once.sent()
    assert len(copy.sent()) == 7
    [late] = [each for each in run.deliveries if each.destination == "late"]
    assert (late.calls, late.delivered, late.pending) == (7, 7, 0)
    assert copy.project.sync().deliveries[1].calls == 0


def test_the_number_of_calls_is_there_before_the_first_slice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, seen = Copy(folder, 2, monkeypatch), list[tuple[int, int]]()

    def watch(event: Loading | Delivering) -> None:
        if isinstance(event, Delivering) and event.destination == "late":
            seen.append((event.calls, event.delivered))

    copy.project.sync(progress=watch)

    assert seen[0] == (7, 0)
    assert seen[-1] == (7, 7)
    assert {calls for calls, _ in seen} == {7}


@pytest.mark.parametrize(
    "request_", [Sync(), Resync(destination="log"), Seed(key="wave")], ids=["sync", "resync", "seed"]
)
def test_a_preview_shows_the_same_changes_calls_and_values(
    folder: Path, request_: RunRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Copy(folder, 2, monkeypatch)
    sliced = copy.preview(request_)
    monkeypatch.setattr(pending, "SLICE_USERS", 100)
    at_once = copy.preview(request_)

    assert sliced.saved.changes == at_once.saved.changes
    assert sliced.sends == at_once.sends
    for few, together in zip(sliced.forecasts, at_once.forecasts, strict=True):
        assert (few.calls, few.refused, samples(few)) == (together.calls, 0, samples(together))
        assert few.requests >= together.requests


def samples(found: Forecast) -> list[tuple[str, str]]:
    return [(each.user_id, each.traits_json) for each in found.samples]


def test_a_forecast_has_the_requests_that_are_sent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(folder, 3, monkeypatch)
    forecasts = {each.name: each.requests for each in copy.preview(Sync()).forecasts}
    run = copy.project.sync()
    assert {each.destination: each.requests for each in run.deliveries} == forecasts
    assert forecasts["late"] == 5  # slices of 3, 3 and 1 users, and two users a request


def test_a_seed_is_continued_across_slices(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(folder, 2, monkeypatch)
    copy.project.sync()
    before, sent = len(copy.sent()), list[str]()
    for most in (1, 3, None):
        run = copy.project.seed("wave", limit=most)
        sent += [json.loads(line)["userId"] for line in copy.sent()[before + len(sent) :]]
    assert sent == USERS[:5]
    assert run.exit_code == 0
    assert copy.project.sync().deliveries[1].calls == 0


def test_a_saved_plan_of_a_run_in_slices_is_carried_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(folder, 2, monkeypatch)
    assert copy.project.sync(plan=copy.project.plan()).exit_code == 0
    assert len(copy.sent()) == 7
