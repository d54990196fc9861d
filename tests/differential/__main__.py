"""Compare two versions of the program over random days.

python -m tests.differential compare                    the last release and this tree
python -m tests.differential compare --old PYTHON       with another version: the Python of its environment
python -m tests.differential record                     keep what the last release does, for the tests
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for helpers of all tests

from .compare import Compared, compare
from .play import Version, play
from .recording import DAYS, RECORDED, SEEDS, record
from .release import ROOT, install, last_release


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    comparing = commands.add_parser("compare", help="play the same days with two versions")
    comparing.set_defaults(do=_compare)
    comparing.add_argument("--old", metavar="PYTHON", help="of the environment of the old version; default: a release")
    comparing.add_argument("--release", metavar="REF", help="a tag or commit to install; default: the last release")
    comparing.add_argument("--new", default=sys.executable, metavar="PYTHON", help="default: this one")
    comparing.add_argument("--seeds", type=int, default=40)
    comparing.add_argument("--first", type=int, default=0, help="the first seed")
    comparing.add_argument("--days", type=int, default=6)
    recording = commands.add_parser("record", help="keep what a version does, for the tests")
    recording.set_defaults(do=_record)
    recording.add_argument("--with", dest="old", metavar="PYTHON", help="default: the last release, which is installed")
    options = parser.parse_args()
    status: int = options.do(options)
    return status


def _installed(release: str | None = None) -> Path:
    release = release or last_release()
    print(f"Release: {release}", flush=True)
    return install(release, ROOT / ".nox" / "differential")


def _compare(options: argparse.Namespace) -> int:
    compared = Compared()
    python = options.old or _installed(options.release)
    with tempfile.TemporaryDirectory() as folder, Version(python) as old, Version(options.new) as new:
        for seed in range(options.first, options.first + options.seeds):
            found = len(compared.differences)
            compare(
                play(old, seed, options.days, Path(folder, "old")),
                play(new, seed, options.days, Path(folder, "new")),
                compared,
            )
            for difference in compared.differences[found:]:
                print(f"seed {seed}, {difference}", flush=True)
            print(
                f"seed {seed}: {'different' if compared.differences[found:] else 'equal'}"
                f" ({compared.commands:,} equal commands, {compared.calls:,} equal calls so far)",
                flush=True,
            )
    print(f"{len(compared.differences)} of {compared.seeds} seeds differ.")
    return 1 if compared.differences else 0


def _record(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder, Version(options.old or _installed()) as version:
        for seed in SEEDS:
            text = record(play(version, seed, DAYS, Path(folder, "old")))
            (RECORDED / f"seed_{seed}.txt").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
