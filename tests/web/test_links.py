"""Addresses carry any value."""

from __future__ import annotations

import pytest

from audience_sync.web.links import Links

href = Links({"run": "/runs/{run}", "runs": "/runs", "audience": "/audiences/{key}", "user": "/users"})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (href("run", run=46), "/runs/46"),
        (href("audience", key="a b/c"), "/audiences/a%20b%2Fc"),
        (href("user", id="<b>&é/"), "/users?id=%3Cb%3E%26%C3%A9%2F"),
        (href("user", id="\ud800"), "/users?id=%5Cud800"),
        (href("runs", status="held", audience="", before=None), "/runs?status=held"),
        (href("runs", anchor='a"b'), "/runs#a%22b"),
    ],
)
def test_an_address_has_its_values_in_the_path_or_the_query(address: str, expected: str) -> None:
    assert address == expected
