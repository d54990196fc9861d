"""DuckDB, Datasette and dbt read the sample project's store as docs/recipes.md says, and dbt builds for docs/dbt.md.

check_tools.py READERS DBT: two virtual environments. It runs in that of the tests, which has PostgreSQL.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
import yaml
from conftest import PostgreSQL, a_server
from sqlalchemy import create_engine, make_url

HERE, RECIPES = Path(__file__).parent, Path(__file__).parents[2] / "docs" / "recipes"
METADATA = yaml.safe_load((RECIPES / "metadata.yaml").read_text("utf-8"))["databases"]["audience_sync"]
#: What a person would fill into the forms of Datasette.
FIELDS = {
    "audience": "big_spenders",
    "other_audience": "churn_risk",
    "trait": "loyalty_member",
    "destination": "log",
    "user": "C-00617",
    "day": "2026-11-30",
    "time": "2030-01-01 00:00:00",
    "run": "1",
}
ENVIRONMENT = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


def run(*command: str | Path, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command; its output is shown if it does not end with ``code``."""
    done = subprocess.run(list(map(str, command)), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode != code:
        print(done.stdout, done.stderr)
    return done


def sample_project(folder: Path) -> Path:
    """The sample project after two runs; some users leave in the second."""
    program = [sys.executable, "-m", "audience_sync"]
    assert run(*program, "init", "shop", folder=folder).returncode == 0
    shop = folder / "shop"
    assert run(*program, "sync", folder=shop).returncode == 0
    members = shop / "examples" / "shop" / "order_completed_last_30days.csv"
    lines = members.read_text("utf-8").splitlines(keepends=True)
    members.write_text("".join([*lines[:1], *lines[10:]]), "utf-8")
    assert run(*program, "sync", folder=shop).returncode == 0
    return shop


def check_datasette(readers: Path, shop: Path) -> int:
    """Internal tables are hidden, every view is a page, every question answers, and runs go on meanwhile."""
    with serving(readers, shop) as url:
        found = requests.get(f"{url}/audience_sync.json", timeout=60).json()
        shown = [table["name"] for table in found["tables"] if not table["hidden"]]
        assert shown == [], f"these tables are not hidden: {shown}"
        views = found["views"]
        names = [view["name"] for view in views]
        assert {"sync_runs", "audience_members", "trait_values"} <= set(names)
        for view in names:
            page = requests.get(f"{url}/audience_sync/{view}", timeout=60)
            assert page.ok, (view, page.text)
        assert run(sys.executable, "-m", "audience_sync", "sync", folder=shop).returncode == 0
        answers: dict[str, Any] = {}
        for name in METADATA["queries"]:
            answer = requests.get(f"{url}/audience_sync/{name}.json", params={**FIELDS, "_shape": "array"}, timeout=60)
            assert answer.ok, (name, answer.text)
            answers[name] = answer.json()
        assert answers["how_did_the_last_runs_go"][0]["run"] == 3
        assert sum(row["users"] for row in answers["how_many_users_have_each_value_of_a_computed_trait"]) == 5000
    return 3 + len(names) + len(answers)


@contextmanager
def serving(readers: Path, shop: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    metadata = ["--metadata", str(RECIPES / "metadata.yaml")]
    command = [str(readers / "bin" / "datasette"), "audience_sync.db", *metadata, "--port", str(port)]
    with subprocess.Popen(command, cwd=shop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
            while True:
                try:
                    requests.get(f"{url}/-/versions.json", timeout=5)
                    break
                except requests.ConnectionError:
                    assert time.monotonic() < deadline, "Datasette does not answer"
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def check_dbt(dbt: Path, url: str, folder: Path) -> int:
    """All models are built and all tests pass; a member too few makes one fail."""
    address = make_url(url)
    store = {
        "type": "postgres",
        "host": address.query.get("host") or address.host or "localhost",
        "port": address.port or 5432,
        "user": address.username or "postgres",
        "password": address.password or "",
        "dbname": address.database,
        "schema": "audience_sync_dbt",
        "threads": 2,
    }
    profile = {"audience_sync": {"target": "store", "outputs": {"store": store}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profile))
    places = [
        "--project-dir",
        str(RECIPES / "dbt"),
        "--profiles-dir",
        str(folder),
        "--target-path",
        str(folder / "target"),
    ]
    options = [*places, "--log-path", str(folder / "logs")]
    built = run(dbt / "bin" / "dbt", "build", *options, folder=folder)
    assert built.returncode == 0, "dbt build failed"
    results = json.loads((folder / "target" / "run_results.json").read_text("utf-8"))["results"]
    assert len(results) >= 30, len(results)
    with create_engine(url).begin() as connection:
        sizes = "select count(*), max(members) from audience_sync_dbt.audience_sizes"
        assert connection.exec_driver_sql(sizes).one()[0] >= 4
        connection.exec_driver_sql("delete from members where user_id = (select max(user_id) from members)")
    broken = run(dbt / "bin" / "dbt", "test", *options, folder=folder, code=1)
    assert broken.returncode == 1
    assert "sizes_are_those_of_the_members" in broken.stdout
    return len(results) + 1


def check_dbt_project(dbt: Path, url: str, folder: Path) -> int:
    """dbt builds tests/dbt_project/shop; its models become a project that is synced, and exposures that dbt reads.

    Also what dbt keeps of a model that fails: its audience stays unchanged.
    """
    project = shutil.copytree(HERE.parent / "dbt_project" / "shop", folder / "dbt_shop")
    address = make_url(url)
    ENVIRONMENT.update(
        SHOP_HOST=str(address.query.get("host") or address.host or "localhost"),
        SHOP_PORT=str(address.port or 5432),
        SHOP_USER=address.username or "postgres",
        SHOP_PASSWORD=address.password or "",
        SHOP_DATABASE=str(address.database),
        WAREHOUSE_URL=url,
    )
    command, program = [str(dbt / "bin" / "dbt"), "--quiet"], [sys.executable, "-m", "audience_sync"]
    assert run(*command, "build", "--profiles-dir", ".", folder=project).returncode == 0
    assert run(*program, "init", "--from-dbt", "target/manifest.json", folder=project).returncode == 0
    config = project / "config.yaml"
    config.write_text(config.read_text("utf-8").replace("    # dbt:", "    dbt:"), "utf-8")
    synced = run(*program, "sync", "--json", folder=project)
    assert synced.returncode == 0
    found = json.loads(synced.stdout)
    members = {each["key"]: each["members"] for each in found["audiences"]}
    assert members == {"big_spenders": 2, "churn_risk": 1, "testers": 1}, members
    assert found["traits"]["users"] == 3

    written = run(*program, "dbt", "exposures", folder=project)
    (project / "models" / "audience_sync.yml").write_text(written.stdout, "utf-8")
    broken = run(*command, "build", "--profiles-dir", ".", "--vars", "{broken: nonsense}", folder=project, code=1)
    assert broken.returncode == 1
    manifest = json.loads((project / "target" / "manifest.json").read_text("utf-8"))
    nodes = manifest["exposures"]["exposure.shop.audience_sync_braze"]["depends_on"]["nodes"]
    models = ("big_spenders", "churn_risk.v2", "customers")
    assert sorted(nodes) == [*(f"model.shop.{name}" for name in models), "seed.shop.testers"], nodes
    again = run(*program, "sync", "--json", folder=project, code=3)
    statuses = {each["key"]: each["status"] for each in json.loads(again.stdout)["audiences"]}
    assert statuses == {"big_spenders": "unchanged", "churn_risk": "failed", "testers": "unchanged"}, statuses
    return 8


def main() -> None:
    readers, dbt = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    with TemporaryDirectory() as temporary, a_server() as server:
        folder = Path(temporary)
        shop = sample_project(folder)
        url = PostgreSQL(server.get_uri()).create()
        copied = run(sys.executable, "-m", "audience_sync", "db", "copy", url.replace("+psycopg", ""), folder=shop)
        assert copied.returncode == 0
        address = make_url(url)
        parts = {
            "dbname": address.database,
            "user": address.username,
            "host": address.query.get("host") or address.host,
        }
        words = " ".join(f"{name}={value}" for name, value in parts.items() if value)
        duckdb = run(readers / "bin" / "python", HERE / "check_duckdb.py", words, folder=shop)
        assert duckdb.returncode == 0
        print(duckdb.stdout.strip())
        print(f"Datasette: {check_datasette(readers, shop)} passed, 0 failed")
        print(f"dbt: {check_dbt(dbt, url, folder) + check_dbt_project(dbt, url, folder)} passed, 0 failed")


if __name__ == "__main__":
    main()
