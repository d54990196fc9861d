"""Measure runs whose snapshots are in the store, in a folder, or in a bucket of an S3 server on loopback.

    python benchmarks/bucket.py                                          # ten million members, 1% changed
    python benchmarks/bucket.py --members 100000000 --places folder      # 3 GB of disk

Ids are random. The first run records a baseline without sending; the second one sends the changes to a `file`
destination. Each place must send the same calls.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).parent))
from slices import PeakSize, digest

CONFIG = """
store: sqlite:///store.db
%s
sources: {data: {files: ..}}
audiences: [{name: VIP, source: data, file: vip.parquet, initial: none}]
destinations: {crm: {type: file, path: calls.jsonl}}
members_table: false
"""
#: A process of its own, whose memory is not that of the measured one.
SERVER = """
import threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
threading.Event().wait()
"""
#: What is compared of a call: its message id is another one in each store.
USERS = "select userId, traits from read_json('{file}', columns = {{userId: 'varchar', traits: 'json'}}) order by 1"


def write_members(folder: Path, members: int, *, changed: int) -> None:
    """A snapshot: half of the changed users have left, and as many are new."""
    ids = f"select substr(md5(i::varchar), 1, 16) as user_id from range({changed // 2}, {members + changed // 2}) t(i)"
    with duckdb.connect(config={"memory_limit": "2GB", "temp_directory": str(folder / "spill")}) as connection:
        connection.execute(f"copy ({ids}) to '{folder}/vip.parquet' (format parquet, compression zstd)")


def run(folder: Path, environment: dict[str, str], *arguments: str) -> tuple[float, float, int, int]:
    """Run a command. Returns seconds, seconds of CPU, peak memory and peak of temporary files in bytes."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "audience_sync", *arguments]
    started, out = time.monotonic(), folder / "answer.txt"
    with PeakSize(temporary) as peak, out.open("w") as answer:
        process = subprocess.Popen(
            command, cwd=folder, env=environment | {"TMPDIR": str(temporary)}, stdout=answer, stderr=answer
        )
        _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, out.read_text()
    return time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, peak.bytes


@contextmanager
def place_of(name: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The line of the config for this place, and the environment of commands."""
    if name != "s3":
        yield "" if name == "store" else f"state: file://{folder}/state", dict(os.environ)
        return
    import boto3

    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdout is not None
    address = f"http://127.0.0.1:{int(server.stdout.readline())}"
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    client = boto3.client(
        "s3", endpoint_url=address, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )
    client.create_bucket(Bucket="bucket")
    yield "state: s3://bucket/state", {**os.environ, **keys, "AWS_ENDPOINT_URL": address}
    server.terminate()
    server.wait()


def measure(work: Path, members: int, changed: int, name: str) -> str:
    """Measure one place; returns a digest of the users who were sent a call, with its properties."""
    folder = work / name
    folder.mkdir()
    with place_of(name, folder) as (line, environment):
        (folder / "config.yaml").write_text(CONFIG % line)
        for step, arguments in (
            ("first run", ["sync", "--json"]),
            ("run with changes", ["sync", "--json"]),
            ("explain", ["explain", "c4ca4238a0b92382"]),
        ):
            if step != "explain":
                write_members(work, members, changed=changed if step == "run with changes" else 0)
            wall, cpu, memory, temporary = run(folder, environment, *arguments)
            stored = (folder / "store.db").stat().st_size
            row = f"{wall:.1f} | {cpu:.1f} | {memory / 1e6:,.0f} | {temporary / 1e6:,.0f} | {stored / 1e6:,.0f}"
            print(f"| {name} | {step} | {row} |", flush=True)
    users = folder / "users.csv"
    duckdb.sql(USERS.format(file=folder / "calls.jsonl")).write_csv(str(users))
    found = digest(users)
    shutil.rmtree(folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=10_000_000)
    parser.add_argument("--changed", type=int, help="default: one percent")
    parser.add_argument("--places", nargs="+", default=["store", "folder", "s3"], choices=["store", "folder", "s3"])
    parser.add_argument("--work", type=Path, help="a folder for everything; default: a temporary one")
    chosen = parser.parse_args()
    changed = chosen.changed or chosen.members // 100
    print(f"{chosen.members:,} members, {changed:,} changed\n")
    print("| snapshots in | step | s | CPU s | peak MB | temporary files, MB | store, MB |")
    print("|---|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory(dir=chosen.work) as work:
        sent = {measure(Path(work), chosen.members, changed, name) for name in chosen.places}
    assert len(sent) == 1, "other calls"


if __name__ == "__main__":
    main()
