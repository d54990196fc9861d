"""The shell completes commands, keys, runs, destinations and environments, without a secret and without an error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from audience_sync.cli import group
from audience_sync.cli.base.bash_completion import Bash, last_word
from audience_sync.cli.base.completion import VARIABLE
from audience_sync.cli.commands.completion import SHELLS, script_file
from audience_sync.command_line import PROGRAM

from .conftest import Project

MANY = [f"u{number}" for number in range(200)]


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Run 1 created two audiences, run 2 held one of them, and the other is frozen."""
    project = Project(tmp_path_factory.mktemp("synced"))
    project.configure(
        audiences=[
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
            {"name": "Big Spenders", "source": "shop", "file": "big.csv"},
        ],
        destinations={"log": {"type": "file", "path": "calls.jsonl"}, "other": {"type": "file", "path": "o.jsonl"}},
        environments={"production": {"destinations": {"late": {"type": "file", "path": "late.jsonl"}}}},
    )
    project.write_members("vip.csv", *MANY)
    project.write_members("big.csv", "ada")
    project.run("sync")
    project.write_members("vip.csv", "u1")
    project.run("sync")
    project.run("freeze", "big_spenders")
    return project


@pytest.fixture
def shop(synced: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of that project, which is the working folder."""
    folder = shutil.copytree(synced.folder, tmp_path / "shop")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("AUDIENCE_SYNC_CONFIG", raising=False)
    return Project(folder)


def completed(*words: str) -> list[str]:
    """What is offered for the last of these words."""
    shell = ShellComplete(group, {}, PROGRAM, VARIABLE)
    return [str(each.value) for each in shell.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("re", ["resync", "retry", "retire", "reject"]),
        ("sync ", ["vip", "big_spenders"]),
        ("sync vip ", ["big_spenders"]),
        ("plan b", ["big_spenders"]),
        ("seed v", ["vip"]),
        ("history ", ["big_spenders", "vip"]),
        ("members ", ["big_spenders", "vip"]),
        ("freeze v", ["vip"]),
        ("unfreeze ", ["big_spenders"]),
        ("show ", ["2", "1"]),
        ("undo 2", ["2"]),
        ("approve ", ["2"]),
        ("reject 2 ", ["vip"]),
        ("retry --destination ", ["log", "other"]),
        ("resync --destination o", ["other"]),
        ("test-destination ", ["log", "other"]),
        ("--env ", ["production"]),
        ("sync --env p", ["production"]),
        ("--env production test-destination l", ["log", "late"]),
        ("test-destination --env production l", ["log", "late"]),
        ("explain ", []),
        ("suppress ", []),
        ("completion ", ["bash", "zsh", "fish"]),
        ("nonsense ", []),
        ("history --lim", ["--limit"]),
    ],
)
def test_each_argument_is_completed_from_the_config_and_the_store(shop: Project, line: str, found: list[str]) -> None:
    assert completed(*line.split(" ")) == found


def test_the_config_may_be_named_before_or_after_the_command(
    shop: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.folder / "config.yaml").rename(shop.folder / "other.yaml")
    assert completed("seed", "") == []
    assert completed("--config", "other.yaml", "seed", "v") == ["vip"]
    assert completed("seed", "--config", "other.yaml", "v") == ["vip"]
    monkeypatch.setenv("AUDIENCE_SYNC_CONFIG", "other.yaml")
    assert completed("seed", "v") == ["vip"]


@pytest.mark.parametrize(
    "config",
    [
        pytest.param("audiences: [", id="YAML with an error"),
        pytest.param("store: postgresql://nowhere.invalid/store", id="a database that is not there"),
        pytest.param("store: sqlite:///vip.csv", id="no database"),
        pytest.param("store: ${STORE_URL}", id="a variable that is not set"),
    ],
)
def test_an_error_offers_nothing_and_prints_nothing(
    shop: Project, config: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop.write("config.yaml", config)
    assert [completed("show", ""), completed("seed", "")] == [[], []]
    assert capfd.readouterr() == ("", "")


def test_a_config_without_its_secrets_is_completed(shop: Project) -> None:
    path = shop.folder / "config.yaml"
    path.write_text(path.read_text("utf-8") + "notify: {ping: '${PING_URL}'}\n", "utf-8")
    assert completed("seed", "v") == ["vip"]
    assert completed("show", "") == ["2", "1"]


def in_shell(project: Project, shell: list[str], script: str) -> list[str]:
    """The lines that a script prints, with this program first on the path."""
    program = project.folder / "bin" / PROGRAM
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m audience_sync "$@"\n', "utf-8")
    program.chmod(0o755)
    environment = {**project.environment, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(project.folder)}
    done = subprocess.run(
        [*shell, script], cwd=project.folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes(shop: Project) -> None:
    script = """
        source <(audience-sync completion bash)
        complete -p audience-sync | grep -o _audience_sync_completion
        complete_line() {
            COMP_LINE=$1 COMP_POINT=${#1}
            _audience_sync_completion audience-sync
            echo "${#COMPREPLY[@]}" "${COMPREPLY[@]}"
        }
        complete_line "audience-sync seed "
        complete_line "audience-sync retry --destination o"
        complete_line "audience-sync nonsense "
    """
    found = in_shell(shop, ["bash", "--norc", "-c"], script)
    assert found == ["_audience_sync_completion", "2", "vip", "big_spenders", "1", "other", "0"]


@pytest.mark.parametrize(
    ("typed", "inserted"),
    [
        pytest.param("my", "my\\ tool", id="a space"),
        pytest.param("my\\ t", "my\\ tool", id="a space that is typed"),
        pytest.param("'my t", "my tool", id="within quotes, which bash keeps"),
        pytest.param("a", "a:b", id="a colon"),
        pytest.param("a:", "b", id="after a colon, where bash begins a new word"),
        pytest.param("Ann", "Anna\\'s", id="a quote"),
        pytest.param("\\$", "\\$HOME", id="a variable"),
        pytest.param("*", "\\*", id="a pattern"),
        pytest.param("gr", "größer", id="other letters"),
    ],
)
def test_bash_inserts_an_odd_name_as_one_word(
    shop: Project, monkeypatch: pytest.MonkeyPatch, typed: str, inserted: str
) -> None:
    names = ("my tool", "a:b", "Anna's", "$HOME", "*", "größer")
    shop.configure(destinations={name: {"type": "file", "path": "c.jsonl"} for name in names})
    monkeypatch.setenv("AUDIENCE_SYNC_LINE", f"audience-sync retry --destination {typed}")
    shell = Bash(group, {}, PROGRAM, VARIABLE)
    assert shell.complete().splitlines() == [f"plain,{inserted}"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("a b", "b"),
        ("a b ", ""),
        ("", ""),
        ("a 'b c", "'b c"),
        ('a "b c" d', "d"),
        ("a b\\ c", "b\\ c"),
        ("a 'b\\' c", "c"),
    ],
)
def test_the_last_word_of_a_line_is_as_it_was_typed(line: str, word: str) -> None:
    assert last_word(line) == word


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_completes(shop: Project) -> None:
    script = "audience-sync completion fish | source; complete -C 'audience-sync seed ' | cut -f1"
    assert in_shell(shop, ["fish", "--no-config", "-c"], script) == ["big_spenders", "vip"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_completes(shop: Project) -> None:
    script = """
        autoload -Uz compinit && compinit -u -d .zcompdump
        source <(audience-sync completion zsh)
        print -r -- $_comps[audience-sync]
        words=(audience-sync seed "") CURRENT=3
        _describe() { print -r -- $completions_with_descriptions }
        compadd() { print -r -- $completions }
        _audience_sync_completion
    """
    found = in_shell(shop, ["zsh", "-f", "-c"], script)
    assert found == ["_audience_sync_completion", "vip:VIP", "big_spenders:Big", "Spenders"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_or_installed_where_the_shell_looks(shop: Project, shell: str) -> None:
    printed = shop.run("completion", shell)
    assert printed.code == 0
    assert "_AUDIENCE_SYNC_COMPLETE" in printed.stdout
    shop.environment |= {"HOME": str(shop.folder), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
    installed = shop.run("completion", shell, "--install")
    file = script_file(shell, {"HOME": str(shop.folder)})
    assert (installed.code, file.read_text("utf-8")) == (0, printed.stdout)
    assert str(file) in installed.stdout


@pytest.mark.parametrize(
    ("shell", "path"),
    [
        ("bash", "/home/ann/.local/share/bash-completion/completions/audience-sync"),
        ("zsh", "/home/ann/.local/share/zsh/site-functions/_audience-sync"),
        ("fish", "/home/ann/.config/fish/completions/audience-sync.fish"),
    ],
)
def test_each_shell_has_its_own_file(shell: str, path: str) -> None:
    assert script_file(shell, {"HOME": "/home/ann"}) == Path(path)


def test_no_answer_to_a_shell_is_an_error_message(shop: Project) -> None:
    environment = shop.environment | {VARIABLE: "zsh_complete", "COMP_WORDS": "audience-sync x", "COMP_CWORD": "no"}
    done = subprocess.run(shop.command(), cwd=shop.folder, env=environment, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
