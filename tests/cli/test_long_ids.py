"""An id that is too long for PostgreSQL is one invalid row, whatever its type, on both stores."""

from __future__ import annotations

from collections.abc import Callable

from .conftest import Project


def test_a_number_of_thousands_of_digits_is_an_invalid_row_on_both_stores(
    project: Project, database: str, new_url: Callable[..., str]
) -> None:
    url = new_url(database, with_schema=True)
    project.write(
        "vip.jsonl",
        "\n".join(f'{{"user_id": {digits}}}' for digits in ("7", "9" * 2500, "9" * 2501, "-" + "9" * 2500, "1" * 5000)),
    )
    project.configure(store=url, audiences=[{"name": "VIP", "source": "shop", "file": "vip.jsonl"}])
    result = project.sync()
    assert result.code == 0
    assert result.audience("vip")["invalid"] == 3
    assert project.sent() == [("7", {"vip": True}), ("9" * 2500, {"vip": True})]
