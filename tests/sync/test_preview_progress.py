"""A preview counts what it loads, as a run does: "Loading 2 of 3"."""

from __future__ import annotations

from pathlib import Path

import pytest

from audience_sync.project.opening import load_settings, open_to_read
from audience_sync.sync.preview.plan import preview_run
from audience_sync.sync.values.request import ProgressListener, RunRequest, Selection, Sync
from audience_sync.tracing import current_stages

CONFIG = """
store: sqlite:///store.db
sources: {shop: {files: .}}
audiences:
  - {name: VIP, source: shop, file: vip.csv}
  - {name: Wave, source: shop, file: vip.csv}
computed_traits: [{source: shop, file: plans.csv, traits: [plan]}]
destinations: {log: {type: file, path: log.jsonl}}
"""


@pytest.mark.parametrize(
    ("request_", "counts"),
    [
        pytest.param(Sync(), [3, 3, 3], id="everything"),
        pytest.param(Sync(selection=Selection(audiences=["vip"])), [2, 2], id="one audience, and the traits"),
    ],
)
def test_each_entry_is_one_of_so_many(tmp_path: Path, request_: RunRequest, counts: list[int]) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "vip.csv").write_text("user_id\nada\n")
    (tmp_path / "plans.csv").write_text("user_id,plan\nada,pro\n")
    seen = list[int]()

    def watch(what: str) -> None:
        stages = current_stages()
        seen.append(stages.entries if stages else 0)

    with open_to_read(load_settings(tmp_path / "config.yaml")) as parts:
        preview_run(parts, request_, ProgressListener(loading=watch))
    assert seen == counts
    assert current_stages() is None
