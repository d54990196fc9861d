"""A secret is found in a text in any spelling, and nothing else is."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from html import escape
from urllib.parse import quote, quote_plus

import pytest

from audience_sync.redaction.finder import Redactor

KEY = 'Wk"k/4f&0c+2A=9d%7'

SPELLINGS = {
    "as it is": KEY,
    "in capitals": KEY.upper(),
    "in small letters": KEY.lower(),
    "in JSON": json.dumps(KEY)[1:-1],
    "in JSON within JSON": json.dumps(json.dumps(KEY))[3:-3],
    "in JSON, slashes escaped": json.dumps(KEY)[1:-1].replace("/", "\\/"),
    "in JSON, every letter escaped": "".join(f"\\u{ord(letter):04x}" for letter in KEY),
    "in a URL": quote(KEY, safe=""),
    "in a URL, small letters": quote(KEY, safe="").lower(),
    "in a URL, slashes as they are": quote(KEY),
    "in a form": quote_plus(KEY),
    "in a URL within a URL": quote(quote(KEY, safe=""), safe=""),
    "in a URL, every letter escaped": "".join(f"%{ord(letter):02X}" for letter in KEY),
    "in HTML": escape(KEY),
    "in HTML, by numbers": "".join(f"&#{ord(letter)};" for letter in KEY),
    "in base64": b64encode(KEY.encode()).decode(),
    "in base64 for URLs": urlsafe_b64encode(KEY.encode()).decode().rstrip("="),
    "as the user of basic authentication": b64encode(f"{KEY}:".encode()).decode(),
    "as the password of basic authentication": b64encode(f"me:{KEY}".encode()).decode(),
    "as the password of basic authentication, in a URL": quote(b64encode(f"me:{KEY}".encode()).decode(), safe=""),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_value_is_hidden_however_it_is_spelled(spelling: str) -> None:
    assert Redactor([KEY]).redact(f"no key {spelling} here") == "no key *** here"


CASES = {
    "several values": (["abcd", "wxyz"], "abcd, wxyz and abcd", "***, *** and ***"),
    "a value that is a part of another": (["abcd", "abcdefgh"], "abcdefgh abcd", "*** ***"),
    "values that overlap are hidden whole": (["abcdef", "defghi"], "abcdefghi", "***"),
    "a value twice in a row": (["abcd"], "abcdabcd", "***"),
    "a value that overlaps itself": (["abcabc"], "abcabcabc", "***"),
    "letters with accents": (
        ["pässwörd"],
        "PÄSSWÖRD p%C3%A4ssw%C3%B6rd p%E4ssw%F6rd p\\u00e4ssw\\u00f6rd",
        "*** *** *** ***",
    ),
    "letters beyond the first plane": (["key-🔑-1"], "key-\\ud83d\\udd11-1 key-%F0%9F%94%91-1", "*** ***"),
    "after what looks like the beginning of an escape": (["abcd"], "100%abcd x\\abcd", "100%*** x\\***"),
    "a value that looks like an escape itself": (["a%41b"], "a%41b a%2541b", "*** ***"),
    "a space as URLs write it": (["a key"], "a+key a%20key", "*** ***"),
    "no value": ([], "abcd", "abcd"),
    "another text": (["abcd"], "abc d, bcda, YWJj, %61%62%63", "abc d, bcda, YWJj, %61%62%63"),
}


@pytest.mark.parametrize(("values", "text", "shown"), CASES.values(), ids=CASES.keys())
def test_values_are_hidden_and_nothing_else(values: list[str], text: str, shown: str) -> None:
    assert Redactor(values).redact(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("status: red", "status: ***"),
        ("red, then green", "***, then green"),
        ("a reduced rate", "a reduced rate"),
        ("infrared", "infrared"),
        ("red2", "red2"),
    ],
)
def test_a_word_is_hidden_only_where_no_letter_or_digit_is_next_to_it(text: str, shown: str) -> None:
    assert Redactor([], ["red"]).redact(text) == shown
