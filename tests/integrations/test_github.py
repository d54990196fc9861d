"""The action of GitHub comments on a pull request what a run would do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from audience_sync import Project
from audience_sync.integrations.github import main, plan_text

ROOT = Path(__file__).parents[2]
CONFIG = """
sources: {shop: {files: .}}
audiences:
  - {name: VIP, source: shop, file: vip.csv}
  - {name: Test, source: shop, file: test.csv}
computed_traits: [{source: shop, file: plans.csv, traits: [plan]}]
destinations: {log: {type: file, path: calls.jsonl}}
guard: {at_least: 1, max_removed: 50%}
"""


class GitHub(ThreadingHTTPServer):
    """Keeps the comments of pull request 7. ``refuses``: answer to everything that would write."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.comments: list[dict[str, Any]] = []
        self.refuses: int | None = None
        self.tokens: set[str | None] = set()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        here, _, query = path.partition("?")
        pages = dict(each.split("=") for each in query.split("&")) if query else {}
        if method == "GET" and here == "/repos/acme/shop/issues/7/comments":
            first = (int(pages["page"]) - 1) * int(pages["per_page"])
            return 200, self.comments[first : first + int(pages["per_page"])]
        if self.refuses:
            return self.refuses, {"message": "Resource not accessible by integration"}
        if method == "POST" and here == "/repos/acme/shop/issues/7/comments":
            self.comments.append({"id": 1000 + len(self.comments), "body": body["body"]})
            return 201, self.comments[-1]
        number = int(here.removeprefix("/repos/acme/shop/issues/comments/"))
        [found] = [each for each in self.comments if each["id"] == number]
        found["body"] = body["body"]
        return 200, found


class Handler(BaseHTTPRequestHandler):
    server: GitHub

    def do_GET(self) -> None:
        self.server.tokens.add(self.headers["Authorization"])
        length = int(self.headers.get("Content-Length") or 0)
        code, document = self.server.answer(
            self.command, self.path, json.loads(self.rfile.read(length)) if length else None
        )
        content = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PATCH = do_GET

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@pytest.fixture
def github() -> Iterator[GitHub]:
    server = GitHub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "vip.csv").write_text("user_id\nada@example.com\nbob@example.com\ncyd@example.com\n")
    (tmp_path / "test.csv").write_text("user_id\nada@example.com\n")
    (tmp_path / "plans.csv").write_text("user_id,plan\nada@example.com,gold-plated\n")
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def job(github: GitHub, tmp_path: Path) -> dict[str, str]:
    """The variables of a job for pull request 7."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))
    return {
        "GITHUB_API_URL": f"http://127.0.0.1:{github.server_port}",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_TOKEN": "ghs_secret",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }


def test_the_plan_has_counts_and_no_user(config: Path) -> None:
    code, text = plan_text(str(config), None)
    assert code == 0
    assert text == (
        f"### Audience Sync: plan for `{config}`\n"
        "\n"
        "A run would send **3 identify calls**. Nothing was changed or sent.\n"
        "\n"
        "| audience | status | members now | entered | left | members then |\n"
        "|---|---|--:|--:|--:|--:|\n"
        "| `vip` | created | 0 | 3 | 0 | 3 |\n"
        "| `test` | created | 0 | 1 | 0 | 1 |\n"
        "\n"
        "Computed traits: 1 of 1 user change.\n"
        "\n"
        "| destination | calls | requests | time at the rate limit |\n"
        "|---|--:|--:|--:|\n"
        "| log | 3 | 1 |  |"
    )


def test_what_is_held_and_what_cannot_be_loaded_is_in_the_plan(config: Path) -> None:
    Project.open(config).sync()
    assert plan_text(str(config), None)[1].endswith(
        "A run would change nothing and send nothing.\n\n2 audiences unchanged."
    )
    (config.parent / "vip.csv").write_text("user_id\nada@example.com\n")
    config.write_text(CONFIG.replace("file: test.csv", "file: no <b> @team.csv"))
    code, text = plan_text(str(config), None)
    assert code == 3
    assert "**A guard would hold:** " in text
    assert "2 of 3 members (67%)" in text
    assert "**Can't be loaded:** " in text
    assert r"no &lt;b> \@team.csv" in text, "Markdown and HTML read none of it as theirs"
    assert "example.com" not in text


def test_a_config_with_problems_has_them_in_the_comment(
    config: Path, job: dict[str, str], github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(CONFIG.replace("guard:", "gaurd:"))
    assert main(["--config", str(config)], job) == 2
    assert "    gaurd: unknown option. Did you mean `guard`?" in github.comments[0]["body"]
    monkeypatch.setattr("audience_sync.integrations.github._MOST", 80)
    assert main(["--config", str(config)], job) == 2
    assert len(github.comments[0]["body"]) == 80


def test_a_pull_request_has_one_comment_whose_text_changes(config: Path, job: dict[str, str], github: GitHub) -> None:
    github.comments += [{"id": number, "body": f"a remark {number}"} for number in range(120)]
    assert main(["--config", str(config)], job) == 0
    assert main(["--config", str(config), "--env", "staging"], job) == 2  # there is no such environment
    config.write_text(CONFIG.replace("name: Test", "name: Testers"))
    assert main(["--config", str(config)], job) == 0

    first, second = github.comments[120:]
    assert "| `testers` | created |" in first["body"]
    assert second["body"].startswith(f"<!-- audience-sync plan: {config} staging -->")
    assert github.tokens == {"Bearer ghs_secret"}
    assert Path(job["GITHUB_OUTPUT"]).read_text("utf-8") == "exit-code=0\nexit-code=2\nexit-code=0\n"
    assert "| `testers` | created |" in Path(job["GITHUB_STEP_SUMMARY"]).read_text("utf-8")


def test_without_the_right_to_comment_the_summary_has_the_plan(
    config: Path, job: dict[str, str], github: GitHub, capsys: pytest.CaptureFixture[str]
) -> None:
    github.refuses = 403
    assert main(["--config", str(config)], job) == 0
    warning = "::warning title=Audience Sync::the comment can't be written: GitHub answered 403."
    assert warning in capsys.readouterr().out
    assert "`vip`" in Path(job["GITHUB_STEP_SUMMARY"]).read_text("utf-8")


@pytest.mark.parametrize("lacking", ["GITHUB_TOKEN", "GITHUB_EVENT_PATH"])
def test_outside_of_a_pull_request_nothing_is_written(
    config: Path, job: dict[str, str], github: GitHub, lacking: str
) -> None:
    del job[lacking]
    assert main(["--config", str(config)], job) == 0
    assert (github.comments, github.tokens) == ([], set())


def workflow() -> str:
    """The workflow of the page."""
    page = (ROOT / "docs" / "github-actions.md").read_text("utf-8")
    return str(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])


@pytest.mark.parametrize("schema", ["github-actions", "github-workflows"])
def test_the_action_and_the_workflow_have_the_form_that_github_requires(schema: str, tmp_path: Path) -> None:
    text = (ROOT / "action.yml").read_text("utf-8") if schema == "github-actions" else workflow()
    file = tmp_path / "file.yml"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)]
    file.write_text(text, "utf-8")
    assert subprocess.run(command, capture_output=True).returncode == 0
    file.write_text(text.replace("steps:", "stpes:"), "utf-8")
    assert subprocess.run(command, capture_output=True).returncode == 1


def test_the_workflow_gives_the_action_only_inputs_that_it_has() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    step = yaml.safe_load(workflow())["jobs"]["plan"]["steps"][-1]
    assert set(step["with"]) <= set(action["inputs"])
    used = {name for each in action["runs"]["steps"] for name in action["inputs"] if f"inputs.{name}" in str(each)}
    assert used == set(action["inputs"])


@pytest.mark.parametrize(
    ("extras", "installed"), [("", ""), ("s3", "[s3]"), ("postgresql,snowflake", "[postgresql,snowflake]")]
)
def test_the_action_installs_the_extras(extras: str, installed: str) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    [step] = [each for each in action["runs"]["steps"] if each.get("name") == "Install Audience Sync"]
    variables = {"GITHUB_ACTION_PATH": "/the action", "EXTRAS": extras}
    script = f'python() {{ printf "%s\\n" "$@"; }}\n{step["run"]}'
    done = subprocess.run(["bash", "-ec", script], env=variables, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == f"/the action{installed}"


def test_the_steps_of_the_action_make_the_plan(config: Path, job: dict[str, str], github: GitHub) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    [step] = [each for each in action["runs"]["steps"] if each.get("id") == "plan"]
    python = str(Path(sys.executable).parent)
    variables = {**job, "CONFIG": str(config), "ENVIRONMENT": "", "PATH": f"{python}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-ec", step["run"]], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(github.comments) == 1
