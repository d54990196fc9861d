"""What becomes of an audience whose snapshot can't be read? It fails alone, and says where and what to do."""

from __future__ import annotations

import gzip
import io

import pytest

from .conftest import Project

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
GZIP = gzip.compress(b"user_id\n" + b"\n".join(b"%d" % number for number in range(20_000)))


def good(suffix: str) -> bytes:
    """Ada and bob, in the format of a suffix."""
    if suffix.endswith(".gz"):
        return gzip.compress(b"user_id\nada\nbob\n")
    if suffix.endswith(".parquet"):
        import pandas

        buffer = io.BytesIO()
        pandas.DataFrame({"user_id": ["ada", "bob"]}).to_parquet(buffer)
        return buffer.getvalue()
    return b"user_id,age\nada,36\nbob,40\n"


BROKEN = [
    pytest.param("new.csv", None, ["no file 'new.csv'", "Data files there: vip.csv"], id="missing file"),
    pytest.param("new.csv", b"customer\nada\n", ["new.csv", "'user_id'", "customer"], id="missing column"),
    pytest.param("new.csv", b"", ["new.csv", "empty"], id="empty file"),
    pytest.param("new.csv.gz", GZIP[:-2000], ["new.csv.gz", "cut off"], id="truncated gzip"),
    pytest.param("new.parquet", b"PAR1 and no footer", ["new.parquet", "not a whole Parquet file"], id="bad Parquet"),
    pytest.param("new.csv", b"user_id\nad\xe9\n", ["new.csv", "not UTF-8", "encoding: latin-1"], id="wrong encoding"),
    pytest.param("new.csv", b"user_id,user_id\nada,bob\n", ["new.csv", "user_id", "twice"], id="two columns of one name"),
    pytest.param(
        "new.csv",
        b"user_id,age\nada,36\nbob,40,x\n",
        ["new.csv, line 3", "3 values where the header has 2"],
        id="ragged row",
    ),
    pytest.param("new.csv", b"user_id,age\nada\nbob,40\n", ["new.csv, line 2"], id="short row"),
]


@pytest.mark.parametrize(("name", "content", "words"), BROKEN)
def test_a_broken_file_fails_its_audience_alone_and_is_taken_up_once_it_is_right(
    vip: Project, name: str, content: bytes | None, words: list[str]
) -> None:
    vip.configure(audiences=[{"name": "New", "source": "shop", "file": name}, VIP])
    if content is not None:
        vip.write(name, content)
    failed = vip.sync()
    assert (failed.code, failed.json["status"]) == (3, "failed")
    assert (failed.audience("new")["status"], failed.audience("new")["members"]) == ("failed", 0)
    for each in words:
        assert each in failed.audience("new")["error"]
    assert failed.audience("vip")["status"] == "created"
    assert vip.sent() == [("ada", {"vip": True}), ("bob", {"vip": True}), ("cyd", {"vip": True})]

    vip.write(name, good(name))
    assert vip.sync().code == 0
    assert vip.sent() == [("ada", {"new": True}), ("bob", {"new": True})]


def test_a_broken_snapshot_changes_nothing_of_what_was_there(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.write("vip.csv", "user_id,age\nada,1\ndan\n")
    failed = vip.run("sync")
    assert failed.code == 3
    assert "failed: vip.csv, line 3" in failed.stdout
    assert vip.sent() == []
    assert vip.run("members", "vip").stdout.count("\n") == 3
    assert vip.query("select run, status, members_after from audience_syncs order by run") == [
        (1, "created", 3),
        (2, "failed", 3),
    ]


def test_sql_errors_fail_their_audiences_and_say_what_is_there(vip: Project) -> None:
    vip.configure(
        sources={"shop": {"files": "."}, "warehouse": {"database": "sqlite:///warehouse.db"}},
        audiences=[
            {"name": "Over Files", "source": "shop", "query": "select usr_id from 'vip.csv'"},
            {"name": "No File", "source": "shop", "query": "select user_id from 'vap.csv'"},
            {"name": "In Database", "source": "warehouse", "query": "select user_id from nowhere"},
            VIP,
        ],
    )
    vip.write("warehouse.db", b"")
    failed = vip.sync()
    assert failed.code == 3
    assert "usr_id" in failed.audience("over_files")["error"]
    assert "vap.csv" in failed.audience("no_file")["error"]
    assert "nowhere" in failed.audience("in_database")["error"]
    assert failed.audience("vip")["status"] == "created"
    assert [user for user, _ in vip.sent()] == ["ada", "bob", "cyd"]


def test_computed_traits_that_cannot_be_read_leave_their_values_as_they_are(vip: Project) -> None:
    vip.configure(
        audiences=[VIP], computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["plan", "age"]}]
    )
    vip.write("traits.csv", "user_id,plan,age\nada,pro,36\n")
    vip.sync()
    vip.sent()
    vip.write("traits.csv", "user_id,plan\nada,free\n")
    vip.write_members("vip.csv", "ada", "bob")
    failed = vip.sync()
    assert failed.code == 3
    assert failed.json["traits"]["errors"][0].startswith("computed_traits[0]: traits.csv")
    assert "'age'" in failed.json["traits"]["errors"][0]
    assert vip.sent() == [("cyd", {"vip": False})]


def test_rows_without_a_usable_user_id_are_counted_and_kept_with_file_row_and_reason(vip: Project) -> None:
    vip.write("vip.csv", "user_id\nada\n\"\"\nbob\n\"  \"\nada\n")
    result = vip.sync()
    assert (result.code, result.audience("vip")["members"], result.audience("vip")["invalid"]) == (0, 2, 2)
    shown = vip.run("show", "1", "--json").json["rejected_rows"]
    assert [(row["file"], row["row"], row["reason"]) for row in shown] == [
        ("vip.csv", 2, "empty user id"),
        ("vip.csv", 4, "empty user id"),
    ]
