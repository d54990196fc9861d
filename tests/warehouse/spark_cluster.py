"""Start Spark with two workers, sync 10,000,000 members, and kill a worker in the middle of a run: `nox -s spark`.

A tenth of the members have computed traits.

    python -m warehouse.spark_cluster ENVIRONMENT [--users N] [--conformance]

ENVIRONMENT is a virtual environment with the package pyspark, which has Spark itself. It needs Java 17. It runs in an
environment with the extra `spark`, and ends with an error if anything is not as it has to be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.warehouse import CountingProxy, counting_proxy  # noqa: E402

CONFIG = """
store: sqlite:///store.db
members_table: false
sources:
  lake: {{spark: "sc://127.0.0.1:{port}", state: "{state}"}}
audiences:
  - {{name: Members, source: lake, query: "select user_id from parquet.`{today}/members`"}}
computed_traits:
  - {{source: lake, query: "select * from parquet.`{today}/values`", traits: [plan, visits, tags]}}
trait_values_table: true
destinations: {{}}
guard: {{max_removed: 100%, max_added: 100%}}
"""
TESTS = ("tests/warehouse/conformance", "tests/warehouse/test_spark.py", "tests/sources/test_spark.py")
#: Seconds until a process of Spark listens, on a busy machine.
STARTING = 180
#: The share of the members who leave, and of those who are new, in parts of 10,000.
CHANGED = 5
#: What Spark's server logs about a worker that is gone.
_LOST = re.compile(r"(Lost executor \d+|Resubmitted \S+|Executor lost: \d+|FetchFailed)")

Process = subprocess.Popen[bytes]


class Cluster:
    """Spark's processes. Each has a log, and each worker's executors are in its group of processes."""

    def __init__(self, environment: Path, folder: Path, running: ExitStack) -> None:
        [self._home] = environment.glob("lib/python*/site-packages/pyspark")
        self._folder, self._running = folder, running
        self.master, self.port = _free_port(), _free_port()
        master = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(self.master)]
        self._start("master", "spark-class", *master, "--webui-port", "0")
        _wait_for(self.master)
        self.workers = [self._worker(number) for number in (1, 2)]
        options = {
            "spark.connect.grpc.binding.port": self.port,
            "spark.executor.memory": "2g",
            "spark.sql.shuffle.partitions": 8,
            "spark.sql.warehouse.dir": folder / "catalog",
            "spark.ui.enabled": "false",
        }
        configured = [part for name, value in options.items() for part in ("--conf", f"{name}={value}")]
        server = ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", *configured]
        memory = ["--driver-memory", "4g"]  # the server keeps an answer until it is fetched
        self._start("server", "spark-submit", *memory, "--master", f"spark://127.0.0.1:{self.master}", *server)
        _wait_for(self.port)

    @property
    def server_log(self) -> str:
        return (self._folder / "server.log").read_text("utf-8", "replace")

    def _worker(self, number: int) -> Process:
        worker = ["org.apache.spark.deploy.worker.Worker", f"spark://127.0.0.1:{self.master}", "--host", "127.0.0.1"]
        limits = [
            "--cores",
            "1",
            "--memory",
            "2g",
            "--webui-port",
            "0",
            "--work-dir",
            str(self._folder / f"work{number}"),
        ]
        return self._start(f"worker{number}", "spark-class", *worker, *limits)

    def _start(self, name: str, program: str, *arguments: str) -> Process:
        environment = {**os.environ, "SPARK_HOME": str(self._home), "SPARK_LOCAL_IP": "127.0.0.1"}
        environment |= {"SPARK_LOCAL_DIRS": str(self._folder / "scratch"), "SPARK_NO_DAEMONIZE": "1"}
        command = [str(self._home / "bin" / program), *arguments]
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        self._running.callback(kill, process)
        return process


def kill(process: Process) -> None:
    """End a process and those that it started, without any warning."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _free_port() -> int:
    """A port that no process gets from the system while Spark starts."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + STARTING
    while True:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"nothing listens at port {port}"
        time.sleep(0.2)


class Sync:
    """A run in a process of its own."""

    def __init__(self, folder: Path, proxy: CountingProxy) -> None:
        self._proxy, self._began, proxy.bytes = proxy, time.monotonic(), 0
        self._out, self._err = folder / "out.json", folder / "err.txt"
        command = [sys.executable, "-m", "audience_sync", "sync", "--json"]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err)

    def has_ended(self) -> bool:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, flags) is not None

    def result(self, title: str) -> tuple[int, int, int, int]:
        """Wait for its end, and print what it took. Returns who entered, left, are members, and have changed values."""
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        assert self._process.returncode == 0, self._err.read_text() + self._out.read_text()
        answer = json.loads(self._out.read_text())
        [audience] = answer["audiences"]
        entered, left, members, changed = (
            *(int(audience[name]) for name in ("entered", "left", "members")),
            int(answer["traits"]["changed"]),
        )
        say(
            f"{title}: {entered:,} entered, {left:,} left, {members:,} members, {changed:,} users with changed traits; "
            f"{time.monotonic() - self._began:.1f} s, {self._proxy.bytes:,} bytes over the wire, "
            f"{used.ru_utime + used.ru_stime:.1f} s of our CPU"
        )
        return entered, left, members, changed


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def spark_cluster(environment: Path, folder: Path) -> Iterator[Cluster]:
    with ExitStack() as running:
        yield Cluster(environment, folder, running)


def write_days(url: str, folder: Path, users: int) -> None:
    """Write two days as Parquet, by Spark: members, and for a tenth of them the values of traits.

    In the second day some members have left, some are new, and some values have changed.
    """
    from audience_sync.sources.spark.server import SparkServer

    for day, changed, changed_values in (("today", 0, 0), ("tomorrow", _changed(users), _changed(users // 10))):
        ids = f"range({changed}, {users + changed}, 1, 8)"
        values = f"elt(id % 3 + 1, 'free', 'pro', 'max') as plan, id + if(id < {changed_values}, 1, 0) as visits"
        values += ", array('all', cast(id % 7 as string)) as tags"
        with SparkServer(url).connect() as spark:
            for name, rows in {
                "members": f"select md5(cast(id as string)) as user_id from {ids}",
                "values": f"select md5(cast(id as string)) as user_id, {values} from range(0, {users // 10}, 1, 8)",
            }.items():
                spark.session.sql(rows).write.parquet((folder / day / name).as_uri())


def _changed(users: int) -> int:
    return users * CHANGED // 10_000


def require_equal_members(folder: Path) -> None:
    """The members of the store must be those of the Parquet files."""
    members = folder / "members.csv"
    with members.open("wb") as out:
        subprocess.run(
            [sys.executable, "-m", "audience_sync", "members", "members"], cwd=folder, stdout=out, check=True
        )
    with duckdb.connect() as connection:
        stored = f"(select user_id from read_csv('{members}', all_varchar = true))"
        there = f"(select user_id from read_parquet('{folder}/today/members/*.parquet'))"
        count = _count_of_equal(connection, stored, there)
    say(f"The store has exactly the {count:,} members of the files.")


def require_equal_values(folder: Path) -> None:
    """The values in the store must be those of the Parquet files."""
    import pyarrow

    with closing(sqlite3.connect(folder / "store.db")) as store:
        rows = store.execute("select user_id, trait_key, value from trait_values").fetchall()
    with duckdb.connect() as connection:
        names = ("user_id", "trait", "value")
        connection.register("stored", pyarrow.table(dict(zip(names, zip(*rows, strict=True), strict=True))))
        there = " union all ".join(
            f"select user_id, '{trait}' as trait, to_json({trait})::varchar as value "
            f"from read_parquet('{folder}/today/values/*.parquet')"
            for trait in ("plan", "visits", "tags")
        )
        count = _count_of_equal(connection, "(from stored)", f"({there})")
    say(f"The store has exactly the {count:,} values of the files.")


def _count_of_equal(connection: duckdb.DuckDBPyConnection, stored: str, there: str) -> int:
    """How many rows both have. They must be equal, and each there once."""
    differing = f"select count(*) from (({stored} except {there}) union all ({there} except {stored}))"
    assert connection.execute(differing).fetchone() == (0,)
    found = connection.execute(
        f"select count(*), (select count(*) from (select distinct * from {stored})) from {stored}"
    )
    [(rows, distinct)] = found.fetchall()
    assert rows == distinct
    return int(rows)


def play(cluster: Cluster, folder: Path, users: int) -> None:
    write_days(f"sc://127.0.0.1:{cluster.port}", folder, users)
    changed, changed_values, state = _changed(users), _changed(users // 10), folder / "state"
    with counting_proxy(cluster.port) as proxy:
        config = CONFIG.format(port=proxy.port, state=state.as_uri(), today=(folder / "today").as_uri())
        (folder / "config.yaml").write_text(config)
        first = Sync(folder, proxy).result("First run, two workers")
        assert first == (users, 0, users, users // 10)

        (folder / "today").rename(folder / "yesterday")
        (folder / "tomorrow").rename(folder / "today")
        run = Sync(folder, proxy)
        while not list(state.glob("*_delta_*/_temporary")):
            assert not run.has_ended(), "the run ended before its worker was killed"
            time.sleep(0.05)
        time.sleep(2)  # the comparison is at work
        assert not run.has_ended(), "the run ended before its worker was killed"
        kill(cluster.workers[0])
        say("Killed a worker and its executor (kill -9) while Spark compared.")
        second = run.result("Second run, one worker killed")
        assert second == (changed, changed, users, changed_values)
        lost = sorted(set(_LOST.findall(cluster.server_log)))
        assert lost, "Spark has not noticed that a worker was killed"
        say(f"Spark's log: {', '.join(lost)}.")

        require_equal_members(folder)
        require_equal_values(folder)
        third = Sync(folder, proxy).result("Third run, one worker left, nothing changed")
        assert third == (0, 0, users, 0)
    tables = sorted({path.parent.name for path in state.glob("*/*.parquet")})
    assert [name.split("_")[3] for name in tables] == ["base", "base", "delta", "delta"], tables
    say(f"In the state: {', '.join(tables)}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", type=Path)
    parser.add_argument("--users", type=int, default=10_000_000)
    parser.add_argument("--conformance", action="store_true", help="run the conformance suite first")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # and Spark's processes with it
    began = time.monotonic()
    with TemporaryDirectory() as name, spark_cluster(arguments.environment.resolve(), Path(name)) as cluster:
        say(f"Spark has started with two workers, after {time.monotonic() - began:.0f} s.")
        if arguments.conformance:
            environment = {"AUDIENCE_SYNC_ENGINES": "spark_files spark_tables"}
            environment |= {"AUDIENCE_SYNC_SPARK": f"sc://127.0.0.1:{cluster.port}", "AUDIENCE_SYNC_STUCK": "600"}
            tests = [sys.executable, "-m", "pytest", "-n", "0", "-W", "ignore", *TESTS]
            subprocess.run(tests, cwd=ROOT, env={**os.environ, **environment}, check=True)
        play(cluster, Path(name), arguments.users)
    say(f"All is as it has to be, after {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
