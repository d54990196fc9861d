"""The project's texts are in the words of its glossary, and in short sentences."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .texts import DOCSTRING, DOCUMENT, Text, repository_texts, sentences

ROOT = Path(__file__).resolve().parents[2]
WORDS: Mapping[str, Mapping[str, Any]] = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
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
    found = [hit for text in texts() for hit in hits(rule, text)]
    assert not found, f"write {rule['say']!r}:\n" + "\n".join(found)


def test_sentences_are_short_enough() -> None:
    found = [
        f"{text.path.relative_to(ROOT)}:{text.line}: {len(each.split())} words: {each[:80]}"
        for text in texts()
        if text.scope in (DOCSTRING, DOCUMENT)
        for each in sentences(text)
        if len(each.split()) > LONGEST
    ]
    assert not found, "\n".join(found)


def test_a_module_opens_with_what_it_does() -> None:
    questions = [
        f"{text.path.relative_to(ROOT)}: {text.text.splitlines()[0]}"
        for text in texts()
        if text.opens and "?" in text.text.splitlines()[0]
    ]
    assert not questions, "\n".join(questions)


def test_no_docstring_has_half_a_surrogate_pair() -> None:
    """From Python 3.13 on a module with such a docstring can't be imported."""
    found = [
        f"{text.path.relative_to(ROOT)}:{text.line}"
        for text in texts()
        if text.scope == DOCSTRING and re.search("[\ud800-\udfff]", text.text)
    ]
    assert not found, "\n".join(found)
