"""A command imports only what it uses, measured by what is loaded and not by the clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from .conftest import Project

SCRIPT = """
import sys
from audience_sync.cli import main
sys.argv = ["audience-sync", *sys.argv[1:]]
try:
    main()
finally:
    import json
    print(json.dumps([name for name in sys.modules if "." not in name]), file=sys.stderr)
"""


def loaded(project: Project, *arguments: str) -> set[str]:
    """The packages that a command loaded."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(command, cwd=project.folder, env=project.environment, capture_output=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (["--help"], {"pandas", "duckdb", "requests", "alembic", "sqlalchemy", "pydantic", "rich", "yaml", "jinja2"}),
        (["dashboard", "--help"], {"sqlalchemy", "pydantic", "rich", "starlette", "uvicorn", "jinja2", "anyio"}),
        (["serve", "--help"], {"sqlalchemy", "pydantic", "rich", "starlette", "uvicorn", "yaml", "anyio"}),
        (["--version"], {"pandas", "duckdb", "requests", "alembic", "sqlalchemy", "pydantic", "rich", "yaml"}),
        (["init", "--sandbox", "new"], {"duckdb", "requests", "sqlalchemy", "starlette", "uvicorn"}),
        (["history"], {"pandas", "duckdb", "requests", "alembic", "pydantic", "jinja2", "starlette"}),
        (["test-destination", "log", "--user", "u"], {"pandas", "duckdb", "requests", "alembic"}),
        (["sync"], {"pandas", "requests", "alembic", "psycopg", "jinja2", "starlette", "uvicorn"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_heavy_packages_are_loaded_only_by_who_needs_them(vip: Project, arguments: list[str], never: set[str]) -> None:
    assert loaded(vip, *arguments) & never == set()


def test_a_repeated_run_loads_nothing_that_only_other_runs_need(vip: Project) -> None:
    os.utime(vip.folder / "vip.csv", (1, 1))
    assert "duckdb" in loaded(vip, "sync")
    never = {"pandas", "duckdb", "requests", "alembic", "psycopg", "pydantic", "apscheduler", "rich"}
    assert loaded(vip, "sync") & never == set()
