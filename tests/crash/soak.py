"""Kill the installed command at random instants, many times; the receivers must come to believe the truth.

python tests/crash/soak.py --kills 200
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from crash.receiver import Receiver
from crash.world import World, believed_by_file

#: Runs that are killed between two that are not.
KILLS_A_ROUND = 5


def soak(
    folder: Path,
    *,
    kills: int,
    seed: int,
    users: int = 1_000,
    failures: float = 0.07,
    delay: float = 0.01,
    store: str = "sqlite:///audience_sync.db",
    say: Callable[[str], None] = lambda text: None,
) -> list[str]:
    """Everything that went wrong; an empty list is what it should be."""
    chance = random.Random(seed)
    receiver = Receiver(random.Random(seed + 1), failures=failures, delay=delay)
    world = World(folder, chance, users=users, store=store, url=receiver.url)
    try:
        return _rounds(world, receiver, chance, kills, say)
    finally:
        receiver.close()


def _rounds(
    world: World, receiver: Receiver, chance: random.Random, kills: int, say: Callable[[str], None]
) -> list[str]:
    killed, longest, wrong = 0, 1.5, list[str]()
    while killed < kills and not wrong:
        for _ in range(min(KILLS_A_ROUND, kills - killed)):
            world.write()
            killed += _kill(world, chance.uniform(0.0, longest))
            if chance.random() < 0.7:
                world.change()
        world.write()
        started = time.monotonic()
        world.finish()
        longest = max(longest, 1.2 * (time.monotonic() - started))
        wrong += _check(world, receiver)
        belief = receiver.belief
        say(f"{killed} kills, {belief.repeats} repeats, {len(belief.bodies)} messages, {len(wrong)} wrong")
    return wrong


def _kill(world: World, after: float) -> int:
    """Start a run and kill it; 1 if it was still at work."""
    process = world.start()
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return int(process.returncode == -signal.SIGKILL)


def _check(world: World, receiver: Receiver) -> list[str]:
    by_file = believed_by_file(world.folder / "identify_calls.jsonl")
    return [
        *receiver.belief.wrong,
        *(f"receiver: {difference}" for difference in world.differences(receiver.belief.users)),
        *(f"file: {difference}" for difference in world.differences(by_file)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--store", default="sqlite:///audience_sync.db", help="a PostgreSQL URL, for instance")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "project"
        wrong = soak(place, kills=options.kills, seed=options.seed, store=options.store, say=print)
    print("\n".join(wrong[:20]) or "Nothing lost, nothing stale: every receiver believes the truth.")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
