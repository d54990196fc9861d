"""A command in an answer can be pasted: it is quoted for the shell and names the project that the answer is about."""

from __future__ import annotations

import shlex

import pytest

from audience_sync.cli import COMMANDS
from audience_sync.command_line import PROJECT_COMMANDS, to_paste, with_options


def test_every_command_works_on_a_project_but_three() -> None:
    assert set(COMMANDS) - set(PROJECT_COMMANDS) == {"init", "sandbox", "completion", "docs", "schema"}
    assert set(PROJECT_COMMANDS) <= set(COMMANDS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("audience-sync sync", "audience-sync --env production sync"),
        ("To decide: audience-sync approve 4 vip.", "To decide: audience-sync --env production approve 4 vip."),
        (
            "audience-sync approve 4, or: audience-sync reject 4",
            "audience-sync --env production approve 4, or: audience-sync --env production reject 4",
        ),
        ("cd shop && audience-sync db upgrade", "cd shop && audience-sync --env production db upgrade"),
        pytest.param("audience-sync init shop", "audience-sync init shop", id="a command without a project"),
        pytest.param("audience-sync syncs audiences", "audience-sync syncs audiences", id="prose"),
        pytest.param("audience-sync run 7: 2 held", "audience-sync run 7: 2 held", id="the title of a message"),
        pytest.param("audience-sync --config FILE sync", "audience-sync --config FILE sync", id="with options already"),
        pytest.param("/opt/audience-sync sync", "/opt/audience-sync sync", id="a path"),
    ],
)
def test_the_commands_of_a_text_get_the_options_of_the_project(text: str, shown: str) -> None:
    assert with_options(text, "--env production") == shown
    assert with_options(text, "") == text


@pytest.mark.parametrize("name", ["connect", "my tool", "Anna's", "a;rm -rf x", "$HOME", "größer", "#1"])
def test_a_name_stays_one_word_of_the_command(name: str) -> None:
    assert shlex.split(to_paste("retry", "--destination", name)) == ["audience-sync", "retry", "--destination", name]
