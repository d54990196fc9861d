"""The project's texts are in the words of its glossary, and in short sentences."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .texts import DOCSTRING, DOCUMENT, SCOPES, Text, repository_texts, sentences

ROOT = Path(__file__).resolve().parents[2]
RULES: Mapping[str, Mapping[str, Any]] = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
SENTENCES = RULES["sentences"]
WORDS = {name: rule for name, rule in RULES.items() if name != "sentences"}
LONGEST = 40  # words of a sentence


@cache
def texts() -> tuple[Text, ...]:
    return tuple(repository_texts(ROOT))


def printable(text: str) -> str:
    """The text without lone surrogates, which a worker of the tests can't report."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def hits(rule: Mapping[str, Any], text: Text) -> list[str]:
    flags = 0 if rule.get("case") else re.IGNORECASE
    allowed = [re.compile(each, re.IGNORECASE) for each in rule.get("allow", ())]
    return [
        f"{text.path.relative_to(ROOT)}:{text.line}: {line.strip()[:100]}"
        for line in printable(text.text).splitlines()
        if re.search(rule["pattern"], line, flags) and not any(each.search(line) for each in allowed)
    ]


@pytest.mark.parametrize("name", WORDS)
def test_a_private_word_does_not_come_back(name: str) -> None:
    rule = WORDS[name]
    found: dict[str, list[str]] = {scope: [] for scope in SCOPES}
    for text in texts():
        found[text.scope] += hits(rule, text)
    for scope in SCOPES:
        most = rule.get("at_most", {}).get(scope, 0)
        assert len(found[scope]) <= most, (
            f"write {rule['say']!r} ({scope}: {len(found[scope])}, at most {most}):\n" + "\n".join(found[scope])
        )


def test_sentences_are_short_enough() -> None:
    found: dict[str, list[str]] = {DOCSTRING: [], DOCUMENT: []}
    for text in texts():
        if text.scope in found:
            found[text.scope] += [
                f"{text.path.relative_to(ROOT)}:{text.line}: {len(each.split())} words: {each[:80]}"
                for each in sentences(text)
                if len(each.split()) > LONGEST
            ]
    counts = Counter({scope: len(each) for scope, each in found.items()})
    for scope, most in SENTENCES["over_40_words"].items():
        assert counts[scope] <= most, "\n".join(found[scope])


def test_a_module_opens_with_what_it_does() -> None:
    questions = [
        f"{text.path.relative_to(ROOT)}: {text.text.splitlines()[0]}"
        for text in texts()
        if text.opens and "?" in text.text.splitlines()[0]
    ]
    assert len(questions) <= SENTENCES["modules_that_open_with_a_question"], "\n".join(questions)
