"""docs/destinations.md describes what an answer means to each destination."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audience_sync.destinations.base import Answer, Audiencing, HttpDestination
from audience_sync.destinations.segment.destination import SegmentDestination, SegmentOptions
from audience_sync.destinations.segment.rudderstack import RudderStackDestination, RudderStackOptions
from audience_sync.destinations.webhook.destination import WebhookDestination
from audience_sync.destinations.webhook.options import WebhookOptions
from audience_sync.destinations.zendesk_connect.destination import ZendeskConnectDestination, ZendeskConnectOptions

DOCUMENT = (Path(__file__).parents[2] / "docs" / "destinations.md").read_text("utf-8")
ABOUT = Audiencing("here")
PROTOCOLS: dict[str, HttpDestination] = {
    "segment": SegmentDestination(SegmentOptions.model_validate({"write_key": "k"}), ABOUT),
    "rudderstack": RudderStackDestination(
        RudderStackOptions.model_validate({"write_key": "k", "url": "https://example.test"}), ABOUT
    ),
    "zendesk_connect": ZendeskConnectDestination(ZendeskConnectOptions.model_validate({"private_key": "k"}), ABOUT),
    "webhook": WebhookDestination(WebhookOptions.model_validate({"url": "https://example.test"}), ABOUT),
}
#: Answers that a status alone does not decide.
SPECIAL = {
    "2xx, complete and in the protocol's words": [Answer(200), Answer(200, b'{"success": true}'), Answer(204)],
    "2xx with an error in its body": [Answer(200, b'{"error": {"Message": "no such profile", "Code": 7}}')],
    "2xx with a page of HTML": [Answer(200, b"<!doctype html>"), Answer(203, b"<html>" + b"x" * 70_000, is_cut=True)],
    "2xx with other words of a proxy, or longer than `max_answer`": [
        Answer(200, b"maintenance"),
        Answer(200, b'{"success": true, "echo": "' + b"x" * 70_000, is_cut=True),
    ],
    "none: no such host, refused or reset connection, time-out, half an answer": [Answer(None, error="reset")],
}
EVERY = {"3": range(300, 310), "4": range(400, 500), "5": range(500, 600)}


def rows() -> dict[str, dict[str, str]]:
    """By answer, and then by protocol, the meaning."""
    part = DOCUMENT.partition("## What an answer means")[2].partition("\n| meaning |")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
    header, _, *body = lines
    protocols = [name.strip("`") for name in header[1:]]
    return {answer: dict(zip(protocols, meanings, strict=True)) for answer, *meanings in body}


ROWS = rows()
NAMED = {int(status) for answer in ROWS if answer not in SPECIAL for status in re.findall(r"\b\d{3}\b", answer)}


def answers(row: str) -> list[Answer]:
    if row in SPECIAL:
        return SPECIAL[row]
    families = [status for family in re.findall(r"(\d)xx", row) for status in EVERY[family] if status not in NAMED]
    return [Answer(status) for status in [*map(int, re.findall(r"\b\d{3}\b", row)), *families]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("row", ROWS)
def test_an_answer_means_what_the_document_says(row: str, protocol: str) -> None:
    found = {answer.status: PROTOCOLS[protocol].judge(answer).meaning.value for answer in answers(row)}
    assert set(found.values()) == {ROWS[row][protocol]}, found


def test_the_document_has_every_protocol_and_every_status() -> None:
    assert set(next(iter(ROWS.values()))) == set(PROTOCOLS)
    sent = {answer.status for row in ROWS for answer in answers(row)}
    assert sent >= {*EVERY["3"], *EVERY["4"], *EVERY["5"], 200, None}
