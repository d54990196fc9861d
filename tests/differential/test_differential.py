"""The program does in random days what the last release did, and a planted bug is a difference.

`recorded/` has what the last release did. `nox -s differential` plays more days, against the release itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from difflib import unified_diff
from pathlib import Path

import pytest

from .compare import Compared, compare
from .deliberate import as_before
from .play import Version, play
from .recording import DAYS, SEEDS, blocks, contract_in, recorded, summaries

REMEDY = """
Is the difference meant? Then name it in tests/differential/deliberate.py. To see all of it:
nox -s differential -- --first {seed} --seeds 1
"""


@pytest.fixture(scope="module")
def version() -> Iterator[Version]:
    with Version() as started:
        yield started


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_random_days_go_as_in_the_last_release(seed: int, version: Version, tmp_path: Path) -> None:
    recording = recorded(seed)
    with closing(play(version, seed, DAYS, tmp_path / "shop")) as played:
        summed = summaries(map(as_before, played), contract_in(recording))
        for before, after in zip(blocks(recording), summed, strict=True):
            lines = unified_diff(before.splitlines(), after.splitlines(), "last release", "now", n=2, lineterm="")
            assert before == after, "\n".join([before.splitlines()[0], *lines, REMEDY.format(seed=seed)])


@pytest.mark.parametrize(
    ("bug", "found_in"),
    [
        ("a_new_message_id_for_every_attempt", "calls to crm:"),
        ("held_snapshots_are_accepted", "view audience_members:"),
    ],
)
def test_a_planted_bug_is_a_difference(bug: str, found_in: str, version: Version, tmp_path: Path) -> None:
    compared = Compared()
    with Version(bug=bug) as wrong:
        compare(play(version, SEEDS[0], 2, tmp_path / "old"), play(wrong, SEEDS[0], 2, tmp_path / "new"), compared)
    [difference] = compared.differences
    assert found_in in difference
