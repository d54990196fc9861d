"""A query on a file that can't be read says which file, where it was looked for, and what was probably meant."""

from pathlib import Path

import pytest

from .conftest import Project


@pytest.fixture
def shop(vip: Project) -> Project:
    (vip.folder / "shop/members").mkdir(parents=True)
    vip.write("shop/orders.csv", b"user_id\nada\n")
    vip.write("shop/members/a.csv", b"user_id\nada\n")
    vip.write("shop/notes.txt", b"user_id\nada\n")
    (vip.folder / "shop/empty").mkdir()
    return vip


MISSING = {
    "a typing error": (
        "select user_id from 'ordres.csv'",
        "the query reads 'ordres.csv', which does not exist in shop. Did you mean 'orders.csv'?",
    ),
    "in a function": (
        "select user_id from read_csv('ordres.csv')",
        "the query reads 'ordres.csv', which does not exist in shop. Did you mean 'orders.csv'?",
    ),
    "in a list of a function": (
        "select user_id from read_csv(['orders.csv', 'ordres.csv'])",
        "the query reads 'ordres.csv', which does not exist in shop. Did you mean 'orders.csv'?",
    ),
    "another format": (
        "select user_id from 'customers.parquet'",
        "the query reads 'customers.parquet', which does not exist in shop. Data files there: orders.csv.",
    ),
    "a workbook": ("select user_id from 'x.xlsx'", "the query reads 'x.xlsx', which does not exist in shop."),
    "packed": ("select user_id from 'x.jsonl.gz'", "the query reads 'x.jsonl.gz', which does not exist in shop."),
    "a folder": (
        "select user_id from 'membres/'",
        "the query reads 'membres/', which does not exist in shop. Did you mean 'members/'?",
    ),
    "a file of a missing folder": (
        "select user_id from 'membres/a.csv'",
        "the query reads 'membres/a.csv', which does not exist in shop. Did you mean 'members/'?",
    ),
    "a file of a folder": (
        "select user_id from 'members/b.csv'",
        "the query reads 'members/b.csv', which does not exist in shop. Did you mean 'members/a.csv'?",
    ),
    "a glob": (
        "select user_id from 'members/x*.csv'",
        "the query reads 'members/x*.csv', which matches no file in shop. Data files there: members/a.csv.",
    ),
    "a glob in a function": (
        "select user_id from read_csv('2026-*.csv')",
        "the query reads '2026-*.csv', which matches no file in shop. Data files there: orders.csv.",
    ),
    "an empty folder": ("select user_id from 'empty/'", "the query reads 'empty/', a folder in shop that has no data"),
    "a folder without its slash": (
        "select user_id from 'members'",
        "the query reads 'members', which is a folder. Write 'members/' for all its data files.",
    ),
    "an unknown format": (
        "select user_id from 'notes.txt'",
        "the query reads 'notes.txt', which has none of the formats that are read",
    ),
    "a name without quotes": (
        "select user_id from orders.csv",
        "the query reads 'orders.csv', a file's name that is not in quotes. Write 'orders.csv'.",
    ),
    "a missing text": (
        "select content as user_id from read_text('ordres.csv')",
        "the query reads 'ordres.csv', which does not exist in shop. Did you mean 'orders.csv'?",
    ),
}


@pytest.mark.parametrize(("query", "words"), MISSING.values(), ids=MISSING.keys())
def test_a_query_on_what_is_not_there_says_so(query: str, words: str, shop: Project) -> None:
    shop.configure(sources={"shop": {"files": "shop"}}, audiences=[{"name": "VIP", "source": "shop", "query": query}])
    ended = shop.sync()
    assert ended.code == 3
    assert words in ended.json["audiences"][0]["error"]
    assert shop.messages() == []


@pytest.mark.parametrize("place", ["../outside.csv", "{folder}/outside.csv"])
def test_a_file_that_lies_outside_of_the_folder_is_a_matter_of_access(place: str, shop: Project) -> None:
    shop.write("outside.csv", b"user_id\nada\n")
    query = f"select user_id from '{place.format(folder=Path(shop.folder))}'"
    shop.configure(sources={"shop": {"files": "shop"}}, audiences=[{"name": "VIP", "source": "shop", "query": query}])
    assert "a query may only read the files of its source" in shop.sync().json["audiences"][0]["error"]


def test_the_folder_that_people_are_in_is_named_whole(shop: Project) -> None:
    shop.configure(audiences=[{"name": "VIP", "source": "shop", "query": "select user_id from 'vpi.csv'"}])
    error = shop.sync().json["audiences"][0]["error"]
    assert f"which does not exist in {shop.folder}. Did you mean 'vip.csv'?" in error


def test_a_name_that_is_too_long_for_a_file_fails_its_entry_alone(shop: Project) -> None:
    name = "x" * 300
    shop.configure(
        audiences=[
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
            {"name": "A text", "source": "shop", "query": f"select user_id from 'vip.csv' where user_id <> '{name}/'"},
            {"name": "A file", "source": "shop", "file": f"{name}.csv"},
            {"name": "A query", "source": "shop", "query": f"select user_id from '{name}.csv'"},
            {"name": "A glob", "source": "shop", "file": f"{name}*/a.csv"},
        ],
        destinations={"log": {"type": "file", "path": "calls.jsonl"}},
    )
    result = shop.sync()
    assert result.code == 3
    assert [each["status"] for each in result.json["audiences"]] == ["created", "created", "failed", "failed", "failed"]
    assert f"the query reads '{name}.csv', which does not exist in" in result.audience("a_query")["error"]
    assert shop.sent() == [(user, {"vip": True, "a_text": True}) for user in ("ada", "bob", "cyd")]


def test_a_missing_file_with_a_line_end_in_its_name_is_named(shop: Project) -> None:
    query = "select user_id from 'ord\nres.csv'"
    shop.configure(sources={"shop": {"files": "shop"}}, audiences=[{"name": "VIP", "source": "shop", "query": query}])
    error = shop.sync().json["audiences"][0]["error"]
    assert "the query reads 'ord\\nres.csv', which does not exist in shop. Did you mean 'orders.csv'?" in error
