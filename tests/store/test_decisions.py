"""Reasons are stored without the users whom they must not name."""

from __future__ import annotations

import pytest

from audience_sync.store.runs.decisions import without_users


@pytest.mark.parametrize(
    ("text", "users", "without"),
    [
        ("ada@example.com asked", ["ada@example.com"], "[user] asked"),
        ("ADA@Example.com asked", ["ada@example.com"], "[user] asked"),
        ("request of C-006, not C-00617", ["C-006"], "request of [user], not C-00617"),
        ("(C-006)", ["C-006"], "([user])"),
        ("both 1 and 12", ["1", "12"], "both [user] and [user]"),
        ("in 2021", ["1"], "in 2021"),
        ("用户123さん", ["用户123"], "[user]さん"),
        ("Ada Lovelace and Ada", ["ada", "ada lovelace"], "[user] and [user]"),
        ("İda", ["ida"], "İda"),
        ("nothing", [" ", ""], "nothing"),
        ("", ["ada"], ""),
    ],
)
def test_an_id_is_replaced_in_any_case_and_not_within_a_longer_word(text: str, users: list[str], without: str) -> None:
    assert without_users(text, users) == without


def test_a_hundred_thousand_users_are_looked_for_at_once() -> None:
    users = [f"user-{number}" for number in range(100_000)]
    assert without_users("user-99999 and user-100000", users) == "[user] and user-100000"
