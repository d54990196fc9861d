"""``--json`` always gives one document, also if the command could do nothing."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from cli.conftest import SILENCE, Project, heed_interrupts, segment, until
from destinations.receiver import Receiver


@pytest.mark.parametrize(
    "arguments",
    [["sync", "--nope"], ["nope"], ["show", "first"], ["seed"]],
    ids=["unknown option", "unknown command", "no number", "missing argument"],
)
def test_a_usage_error_is_a_document(vip: Project, arguments: list[str]) -> None:
    run = vip.run("--json", *arguments)
    assert (run.code, run.json["exit_code"]) == (2, 2)


def test_init_answers_with_the_files_it_created(project: Project) -> None:
    assert "config.yaml" in project.run("init", "--json").json["created"]


def test_an_interrupted_run_answers_and_says_so_in_the_history(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(SILENCE)
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"segment": segment(receiver, timeout="1s")},
    )
    command = [sys.executable, "-m", "audience_sync", "sync", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=vip.folder, env=vip.environment, stdout=pipe, preexec_fn=heed_interrupts
    ) as running:
        until(lambda: len(receiver.requests) > 0)
        running.send_signal(signal.SIGINT)
        answer, _ = running.communicate()
    assert running.returncode == 130
    assert b'"exit_code": 130' in answer
    assert vip.query("select status, error from sync_runs") == [
        (
            "interrupted",
            "The run was interrupted. Every answer received so far is recorded. The next run sends the rest.",
        )
    ]
