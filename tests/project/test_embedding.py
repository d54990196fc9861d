"""A project inside another program: threads, a notebook, forks; no output, and nothing of the process changes."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from event_loop import run_async
from msgspec.structs import replace

from audience_sync import (
    AudienceSyncError,
    ConfigError,
    HeldError,
    PartialError,
    Project,
    RunFailedError,
    RunInProgressError,
    StoreError,
    UnknownKeyError,
    UnknownNameError,
    WrongValueError,
)
from audience_sync.cli import group
from audience_sync.cli.base.session import Session
from audience_sync.project.access import Access
from audience_sync.project.users import Member, Members
from audience_sync.sync.values.report import DestinationReport

from .conftest import CONFIG, MakeFolder, calls, write_vip

#: Uses the process as a whole, before and after a project; fails if anything differs, and prints nothing.
SCRIPT = """
import gc, logging, os, signal, sys, threading, warnings

def state():
    return (
        os.getcwd(), dict(os.environ), os.umask(os.umask(0o22)), gc.get_threshold(),
        gc.get_freeze_count(), gc.isenabled(),
        [signal.getsignal(each) for each in signal.valid_signals()], sys.excepthook, threading.excepthook,
        [(each.level, [*each.filters], [type(handler) for handler in each.handlers])
         for each in (logging.getLogger(), logging.getLogger("urllib3"))],
        [*warnings.filters], sys.getrecursionlimit(), sys.stdout, sys.stderr, sys.exc_info(),
    )

before = state()
from audience_sync import HeldError, Project
with Project.open(sys.argv[1]) as project:
    project.plan()
    project.sync().raise_for_status()
    with open("vip.csv", "w") as file:
        file.write("user_id\\n")
    try:
        project.sync().raise_for_status()
    except HeldError as held:
        project.approve(held.run).raise_for_status()
    project.check(), project.status(), project.runs(), list(project.members("vip")), project.explain("ada")
assert state() == before, [each for each in zip(before, state()) if each[0] != each[1]]
assert threading.enumerate() == [threading.main_thread()]
"""


@pytest.fixture
def folder(make_folder: MakeFolder) -> Path:
    return make_folder("ada", "bob")


def test_a_script_prints_nothing_and_its_process_stays_the_same(folder: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, "config.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert calls(folder)[2:] == [("ada", {"vip": False}), ("bob", {"vip": False})]


def test_two_projects_run_at_once_in_threads(make_folder: MakeFolder) -> None:
    folders = [make_folder(f"user-{name}", name=name) for name in ("one", "two")]
    projects = [Project.open(folder / "config.yaml") for folder in folders]
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda project: project.sync(), projects))
    assert [run.status.value for run in runs] == ["succeeded", "succeeded"]
    assert [calls(folder) for folder in folders] == [[("user-one", {"vip": True})], [("user-two", {"vip": True})]]


def test_a_second_run_of_one_project_is_refused_while_the_first_is_in_progress(folder: Path) -> None:
    project, refused = Project.open(folder / "config.yaml"), list[Exception]()

    def sync_again(event: object) -> None:
        if not refused:
            with pytest.raises(RunInProgressError, match="Another run is in progress") as error:
                Project.open(folder / "config.yaml").sync(reason="at the same time")
            refused.append(error.value)

    assert project.sync(progress=sync_again).status.value == "succeeded"
    assert len(refused) == 1


def test_a_thread_that_is_not_the_main_one_runs_everything(folder: Path) -> None:
    found = list[object]()

    def work() -> None:
        project = Project.open(folder / "config.yaml")
        found.append(project.sync().status.value)
        found.append(len(project.runs()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["succeeded", 1]


def test_it_works_within_a_running_event_loop_as_in_a_notebook(folder: Path) -> None:
    async def cell() -> None:
        project = Project.open(folder / "config.yaml")
        at_once = project.sync()  # blocks the loop
        in_a_thread = await asyncio.to_thread(project.sync)
        assert (at_once.status.value, in_a_thread.number) == ("succeeded", 2)

    run_async(cell())


def test_a_project_that_was_opened_before_a_fork_works_after_it(folder: Path) -> None:
    """In processes of its own: this one has threads."""
    script = (
        "import os, sys\n"
        "from audience_sync import Project\n"
        "project = Project.open('config.yaml'); project.sync()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    open('vip.csv', 'a').write('cyd\\n')\n"
        "    ok = project.sync().deliveries[0].delivered == 1 and Project.open('config.yaml').sync().number == 3\n"
        "    os._exit(0 if ok else 1)\n"
        "_, status = os.waitpid(child, 0)\n"
        "assert status == 0 and project.sync().number == 4 and len(project.runs()) == 4\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert [user for user, _ in calls(folder)] == ["ada", "bob", "cyd"]


def test_paths_are_those_of_the_config_after_the_process_has_changed_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(folder)
    project = Project.open()
    monkeypatch.chdir(tmp_path)
    project.sync()
    assert len(calls(folder)) == 2
    with pytest.raises(UnknownKeyError, match="Did you mean 'vip'"):
        project.members("vpi")


def test_variables_are_those_of_the_environment(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder("ada", config=CONFIG.replace("calls.jsonl", "'${CALLS}'"))
    with pytest.raises(ConfigError, match="CALLS"):
        Project.open(folder / "config.yaml")
    monkeypatch.setenv("CALLS", "calls.jsonl")
    Project.open(folder / "config.yaml").sync()
    assert len(calls(folder)) == 1


def test_the_history_is_read_without_the_secrets_of_destinations(make_folder: MakeFolder) -> None:
    folder = make_folder("ada")
    Project.open(folder / "config.yaml").sync()
    (folder / "config.yaml").write_text(CONFIG.replace("calls.jsonl", "'${NOT_HERE}'"))
    project = Project(folder / "config.yaml")
    assert [run.number for run in project.runs()] == [1]
    assert [member.user_id for member in project.members("vip")] == ["ada"]
    with pytest.raises(ConfigError):
        project.sync()


def fail(folder: Path) -> None:
    (folder / "vip.csv").unlink()


def hold(folder: Path) -> None:
    write_vip(folder)


@pytest.mark.parametrize(
    ("change", "error", "code", "words"),
    [
        (fail, RunFailedError, 3, "vip.csv"),
        (hold, HeldError, 4, "audience-sync approve 2"),
    ],
)
def test_a_run_that_is_not_complete_raises_what_to_do_next(
    make_folder: MakeFolder, change: Callable[[Path], None], error: type[AudienceSyncError], code: int, words: str
) -> None:
    folder = make_folder("ada", "bob")
    project = Project.open(folder / "config.yaml")
    project.sync()
    change(folder)
    run = project.sync()
    with pytest.raises(error) as raised:
        run.raise_for_status()
    assert (raised.value.exit_code, run.exit_code) == (code, code)
    assert words in str(raised.value)


def test_calls_that_are_pending_or_refused_are_partial_unless_a_limit_was_asked_for(folder: Path) -> None:
    run = Project.open(folder / "config.yaml").sync()
    sent = DestinationReport(
        name="log", address="-", calls=9, delivered=6, refused=1, pending=2, still_refused=1, error="too slow"
    )
    partial = replace(run, report=replace(run.report, destinations=[sent]))
    with pytest.raises(PartialError) as raised:
        partial.raise_for_status()
    assert str(raised.value).splitlines()[1:] == [
        "  log: 2 calls are pending (too slow). The next run sends them.",
        "  log: 1 calls are refused. After correcting the data: audience-sync retry --destination log",
    ]
    as_asked = replace(sent, refused=0, still_refused=0, error="")
    limited = replace(run, report=replace(run.report, destinations=[as_asked]), limit=6)
    assert (limited.raise_for_status().status.value, limited.exit_code) == ("partial", 0)
    assert replace(limited, limit=7).exit_code == 1
    refused = replace(as_asked, still_refused=1)
    assert replace(limited, report=replace(run.report, destinations=[refused])).exit_code == 1


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("synced")
    (folder / "config.yaml").write_text(CONFIG)
    write_vip(folder, "ada", "bob")
    project = Project.open(folder / "config.yaml")
    project.sync()
    return project


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda project: project.sync(["vpi"]), UnknownKeyError),
        (lambda project: project.sync([1]), WrongValueError),
        (lambda project: project.sync(1), WrongValueError),
        (lambda project: project.suppress(42), WrongValueError),
        (lambda project: project.ramp("vip", 0.5), WrongValueError),
        (lambda project: project.ramp("vip", [None]), WrongValueError),
        (lambda project: project.sync(accept=[None]), WrongValueError),
        (lambda project: project.sync(frames=pd.DataFrame({"user_id": ["ada"]})), WrongValueError),
        (lambda project: project.plan(frames=["vip"]), WrongValueError),
        (lambda project: project.approve(1), UnknownNameError),
        (lambda project: project.approve(project.runs()[0]), WrongValueError),
        (lambda project: project.reject("1"), WrongValueError),
        (lambda project: project.undo(None), WrongValueError),
        (lambda project: project.plan_undo(1.5), WrongValueError),
        (lambda project: project.run(99), UnknownNameError),
        (lambda project: project.run(2**70), UnknownNameError),
        (lambda project: project.runs(0), WrongValueError),
        (lambda project: project.audience_runs("vip", "5"), WrongValueError),
        (lambda project: project.retry("lgo"), UnknownNameError),
        (lambda project: project.seed("vip", rate="fast"), WrongValueError),
        (lambda project: project.seed("vip", limit=0), WrongValueError),
        (lambda project: project.plan_seed("vip", limit=1.5), WrongValueError),
        (lambda project: project.ramp("vip", [0.5, 0.1]), WrongValueError),
        (lambda project: project.ramp("vip", ["1%", "200%"]), WrongValueError),
        (lambda project: project.ramp("vip", [1], max_refused=float("nan")), WrongValueError),
        (lambda project: project.members("vip", at="yesterday"), WrongValueError),
        (lambda project: project.explain("ada", at=pd.NaT), WrongValueError),
        (lambda project: project.explain("\ud800"), WrongValueError),
        (lambda project: project.explain(42), WrongValueError),
        (lambda project: project.freeze("vip", until="2020-01-01"), WrongValueError),
        (lambda project: project.suppress([]), WrongValueError),
        (lambda project: project.suppress("a\0"), WrongValueError),
        (lambda project: project.unsuppress(["a", " "]), WrongValueError),
        (lambda project: project.erase([42]), WrongValueError),
        (lambda project: project.sync(["vip"], plan=project.plan()), WrongValueError),
        (lambda project: project.sync([]), WrongValueError),
        (lambda project: project.plan(iter("")), WrongValueError),
        (lambda project: project.reject(1, set()), WrongValueError),
        (lambda project: project.sync(plan="no-such-file.json"), WrongValueError),
        (lambda project: project.test_destination("lgo", "ada"), WrongValueError),
        (lambda project: project.test_destination("log", ""), WrongValueError),
        (lambda project: project.test_destination("log", "ada", {"n": float("nan")}), WrongValueError),
        (lambda project: project.test_destination("log", "ada", {"n": {1, 2}}), WrongValueError),
    ],
)
def test_what_is_asked_for_wrongly_is_refused_with_its_class(
    synced: Project, call: Callable[[Project], object], error: type[AudienceSyncError]
) -> None:
    with pytest.raises(error) as raised:
        call(synced)
    assert raised.value.exit_code == 2
    assert len(synced.runs()) == 1
    assert len(calls(synced.settings.folder)) == 2


def test_one_text_is_one_key_wherever_keys_are_given(folder: Path) -> None:
    project = Project.open(folder / "config.yaml")
    project.sync("vip")
    write_vip(folder)
    assert project.plan("vip", accept="vip").audiences[0].left == 2
    held = project.sync()
    assert project.reject(held.number, "vip").rejected[0].key == "vip"
    assert project.sync(accept="vip").raise_for_status().audiences[0].left == 2


def test_a_user_who_is_named_twice_counts_once(folder: Path) -> None:
    project = Project.open(folder / "config.yaml")
    assert project.suppress(["q", "q"]).to_dict() == {"suppressed": 1, "already": 0}
    assert project.unsuppress(["q", "q"]).unsuppressed == 1
    assert project.erase(["q", "q"]).erased == 1


def test_a_column_has_one_dtype_with_and_without_values(synced: Project) -> None:
    runs = synced.runs()
    assert runs.to_frame().dtypes.equals(runs[:0].to_frame().dtypes)
    assert (runs.to_frame()["status"].tolist(), runs[0].is_over) == (["succeeded"], True)
    assert str(synced.explain("ada").audiences.to_frame()["is_member"].dtype) == "boolean"
    assert runs.to_frame()[["run", "entered", "seconds"]].dtypes.map(str).tolist() == ["int64", "Int64", "float64"]
    assert synced.members("vip").to_frame().dtypes.equals(synced.members("vip", at="2020-01-01").to_frame().dtypes)


def test_numbers_of_a_frame_are_numbers_of_runs(synced: Project) -> None:
    number = synced.runs().to_frame()["run"].iloc[0]
    assert (synced.run(number).number, synced.plan_undo(number).audiences[0].left) == (1, 2)
    assert len(synced.runs(number)) == 1


@pytest.mark.parametrize(
    "since",
    [
        lambda member: member.member_since,
        lambda member: pd.Timestamp(member.member_since).tz_convert("Asia/Tokyo"),
        lambda member: np.datetime64(member.member_since.replace(tzinfo=None)),
    ],
    ids=["a time", "of pandas, in another zone", "of numpy"],
)
def test_a_time_of_an_answer_includes_its_run(synced: Project, since: Callable[[Member], Any]) -> None:
    ada, _ = synced.members("vip")
    assert [each.user_id for each in synced.members("vip", at=since(ada))] == ["ada", "bob"]
    assert synced.explain("ada", at=since(ada)).audiences[0].is_member


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda project: project.run(1), "<RunRecord 1: succeeded>"),
        (lambda project: project.members("vip"), "<Members of 'vip'>"),
        (lambda project: project.members("vip", at="2099-01-01"), "<Members of 'vip', at 2099-01-01T00:00:00.999999Z>"),
        (lambda project: project.status(), "<Status: Nothing needs a person>"),
        (lambda project: project.rehearse_upgrade(), "<UpgradeRehearsal from 0100 to 0100: good>"),
        (lambda project: project.plan(), "<Plan: audience-sync sync>"),
    ],
)
def test_an_answer_is_short_in_a_notebook(synced: Project, ask: Callable[[Project], object], text: str) -> None:
    assert repr(ask(synced)) == text


def test_errors_and_answers_can_be_pickled(folder: Path) -> None:
    project = Project.open(folder / "config.yaml")
    run = project.sync()
    assert pickle.loads(pickle.dumps(run)).to_dict() == run.to_dict()
    write_vip(folder)
    with pytest.raises(HeldError) as held:
        project.sync().raise_for_status()
    again = pickle.loads(pickle.dumps(held.value))
    assert (type(again), str(again), again.run) == (HeldError, str(held.value), 2)
    (folder / "config.yaml").write_text("audiences: 1")
    with pytest.raises(ConfigError) as wrong:
        Project.open(folder / "config.yaml")
    assert pickle.loads(pickle.dumps(wrong.value)).problems == wrong.value.problems


@pytest.mark.parametrize(
    "ask",
    [
        lambda project: project.plan(),
        lambda project: project.plan_undo(1),
        lambda project: project.members("vip"),
        lambda project: project,
    ],
    ids=["a plan", "of undo", "members", "a project"],
)
def test_what_is_pickled_has_no_secret_and_works(make_folder: MakeFolder, ask: Callable[[Project], Any]) -> None:
    folder = make_folder("ada")
    Project.open(folder / "config.yaml").sync()
    key = f"wr1te-{3}-key"
    segment = f"s: {{type: segment, write_key: {key}}}"
    (folder / "config.yaml").write_text(CONFIG.replace("log: {type: file, path: calls.jsonl}", segment))
    answer = ask(Project.open(folder / "config.yaml"))
    copied = pickle.dumps(answer)
    assert key.encode() not in copied
    assert b64encode(f"{key}:".encode()) not in copied
    again = pickle.loads(copied)
    match again:
        case Project():
            assert repr(pickle.loads(pickle.dumps(Project("c.yaml", env="test")))) == "Project('c.yaml', env='test')"
            assert again.plan().destinations[0].calls == 1
        case Members():
            assert list(again) == list(answer)
        case _:
            assert again.to_dict() == answer.to_dict()


def test_all_secrets_that_a_project_has_met_stay_masked() -> None:
    access = Access(Path("config.yaml"))
    for secret in ("s3cret-one", "s3cret-two"):
        access.keep_secrets([secret])
    with pytest.raises(StoreError) as error, access.masking():
        raise StoreError("s3cret-one, s3cret-two")
    assert str(error.value) == "***, ***"


def test_no_secret_is_in_an_error_or_in_its_traceback(
    make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    password = f"tr0ub4dor-{3}"
    config = CONFIG.replace("sqlite:///store.db", f"postgresql://sync:{password}@127.0.0.1:9/nothing")
    folder = make_folder("ada", config=config)
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreError) as error:
        Project.open(folder / "config.yaml").sync()
    assert password not in "".join(traceback.format_exception(error.value)) + caplog.text


@pytest.mark.parametrize(
    ("words", "ask"),
    [
        ("plan", lambda project: project.plan()),
        ("history vip", lambda project: project.audience_runs("vip")),
        ("show 1", lambda project: project.run(1)),
        ("explain ada", lambda project: project.explain("ada")),
        ("check", lambda project: project.check()),
        ("db current", lambda project: project.store_schema()),
        ("undo 1 --dry-run", lambda project: project.plan_undo(1)),
    ],
)
def test_an_answer_as_a_document_is_what_the_command_prints(
    folder: Path, words: str, ask: Callable[[Project], Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Session, "set_up", lambda session: None)  # it sets up the log of the process
    project = Project("config.yaml")
    project.sync()
    group([*words.split(), "--json"], standalone_mode=False)
    assert json.loads(json.dumps(ask(project).to_dict())) == json.loads(capsys.readouterr().out)


def test_a_collection_of_garbage_finds_nothing_of_a_project(folder: Path) -> None:
    before = _workspaces()
    Project.open(folder / "config.yaml").sync()
    assert _workspaces() <= before
    assert signal.getsignal(signal.SIGTERM) is not None


def _workspaces() -> set[int]:
    """Those in memory, also what other tests have left."""
    gc.collect()
    return {id(each) for each in gc.get_objects() if type(each).__name__ == "Workspace"}
