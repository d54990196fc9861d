"""Search longer than the tests: compare random histories of the command line, with kills and faults, with the model.

python tests/model/long_search.py --examples 100
python tests/model/long_search.py --examples 100 --postgresql --seed 7
python tests/model/long_search.py --examples 100 --types braze hubspot
python tests/model/long_search.py --examples 100 --warehouse
python tests/model/long_search.py --examples 100 --bucket
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bucket.s3_server import bucket_of
from crash.soak import postgresql_stores
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from model.harness import Harness
from model.project_files import TYPES
from model.search import COMMON, machine_in


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--postgresql", action="store_true", help="with stores on a PostgreSQL of its own")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--types", nargs=2, default=TYPES, help="of the two destinations: a vendor has a fake")
    parser.add_argument("--warehouse", action="store_true", help="with audiences in a PostgreSQL that compares them")
    parser.add_argument("--bucket", action="store_true", help="with snapshots in a bucket of a local S3 server")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    numbers = count(1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def on_sqlite() -> str:
            return _with_schema(f"sqlite:///{folder / f'store-{next(numbers)}.db'}")

        needs_server = options.postgresql or options.warehouse
        on_postgresql = stack.enter_context(postgresql_stores()) if needs_server else None
        new_store: Callable[[], str] = on_sqlite
        if options.postgresql and on_postgresql:
            new_store = partial(on_postgresql, with_schema=True)
        warehouse = on_postgresql() if options.warehouse and on_postgresql else None
        state = stack.enter_context(bucket_of(os.environ)) if options.bucket else None
        harness = Harness(folder, new_store, types=tuple(options.types), warehouse=warehouse, state=state)
        chosen = settings(COMMON, max_examples=options.examples, stateful_step_count=options.steps, derandomize=False)
        try:
            run_state_machine_as_test(seed(options.seed)(machine_in(harness)), settings=chosen)
        finally:
            print(", ".join(f"{number:,} {what}" for what, number in harness.done.items()), flush=True)
            harness.close()
    print("Every destination came to believe the truth.")
    return 0


def _with_schema(url: str) -> str:
    store = Store(url)
    migrate.upgrade(store)
    store.close()
    return url


if __name__ == "__main__":
    raise SystemExit(main())
