"""A wrong argument is not a run: exit code 2, the nearest name, and no row in the history."""

from __future__ import annotations

import pytest

from audience_sync.cli import COMMANDS

from .conftest import Project

FOUND = "error: there is no audience 'vpi'. Did you mean 'vip'? Nothing was changed or sent.\n  Audiences: vip\n"


@pytest.mark.parametrize(
    "command",
    [
        ("sync", "vpi"),
        ("plan", "vpi"),
        ("seed", "vpi"),
        ("resync", "vpi"),
        ("sync", "vip", "vpi"),
    ],
    ids=" ".join,
)
def test_a_wrong_key_is_said_with_the_one_that_was_meant(vip: Project, command: tuple[str, ...]) -> None:
    vip.sync()
    vip.write_members("vip.csv", "ada")
    wrong = vip.run(*command)
    assert (wrong.code, wrong.stdout, wrong.stderr) == (2, "", FOUND)
    assert vip.query("select run, status from sync_runs") == [(1, "succeeded")]
    assert vip.sync().json["run"] == 2


@pytest.mark.parametrize(
    "command",
    [
        ("sync", "--accept", "vpi"),
        ("retire", "vpi", "--yes"),
        ("undo", "99", "--yes"),
        ("undo", "2", "--yes"),
        ("approve", "99"),
        ("reject", "99"),
        ("approve", "1", "vpi"),
        ("sync", "--move-key", "vpi=new"),
        ("undo", "99999999999999999999", "--yes"),
        ("show", "99999999999999999999"),
        ("approve", "2147483648"),
        ("history", "--limit", "99999999999999999999"),
        ("seed", "vip", "--limit", "99999999999999999999"),
        ("history", "vpi"),
        ("resync", "--destination", "lag"),
        ("retry", "--destination", "lag"),
    ],
    ids=" ".join,
)
def test_no_wrong_use_makes_a_run(vip: Project, command: tuple[str, ...]) -> None:
    vip.sync()
    assert vip.run(*command).code == 2
    assert vip.query("select run, status from sync_runs") == [(1, "succeeded")]


def test_a_wrong_use_is_no_failed_run_of_the_metrics(vip: Project) -> None:
    vip.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}], metrics={"file": "numbers.prom"})
    vip.sync()
    vip.run("sync", "vpi")
    vip.sync()
    numbers = (vip.folder / "numbers.prom").read_text("utf-8")
    assert 'audience_sync_runs_total{status="failed"} 0' in numbers
    assert 'audience_sync_runs_total{status="succeeded"} 2' in numbers
    assert 'audience_sync_runs_total{status="interrupted"} 0' in numbers


def test_a_wrong_key_of_a_config_with_names_is_no_run_either(vip: Project) -> None:
    vip.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "all.csv"}])
    vip.write("all.csv", "user_id,audience\nada,vip\n")
    vip.sync()
    wrong = vip.run("sync", "vpi")
    assert (wrong.code, wrong.stderr) == (2, FOUND)
    assert vip.query("select run, status from sync_runs") == [(1, "succeeded")]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("history", "vpi"), "error: there is no audience 'vpi'. Did you mean 'vip'?\n  Audiences: vip\n"),
        (("members", "vpi"), "error: there is no audience 'vpi'. Did you mean 'vip'?\n  Audiences: vip\n"),
        (
            ("sync", "--move-key", "vpi=new"),
            "error: there is no audience 'vpi'. Did you mean 'vip'? Nothing was changed or sent.\n"
            "  Audiences that can be moved: vip\n",
        ),
        (
            ("show", "99999999999999999999"),
            "error: there is no run 99999999999999999999. The last ones: audience-sync history\n",
        ),
        (
            ("db", "copy", "sqlite:///"),
            "error: invalid value for URL: a database in memory loses what was sent. Name a file: "
            "`sqlite:///audience_sync.db`\n  Help: audience-sync db copy --help\n",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_name_that_is_not_there_is_no_problem_of_the_config(
    vip: Project, command: tuple[str, ...], words: str
) -> None:
    vip.sync()
    wrong = vip.run(*command)
    assert (wrong.code, wrong.stdout, wrong.stderr) == (2, "", words)


NO_RUNS = "No runs yet. Start one: audience-sync sync\n"


def test_an_audience_before_its_first_run_has_no_history_yet(vip: Project) -> None:
    assert (vip.run("history", "vip").code, vip.run("history", "vip").stdout) == (0, NO_RUNS)


@pytest.mark.parametrize("command", [(), ("db",)], ids=" ".join)
def test_a_command_that_is_left_out_is_answered_with_the_help(vip: Project, command: tuple[str, ...]) -> None:
    usage = vip.run(*command)
    assert (usage.code, usage.stdout) == (2, "")
    assert usage.stderr == vip.run(*command, "--help").stdout


@pytest.mark.parametrize("command", [*COMMANDS, "db upgrade", "db current", "db check", "db backup", "db copy"])
def test_no_help_is_cut(vip: Project, command: str) -> None:
    assert "...\n" not in vip.run(*command.split(), "--help").stdout.partition("\n")[2]


def test_a_wrong_use_answers_programs_with_its_words(vip: Project) -> None:
    wrong = vip.run("sync", "vpi", "--json")
    assert wrong.json["exit_code"] == 2
    assert wrong.json["error"].startswith("there is no audience 'vpi'. Did you mean 'vip'?")
    assert wrong.json["problems"] == []


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["snyc"], "error: there is no command `snyc`. Did you mean `sync`?\n  Help: audience-sync --help\n"),
        (["HISTORY"], "error: there is no command `HISTORY`. Did you mean `history`?\n  Help: audience-sync --help\n"),
        (["xyzzy"], "error: there is no command `xyzzy`.\n  Help: audience-sync --help\n"),
        (
            ["--josn", "sync"],
            "error: there is no option `--josn`. Did you mean `--json`?\n  Help: audience-sync --help\n",
        ),
        (
            ["seed", "vip", "--lmit", "3"],
            "error: there is no option `--lmit` for `seed`. Did you mean `--limit`?\n"
            "  Help: audience-sync seed --help\n",
        ),
        (["seed"], "error: missing argument 'KEY'.\n  Help: audience-sync seed --help\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistyped_command_or_option_is_answered_with_the_one_that_was_meant(
    vip: Project, arguments: list[str], shown: str
) -> None:
    wrong = vip.run(*arguments)
    assert (wrong.code, wrong.stdout, wrong.stderr) == (2, "", shown)


def test_the_problems_of_a_config_stand_below_the_error(vip: Project) -> None:
    vip.configure(audiences=[{"name": "VIP", "source": "shoop", "file": "vip.csv"}])
    wrong = vip.run("sync")
    assert wrong.stderr.splitlines()[0] == "error: the config has 1 problem. Nothing was loaded or sent."
    assert wrong.stderr.splitlines()[1].startswith("  audiences[0].source: ")


#: ``--help`` of the program, from its first group on.
GROUPS = """Start
  init              Create an example project.
  check             Check config, sources, store and destinations.
  plan              Show what sync would do. Changes nothing.
  sync              Load, diff and deliver once.
  schedule          Run on the config's schedules until stopped.
  serve             Trigger runs, plan and look over HTTP.
  docs              Open the documentation, without a network.
  schema            Print the JSON Schema of the config, for editors.

First sends and repairs
  seed              Send a new audience to all destinations, by hand.
  resync            Send everything again, false for former members included.
  retry             Send refused calls again with the newest values.
  undo              Reverse what a run changed.
  retire            Send false to all members and close the key for good.

Decisions
  approve           Let a held snapshot pass.
  reject            Drop a held snapshot.
  freeze            Skip an audience until it is unfrozen.
  unfreeze          Sync a frozen audience again.

Users
  explain           Show one user: values, calls, answers, pending.
  members           List the members of an audience.
  suppress          Never send anything to these users.
  unsuppress        Send to these users again.
  erase             Delete users from the store for good.

History and store
  status            Show what needs a person, and the commands.
  history           List the last runs.
  show              Show one run in full.
  dashboard         Look at the store in the browser.
  test-destination  Send one real call and show request and answer.
  sandbox           Receive calls and show them in the browser.
  db                Upgrade, check, back up or copy the store.
  dbt               Write dbt exposures of the destinations.
  completion        Complete keys, runs and destinations in the shell.

Examples:
  audience-sync plan churn_risk
  audience-sync sync --json
"""


def test_the_help_of_a_command_describes_it_in_full(vip: Project) -> None:
    assert "Also sends what earlier runs left pending." in vip.run("sync", "--help").stdout
    assert "Safe to interrupt and to repeat" in vip.run("seed", "--help").stdout


def test_help_lists_the_commands_in_groups(vip: Project) -> None:
    assert vip.run("--help").stdout.endswith(f"\n\n{GROUPS}")


@pytest.mark.parametrize("command", [*COMMANDS, "db upgrade", "db current", "db check", "db backup", "db copy"])
def test_the_help_of_a_command_ends_with_two_examples_of_it(vip: Project, command: str) -> None:
    *_, title, first, second = vip.run(*command.split(), "--help").stdout.splitlines()
    assert title.strip() == "Examples:"
    assert first.strip().startswith(f"audience-sync {command.split()[0]}")
    assert second.strip().startswith(f"audience-sync {command.split()[0]} ")
