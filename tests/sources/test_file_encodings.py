"""A text file is read in the encoding that the config names: any that Python knows; what it can't be is an error."""

import gzip

import pytest

from audience_sync.errors import SourceError

from .conftest import Read, Write

WRITTEN = {
    "cp1252": b"user_id,plan\nada,10 \x80 \x93Gold\x94\n",
    "windows-1252": b"user_id,plan\nada,10 \x80 \x93Gold\x94\n",
    "latin-1": b"user_id,plan\nada,10 \x80 \x93Gold\x94\n",
    "ISO-8859-1": b"user_id,plan\nada,10 \x80 \x93Gold\x94\n",
    "l1": b"user_id,plan\nada,10 \x80 \x93Gold\x94\n",
    "ascii": b"user_id,plan\nada,10 \x80 \x93Gold\x94\n",
    "us-ascii": b"user_id,plan\nada,10 \x80 \x93Gold\x94\n",
    "mac-roman": b"user_id,plan\nada,10 \xdb \xd2Gold\xd3\n",
    "gb18030": b"user_id,plan\nada,10 \xa2\xe3 \xa1\xb0Gold\xa1\xb1\n",
    "utf_8": "user_id,plan\nada,10 € “Gold”\n".encode(),
    "utf-8-sig": b"\xef\xbb\xbfuser_id,plan\nada,10 \xe2\x82\xac \xe2\x80\x9cGold\xe2\x80\x9d\n",
    "utf-16": "user_id,plan\nada,10 € “Gold”\n".encode("utf-16"),
    "utf-16-le": "user_id,plan\nada,10 € “Gold”\n".encode("utf-16-le"),
    "UTF-16BE": "user_id,plan\nada,10 € “Gold”\n".encode("utf-16-be"),
    "utf-32": "user_id,plan\nada,10 € “Gold”\n".encode("utf-32"),
    "utf-7": b"user_id,plan\nada,10 +IKw +IBw-Gold+IB0\n",
}


@pytest.mark.parametrize(("encoding", "content"), WRITTEN.items(), ids=WRITTEN.keys())
def test_the_euro_sign_and_curly_quotes_are_read_in_every_encoding_that_has_them(
    encoding: str, content: bytes, write: Write, read: Read
) -> None:
    write("a.csv", content)
    assert read(file="a.csv", encoding=encoding, traits={"plan": "plan"}).rows == [("ada", '"10 € “Gold”"')]


NAMES = {
    "cp1250": (b"user_id\n\xa3ukasz\n", "Łukasz"),
    "cp1251": (b"user_id\n\xc0\xed\xed\xe0\n", "Анна"),
    "koi8-r": (b"user_id\n\xe1\xce\xce\xc1\n", "Анна"),
    "iso-8859-2": (b"user_id\n\xa3ukasz\n", "Łukasz"),
    "shift_jis": (b"user_id\n\x93c\x92\x86\n", "田中"),
    "euc-jp": (b"user_id\n\xc5\xc4\xc3\xe6\n", "田中"),
    "iso2022_jp": (b"user_id\n\x1b$BEDCf\x1b(B\n", "田中"),
    "big5": (b"user_id\n\xa4\xfd\n", "王"),
    "euc_kr": (b"user_id\n\xb1\xe8\n", "김"),
    "cp037": (b"\xa4\xa2\x85\x99m\x89\x84%\xe9\x96S%", "Zoë"),
    "cp500": (b"\xa4\xa2\x85\x99m\x89\x84\x15\xe9\x96S\x15", "Zoë"),
    "cp1140": (b"\xa4\xa2\x85\x99m\x89\x84\r\x15\xe9\x96S\r\x15", "Zoë"),
    "cp850": (b"user_id\nZo\x89\n", "Zoë"),
}


@pytest.mark.parametrize(("encoding", "content", "name"), [(key, *NAMES[key]) for key in NAMES], ids=NAMES.keys())
def test_names_of_many_languages_are_read(encoding: str, content: bytes, name: str, write: Write, read: Read) -> None:
    write("a.csv", content)
    assert read(file="a.csv", encoding=encoding).ids == [name]


def test_the_encoding_holds_for_packed_files_tables_with_tabs_and_json_lines(write: Write, read: Read) -> None:
    write("a.csv.gz", gzip.compress(b"user_id,plan\nada,10 \x80\n"))
    write("a.tsv", b"user_id\tplan\nada\t10 \x80\n")
    write("a.jsonl", b'{"user_id": "ada", "plan": "10 \x80"}\n')
    assert read(file="a.csv.gz", encoding="cp1252", traits={"plan": "plan"}).rows == [("ada", '"10 €"')]
    assert read(file="a.tsv", encoding="cp1252", traits={"plan": "plan"}).rows == [("ada", '"10 €"')]
    assert read(file="a.jsonl", encoding="cp1252", traits={"plan": "plan"}).rows == [("ada", '"10 €"')]


def test_the_encoding_holds_for_the_files_of_a_query(write: Write, read: Read) -> None:
    write("a.csv", b"user_id,plan\nada,10 \x80\n")
    snapshot = read(query="select * from 'a.csv'", encoding="latin-1", traits={"plan": "plan"})
    assert snapshot.rows == [("ada", '"10 €"')]


def test_a_byte_order_mark_is_no_part_of_the_first_column(write: Write, read: Read) -> None:
    write("le.csv", b"\xff\xfe" + "user_id\nZoë\n".encode("utf-16-le"))
    write("be.csv", b"\xfe\xff" + "user_id\nZoë\n".encode("utf-16-be"))
    assert read(file="le.csv", encoding="utf-16-le").ids == ["Zoë"]
    assert read(file="be.csv", encoding="utf-16-be").ids == ["Zoë"]


def test_a_character_across_two_chunks_of_a_large_file_is_read(write: Write, read: Read) -> None:
    # 8 + 524,283 * 2 bytes, and z: the second half of the character is the first byte of the second mebibyte.
    write("a.csv", b"user_id\n" + b"a\n" * 524_283 + b"z\x93c\n")
    assert read(file="a.csv", encoding="shift_jis").ids[-1] == "z田"


REFUSED = {
    "a byte that Windows-1252 hasn't": (
        "latin-1",
        b"user_id\nada\nbo\x81b\n",
        "a.csv, line 3: this is not CP1252: byte 0x81 at offset 14 is not a character of it",
    ),
    "half a character of Shift JIS": (
        "shift_jis",
        b"user_id\nada\nbob\x93\n",
        "a.csv, line 3: this is not SHIFT_JIS: byte 0x93 at offset 15 is not a character of it",
    ),
    "a byte that UTF-8 hasn't": (
        "utf-8",
        b"user_id\nZo\xeb\n",
        "a.csv, line 2: this is not UTF-8: byte 0xEB at offset 10 is not a character of it",
    ),
    "half a character at the end of UTF-16": (
        "utf-16-le",
        "user_id\nada\n".encode("utf-16-le") + b"x",
        "a.csv, line 3: this is not UTF-16-LE: byte 0x78 at offset 24 is not a character of it",
    ),
    "UTF-8 that is said to be Windows-1251": (
        "cp1251",
        b"\xef\xbb\xbfuser_id\nada\n",
        "a.csv is UTF-8, not CP1251: it begins with the mark of UTF-8",
    ),
    "UTF-16 that is said to be Windows-1252": (
        "cp1252",
        b"\xff\xfeu\0",
        "a.csv is UTF-16, not CP1252. Set `encoding: utf-16` in the config",
    ),
    "UTF-16 without its mark": ("utf-16", b"u\0s\0", "`encoding: utf-16-le` or `-be`"),
    "no encoding": ("klingon", b"user_id\nada\n", "there is no encoding `klingon`"),
    "no encoding of text": ("rot13", b"user_id\nada\n", "`rot13` is not an encoding of text files"),
}


@pytest.mark.parametrize(("encoding", "content", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_that_is_not_in_its_encoding_is_an_error_with_its_place(
    encoding: str, content: bytes, words: str, write: Write, read: Read
) -> None:
    write("a.csv", content)
    with pytest.raises(SourceError) as caught:
        read(file="a.csv", encoding=encoding)
    assert words in str(caught.value)


def test_the_line_and_the_byte_are_right_far_into_a_large_file(write: Write, read: Read) -> None:
    write("a.csv", b"user_id\n" + b"0123456789\n" * 300_000 + b"Zo\x81\n")
    with pytest.raises(SourceError, match=r"a\.csv, line 300002: this is not CP1252: byte 0x81 at offset 3,300,010 "):
        read(file="a.csv", encoding="cp1252")


def test_the_line_of_utf_16_is_right_far_into_a_large_file(write: Write, read: Read) -> None:
    write("a.csv", ("user_id\n" + "Zo\u010a\u0a0a\n" * 300_000).encode("utf-16-le") + b"\x00\xdc\n\0")
    with pytest.raises(
        SourceError, match=r"a\.csv, line 300002: this is not UTF-16-LE: byte 0x00 at offset 3,000,016 "
    ):
        read(file="a.csv", encoding="utf-16-le")


def test_what_to_write_instead_is_no_encoding_that_failed_already(write: Write, read: Read) -> None:
    write("a.csv", b"user_id\nbo\x81b\n")
    with pytest.raises(SourceError) as caught:
        read(file="a.csv", encoding="cp1252")
    assert "`encoding: cp1252`" not in str(caught.value)
    assert "`encoding: cp932` in Japan" in str(caught.value)
    assert "`file --mime-encoding a.csv` guesses it" in str(caught.value)


ONLY_A_MARK = {
    "UTF-8": ("a.csv", "utf-8", b"\xef\xbb\xbf"),
    "packed": ("a.csv.gz", "utf-8", gzip.compress(b"\xef\xbb\xbf")),
    "UTF-16": ("a.csv", "utf-16", b"\xff\xfe"),
    "JSON lines": ("a.jsonl", "utf-8", b"\xef\xbb\xbf"),
}


@pytest.mark.parametrize(("name", "encoding", "content"), ONLY_A_MARK.values(), ids=ONLY_A_MARK.keys())
def test_a_file_with_a_byte_order_mark_alone_is_an_empty_one(
    name: str, encoding: str, content: bytes, write: Write, read: Read
) -> None:
    write(name, content)
    with pytest.raises(SourceError, match="has a byte order mark and no text, so the members are unknown"):
        read(file=name, encoding=encoding)
    with pytest.raises(SourceError, match="has a byte order mark and no text, so the members are unknown"):
        read(query=f"select user_id from '{name}'", encoding=encoding)
