"""Metrics have the numbers of the store."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import urllib.error
import urllib.request

import pytest
from destinations.receiver import Receiver, Reply
from prometheus_client.parser import text_string_to_metric_families

from .conftest import Project, segment, until

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}


def numbers(text: str) -> dict[tuple[str, ...], float]:
    """By name and the labels' values."""
    return {
        (sample.name.removeprefix("audience_sync_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_run_writes_them_into_a_file(vip: Project, receiver: Receiver) -> None:
    file = vip.folder / "audience_sync.prom"
    receiver.will_answer(Reply(400), Reply(body=b'{"success": true}'), Reply(body=b'{"success": true}'))
    vip.configure(
        audiences=[VIP],
        destinations={"seg": segment(receiver, batch_size=1, concurrency=1)},
        metrics={"file": str(file)},
    )
    assert vip.sync().code == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    found = numbers(file.read_text("utf-8"))
    expected = {
        ("store_up",): 1,
        ("runs_total", "partial"): 1,
        ("runs_total", "succeeded"): 0,
        ("members", "vip"): 3,
        ("last_run_changes", "vip", "entered"): 3,
        ("last_run_calls", "seg", "delivered"): 2,
        ("last_run_calls", "seg", "refused"): 1,
        ("refused_calls", "seg"): 1,
        ("alerts", "refused"): 1,
        ("alerts", "held"): 0,
        ("run_at_work",): 0,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert ("last_success_timestamp_seconds",) not in found
    receiver.will_answer(Reply(body=b'{"success": true}'))
    assert vip.run("retry").code == 0
    found = numbers(file.read_text("utf-8"))
    assert found["alerts", "refused"] == 0
    assert found["last_success_timestamp_seconds",] == found["last_run_timestamp_seconds",]
    assert "ada" not in file.read_text("utf-8")


def test_a_file_that_can_not_be_written_is_a_warning(vip: Project) -> None:
    vip.configure(audiences=[VIP], metrics={"file": str(vip.folder / "nowhere" / "audience_sync.prom")})
    ended = vip.sync()
    assert ended.code == 0
    assert "the metrics can't be written" in ended.stderr


def test_a_pipe_without_a_reader_is_a_warning_and_stays_a_pipe(vip: Project) -> None:
    pipe = vip.folder / "metrics"
    os.mkfifo(pipe)
    vip.configure(audiences=[VIP], metrics={"file": str(pipe)})

    ended = vip.sync()

    assert (ended.code, pipe.is_fifo()) == (0, True)
    assert f"the metrics can't be written to {pipe}" in ended.stderr


def test_a_link_stays_and_its_file_has_the_numbers(vip: Project) -> None:
    (vip.folder / "numbers").mkdir()
    (vip.folder / "link.prom").symlink_to("numbers/audience_sync.prom")
    vip.configure(audiences=[VIP], metrics={"file": str(vip.folder / "link.prom")})

    assert vip.sync().code == 0

    assert (vip.folder / "link.prom").is_symlink()
    assert numbers((vip.folder / "numbers" / "audience_sync.prom").read_text("utf-8"))["members", "vip"] == 3


def a_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def members_at(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return numbers(answer.read().decode())["members", "vip"]


def test_the_scheduler_answers_a_monitor_and_moves_with_its_config(new_vip: Project) -> None:
    port, other = a_free_port(), a_free_port()
    parts = {"audiences": [VIP], "schedule": {"every": "1s"}}
    new_vip.configure(**parts, metrics={"port": port})
    log = new_vip.folder / "log"
    with log.open("w") as out:
        command = new_vip.command("schedule")
        process = subprocess.Popen(command, cwd=new_vip.folder, env=new_vip.environment, stdout=out, stderr=out)
    try:
        until(lambda: len(new_vip.messages()) == 3)
        assert members_at(port) == 3
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", other))
            taken.listen()
            new_vip.configure(**parts, metrics={"port": other})
            process.send_signal(signal.SIGHUP)
            until(lambda: "The scheduler keeps the previous config" in log.read_text("utf-8"))
            assert members_at(port) == 3
        process.send_signal(signal.SIGHUP)
        until(lambda: "the config was read again" in log.read_text("utf-8"))
        assert members_at(other) == 3
        with pytest.raises(urllib.error.URLError):
            members_at(port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_a_port_that_is_taken_is_said(new_vip: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        new_vip.configure(audiences=[VIP], schedule={"every": "1h"}, metrics={"port": port})
        ended = new_vip.run("schedule")
    assert ended.code == 3
    assert f"can't be served at 127.0.0.1:{port}" in ended.stderr


def test_the_file_says_that_the_store_is_away(new_vip: Project) -> None:
    new_vip.configure(audiences=[VIP], store="postgresql://127.0.0.1:1/store", metrics={"file": "numbers.prom"})
    assert new_vip.run("--config", "config.yaml", "sync").code == 3
    assert numbers((new_vip.folder / "numbers.prom").read_text("utf-8"))["store_up",] == 0


class TestJsonLog:
    def test_has_no_other_line(self, new_vip: Project) -> None:
        new_vip.environment["AUDIENCE_SYNC_LOG"] = "json"
        new_vip.configure(audiences=[VIP], schedule={"every": "1s"})
        with (new_vip.folder / "log").open("w") as log:
            command = new_vip.command("schedule")
            process = subprocess.Popen(command, cwd=new_vip.folder, env=new_vip.environment, stderr=log)
        until(lambda: len(new_vip.messages()) == 3)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        lines = [json.loads(line) for line in (new_vip.folder / "log").read_text("utf-8").splitlines()]
        assert lines[-1]["message"].startswith("Stopped.")

    def test_says_which_run_and_destination_and_no_user(self, vip: Project) -> None:
        vip.environment["AUDIENCE_SYNC_LOG"] = "json"
        lines = [json.loads(line) for line in vip.sync().stderr.splitlines()]
        assert {"run": 1, "status": "succeeded"}.items() <= lines[0].items()
        assert [each["delivered"] for each in lines if each.get("destination") == "log"] == [3]
        assert [each["run"] for each in lines if each.get("audience") == "vip"] == [1]
        assert not any("ada" in json.dumps(each) for each in lines)

    def test_a_destination_that_is_down_is_a_warning(self, vip: Project) -> None:
        vip.environment["AUDIENCE_SYNC_LOG"] = "json"
        down = {"type": "webhook", "url": "http://127.0.0.1:1", "give_up_after": "200ms"}
        vip.configure(audiences=[VIP], destinations={"hook": down})
        lines = [json.loads(line) for line in vip.sync().stderr.splitlines()]
        assert [each["pending"] for each in lines if each["level"] == "warning"] == [3]

    def test_another_format_is_refused(self, vip: Project) -> None:
        vip.environment["AUDIENCE_SYNC_LOG"] = "xml"
        ended = vip.sync()
        assert ended.code == 2
        assert "it has to be text or json" in ended.stderr


def test_people_see_the_summary_alone(vip: Project) -> None:
    assert vip.run("sync").stderr == ""


@pytest.fixture(autouse=True)
def _quiet(vip: Project) -> None:
    vip.environment.pop("AUDIENCE_SYNC_LOG", None)
