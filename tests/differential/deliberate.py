"""Differences from the last release that are meant: each is undone in what the new version did before it is compared.

The lists are emptied when a release is made.
"""

from __future__ import annotations

import re
from dataclasses import replace

from .play import Observation
from .store import Table

#: Views with another name: new -> old.
VIEWS: dict[str, str] = {"invalid_rows": "rejected_rows"}
#: Columns of views with another name: (old view, new column) -> old column.
COLUMNS: dict[tuple[str, str], str] = {}
#: Other words in the output and in views: a pattern of the new ones -> the old ones, with the groups of the pattern.
WORDS: dict[str, str] = {
    '"invalid_rows":': '"rejected_rows":',
    '"sent":': '"told":',
    # The first line of a run has no counts of zero.
    r"(?m)^(Run \d+ (?:.* in DURATION|approved what run \d+ held): .*?)\b([\d,]+) calls? (refused|pending)": (
        r"\g<1>0 calls delivered, \2 \3"
    ),
    # Every outcome has a next step.
    r"(no other run is waiting for a decision\.)\s+What needs a person: audience-sync status": r"\1",
    # Who gave a command, and the stages of a run.
    r"(?m)^  By +.*\n": "",
    r',\n +"(?:started_by|host|entries|entries_loaded|config_changes)": [^\n]*?(?=,?\n)': "",
    r'(?s),\n  "(?:decisions|stages)": \[(?:\]|.*?\n  \])': "",
}


def as_before(new: Observation) -> Observation:
    """What the new version did, in the words of the last release."""
    return replace(
        new,
        stdout=_words_before(new.stdout),
        stderr=_words_before(new.stderr),
        views={VIEWS.get(name, name): _view_before(VIEWS.get(name, name), view) for name, view in new.views.items()},
    )


def _view_before(name: str, view: Table) -> Table:
    columns = [COLUMNS.get((name, column), column) for column in view.columns]
    return Table(columns, [[_words_before(value) for value in row] for row in view.rows])


def _words_before(text: str) -> str:
    for now, before in WORDS.items():
        text = re.sub(now, before, text)
    return text
