"""A seed of more than 10,000 users asks a person at a terminal; `--yes` and a pipe go without a question (row 13)."""

from __future__ import annotations

import pytest

from .conftest import Project
from .terminal import at_a_terminal

QUESTION = "Seed 'vip' now? It sends one call for each of 10,001 users."


def with_users(project: Project, count: int) -> Project:
    project.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv", "initial": "manual"}])
    project.write_members("vip.csv", *(f"u{number}" for number in range(count)))
    return project


@pytest.fixture
def many(vip: Project) -> Project:
    return with_users(vip, 10_001)


def test_a_no_sends_nothing(many: Project) -> None:
    code, seen, _ = at_a_terminal(many, "seed", "vip", typed="n\n")
    assert code == 0
    assert QUESTION in seen
    assert "audience-sync seed vip --limit 100" in seen
    assert "Continue? [y/N]:" in seen
    assert "Nothing was changed or sent." in seen
    assert many.sent() == []
    assert many.query("select count(*) from sync_runs") == [(0,)]


def test_an_empty_answer_is_a_no(many: Project) -> None:
    code, seen, _ = at_a_terminal(many, "seed", "vip", typed="\n")
    assert (code, QUESTION in seen, many.sent()) == (0, True, [])


def test_a_yes_sends_to_everyone(many: Project) -> None:
    code, seen, _ = at_a_terminal(many, "seed", "vip", typed="y\n")
    assert (code, QUESTION in seen) == (0, True)
    assert "10,001 members at 1 destination" in seen
    assert len(many.sent()) == 10_001


def test_the_option_yes_asks_nothing(many: Project) -> None:
    code, seen, _ = at_a_terminal(many, "seed", "vip", "--yes", typed="")
    assert (code, "Continue?" in seen) == (0, False)
    assert len(many.sent()) == 10_001


def test_a_rate_is_part_of_the_question(many: Project) -> None:
    code, seen, _ = at_a_terminal(many, "seed", "vip", "--rate", "500/s", typed="n\n")
    assert (code, many.sent()) == (0, [])
    assert "Limits of log: 500 users a second (`--rate`)." in seen


def test_a_ramp_asks_first(many: Project) -> None:
    code, seen, _ = at_a_terminal(many, "seed", "vip", "--ramp", "1%,100%", typed="n\n")
    assert (code, "Continue? [y/N]:" in seen, many.sent()) == (0, True, [])


@pytest.mark.parametrize("options", [["--limit", "100"], ["--no-send"]], ids=" ".join)
def test_a_seed_that_sends_to_few_asks_nothing(many: Project, options: list[str]) -> None:
    code, seen, _ = at_a_terminal(many, "seed", "vip", *options, typed="")
    assert (code, "Continue?" in seen) == (0, False)


def test_ten_thousand_users_are_seeded_without_a_question(vip: Project) -> None:
    code, seen, _ = at_a_terminal(with_users(vip, 10_000), "seed", "vip", typed="")
    assert (code, "Continue?" in seen) == (0, False)
    assert len(vip.sent()) == 10_000


def test_without_a_terminal_there_is_no_question(many: Project) -> None:
    done = many.run("seed", "vip")
    assert (done.code, "Continue?" in done.stdout + done.stderr) == (0, False)
    assert len(many.sent()) == 10_001
