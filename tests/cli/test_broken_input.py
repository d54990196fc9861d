"""An audience whose snapshot can't be read fails alone; its error names the place and the remedy."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from .conftest import Call, Project, Result

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
NUMBERS = gzip.compress(b"user_id\n" + b"\n".join(b"%d" % number for number in range(20_000)))

#: Key -> file, what is wrong with it (None: it isn't there), and words that its audience's error has.
BROKEN = {
    "missing_file": ("a.csv", None, ["no file 'a.csv'", "vip.csv", "Correct the name"]),
    "missing_column": ("b.csv", b"customer\nada\n", ["b.csv: there is no column 'user_id'", "customer", "Correct"]),
    "empty_file": ("c.csv", b"", ["c.csv", "empty"]),
    "truncated_gzip": ("d.csv.gz", NUMBERS[:-2000], ["d.csv.gz", "cut off"]),
    "bad_parquet": ("e.parquet", b"PAR1 and no footer", ["e.parquet is not a complete Parquet file", "Write it again"]),
    "wrong_encoding": ("f.csv", b"user_id\nad\xe9\n", ["f.csv", "not UTF-8", "`encoding: cp1252`"]),
    "two_columns_of_one_name": (
        "g.csv",
        b"user_id,user_id\na,b\n",
        ["g.csv, line 1: the column 'user_id' appears twice", "Give each"],
    ),
    "long_row": ("h.csv", b"user_id,age\nada,36\nbob,40,x\n", ["h.csv, line 3: 3 values", "2 columns"]),
    "short_row": ("i.csv", b"user_id,age\nada,36\nbob\n", ["i.csv, line 3: 1 value where", "2 columns"]),
    "bad_json": ("j.jsonl", b'{"user_id": "ada"}\n{"user_id": \n', ["j.jsonl, line 2", "not JSON"]),
}
QUERIES = {
    "unknown_column": ("shop", "select usr_id from 'vip.csv'", ["usr_id", "user_id"]),
    "unknown_file": ("shop", "select user_id from 'vap.csv'", ["vap.csv", "vip.csv"]),
    "no_sql": ("shop", "selct user_id from 'vip.csv'", ["selct"]),
    "unknown_table": ("warehouse", "select user_id from nowhere", ["nowhere"]),
}


@dataclass(frozen=True)
class Story:
    """Three runs: everything broken, everything put right, nothing changed."""

    broken: Result
    sent_while_broken: list[Call]
    right: Result
    sent_when_right: list[Call]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    project = Project(tmp_path_factory.mktemp("broken"))
    project.write_members("vip.csv", "ada")
    for file, content, _ in BROKEN.values():
        if content is not None:
            project.write(file, content)
    files = [{"name": key, "source": "shop", "file": file} for key, (file, _, _) in BROKEN.items()]
    queries = [{"name": key, "source": source, "query": query} for key, (source, query, _) in QUERIES.items()]
    sources = {"shop": {"files": "."}, "warehouse": {"database": "sqlite:///warehouse.db"}}
    project.write("warehouse.db", b"")
    project.configure(sources=sources, audiences=[*files, *queries, VIP])
    broken, sent = project.sync(), project.sent()
    for file, _, _ in BROKEN.values():
        put_right(project.folder / file)
    project.configure(sources=sources, audiences=[*files, VIP])
    return Story(broken, sent, project.sync(), project.sent())


def put_right(path: Path) -> None:
    """One user, eve, in whichever format."""
    path.unlink(missing_ok=True)
    if path.suffix == ".parquet":
        duckdb.sql(f"copy (select 'eve' as user_id) to '{path}' (format parquet)")
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(b"user_id\neve\n"))
    else:
        path.write_text('{"user_id": "eve"}\n' if path.suffix == ".jsonl" else "user_id\neve\n", "utf-8")


@pytest.mark.parametrize(
    ("key", "words"),
    [(key, words) for key, (*_, words) in [*BROKEN.items(), *QUERIES.items()]],
    ids=[*BROKEN, *QUERIES],
)
def test_an_audience_whose_snapshot_is_broken_fails_and_names_place_and_remedy(
    story: Story, key: str, words: list[str]
) -> None:
    failed = story.broken.audience(key)
    assert (failed["status"], failed["members"]) == ("failed", 0)
    assert "\n" not in failed["error"].strip()
    for each in words:
        assert each in failed["error"]


def test_the_run_has_failed_but_the_other_audiences_went_on(story: Story) -> None:
    assert (story.broken.code, story.broken.json["status"]) == (3, "failed")
    assert story.broken.audience("vip")["status"] == "created"
    assert story.sent_while_broken == [("ada", {"vip": True})]


def test_what_was_put_right_is_taken_up_by_the_next_run(story: Story) -> None:
    assert story.right.code == 0
    assert {each["status"] for each in story.right.json["audiences"]} == {"created", "unchanged"}
    assert story.sent_when_right == [("eve", dict.fromkeys(BROKEN, True))]


def test_nothing_is_changed_of_what_was_there(vip: Project) -> None:
    traits = {"source": "shop", "file": "traits.csv", "traits": ["plan", "age"]}
    vip.configure(audiences=[VIP, {**VIP, "name": "Test"}], computed_traits=[traits])
    vip.write("traits.csv", "user_id,plan,age\nada,pro,36\n")
    vip.sync()
    vip.sent()

    vip.write("vip.csv", "user_id,age\nada,1\ndan\n")
    vip.write("traits.csv", "user_id,plan\nada,free\n")
    failed = vip.run("sync")
    assert failed.code == 3
    assert "\nFailed: 2 audiences\n  Reason     vip.csv, line 3" in failed.stdout
    assert "\n  Audiences  vip, test\n" in failed.stdout
    assert "\nFailed: computed traits\n  Reason  computed_traits[0]: traits.csv" in failed.stdout
    assert vip.sent() == []
    assert vip.query("select distinct run, status, members_before, members_after from audience_syncs") == [
        (1, "created", 0, 3),
        (2, "failed", 3, 3),
    ]
    shown = vip.run("history", "vip", "--json").json["runs"]
    assert [(run["run"], run["status"], run["members_after"]) for run in shown] == [(2, "failed", 3), (1, "created", 3)]


def test_rows_without_a_usable_user_id_are_counted_and_kept_with_file_row_and_reason(vip: Project) -> None:
    vip.write("vip.csv", 'user_id,age\nada,1\n"",2\nbob,3\n"  ",4\nada,5\n')
    result = vip.sync()
    assert (result.code, result.audience("vip")["members"], result.audience("vip")["invalid"]) == (0, 2, 2)
    shown = vip.run("show", "1", "--json").json["invalid_rows"]
    assert [(row["audience_key"], row["file"], row["row"], row["reason"]) for row in shown] == [
        ("vip", "vip.csv", 2, "empty user id"),
        ("vip", "vip.csv", 4, "empty user id"),
    ]


def test_invalid_values_are_listed_by_row_and_then_by_column(tmp_path: Path) -> None:
    """DuckDB finds them column by column, in any order: two runs of the same file report the same rows."""
    project = Project(tmp_path)
    half = r"\ud800"  # no text of a user can have it
    lines = [f'{{"user_id": "u{row}", "z": "{half}", "a": "{half}"}}' for row in range(3)]
    project.write("traits.jsonl", "\n".join(lines))
    project.configure(computed_traits=[{"source": "shop", "file": "traits.jsonl", "traits": ["z", "a"]}])

    assert project.run("sync").code == 0
    listed = project.run("show", "1", "--json").json["invalid_rows"]

    found = [(each["row"], each["reason"].split("'")[1]) for each in listed]
    assert found == [(1, "a"), (1, "z"), (2, "a"), (2, "z"), (3, "a"), (3, "z")]
