"""Everything that is wrong is said at once, by its place, with what was probably meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from audience_sync.config.loader import load
from audience_sync.config.sections.base import DestinationOptions
from audience_sync.errors import ConfigError

from .conftest import Load, Problems

RIGHT = """
sources: {shop: {files: data}, warehouse: {database: "sqlite:///w.db"}}
"""
ONE = RIGHT + "audiences: [{name: VIP, source: shop, file: vip.csv}]\n"

MANY = """
store: audience_sync.db
sources:
  shop: {flies: data}
audiences:
  - name: Email
    source: shoop
    file: x.csv
    guard: {max_removd: 20%, max_added: lots}
  - name: VIP
    source: shop
    file: x.csv
    query: select 1
    destinations: [conect]
    initial: manuell
    schedule: {cron: "0 25 * * *", timezone: Europe/Berln}
computed_traits:
  - source: shop
    file: c.csv
    traits: [vip, {colum: a}]
destinations:
  connect: {type: zendesk_conect}
  log: {type: file, pth: x, timeout: 5, concurrency: many}
memory_limit: much
gard: {}
"""


def test_all_problems_come_at_once_in_the_order_of_the_file(problems: Problems) -> None:
    assert problems(MANY) == [
        "store: it must be a URL: `sqlite:///audience_sync.db`, or `postgresql://user@host/database`",
        "sources.shop: it needs `files`, `database` or `spark`",
        "sources.shop.flies: unknown option. Did you mean `files`?",
        "audiences[0].name: the key `email` is reserved. It would replace each user's e-mail address with "
        "true. Set another key, for example: key: email_audience",
        "audiences[0].source: unknown source `shoop`. Did you mean `shop`?",
        "audiences[0].guard.max_removd: unknown option. Did you mean `max_removed`?",
        "audiences[0].guard.max_added: write a share such as `30%`, or a whole number of users",
        "audiences[1]: it has both `file` and `query`: keep one, and remove the other or set it to null",
        "audiences[1].destinations[0]: unknown destination `conect`. Did you mean `connect`?",
        "audiences[1].initial: it must be 'all', 'none' or 'manual'; did you mean `manual`?",
        "audiences[1].schedule.cron: the hour must be from 0 to 23",
        "audiences[1].schedule.timezone: unknown time zone `Europe/Berln`. Did you mean `Europe/Berlin`?",
        "computed_traits[0].traits[0]: its key `vip` is already that of audiences[1]: give one of them another `key:`",
        "computed_traits[0].traits[1].column: it is missing: the column that has the values",
        "computed_traits[0].traits[1].colum: unknown option. Did you mean `column`?",
        "destinations.connect.type: unknown type of destination `zendesk_conect`. Did you mean `zendesk_connect`?",
        "destinations.log.path: it is missing: the file",
        "destinations.log.pth: unknown option. Did you mean `path`?",
        "destinations.log.timeout: a duration is a number and a unit: 500ms, 30s, 5m, 1.5h, 2d",
        "destinations.log.concurrency: it must be a whole number",
        "memory_limit: a size is a number and a unit: 768MB, 1GB, 512MiB",
        "gard: unknown option. Did you mean `guard`?",
    ]


@pytest.mark.parametrize(
    ("audience", "problem"),
    [
        pytest.param(
            "{name: A, source: shop}", "audiences[0]: it needs `file` or `query`", id="neither file nor query"
        ),
        pytest.param("{source: shop, file: a.csv}", "audiences[0]: it needs `name` or `names_from`", id="no name"),
        pytest.param(
            "{name: A, names_from: a, source: shop, file: a.csv}",
            "audiences[0]: it has both `name` and `names_from`: keep one, and remove the other or set it to null",
            id="two names",
        ),
        pytest.param(
            "{names_from: a, key: a, source: shop, file: a.csv}",
            "audiences[0].key: `names_from` creates many audiences, each with its own key: remove `key`",
            id="one key for many",
        ),
        pytest.param(
            "{name: A, source: warehouse, file: a.csv}",
            "audiences[0].file: `file` is for `files` sources, and `warehouse` is a database: give a `query`",
            id="a file of a database",
        ),
        pytest.param(
            "{name: A, source: shop, file: a.csv, probe: select 1}",
            "audiences[0].probe: remove it. Changed files of `shop` are detected automatically; "
            "`probe` is for databases and Spark.",
            id="a probe of files",
        ),
        pytest.param(
            "{name: A, source: warehouse, query: select 1, partitions: hive}",
            "audiences[0].partitions: `partitions` is for `files` sources, and `warehouse` is a database: remove it",
            id="partitions of a database",
        ),
        pytest.param(
            "{name: A, source: shop, file: a.csv, expect: {max_age: 1h, modified: select 1}}",
            "audiences[0].expect.modified: remove it. When the files of `shop` were written is detected automatically; "
            "`modified` is for databases and Spark.",
            id="a query for the time of files",
        ),
        pytest.param(
            "{name: A, source: warehouse, query: select 1, expect: {marker: _SUCCESS}}",
            "audiences[0].expect.marker: `marker` is for `files` sources, and `warehouse` is a database",
            id="a marker of a database",
        ),
        pytest.param(
            "{name: A, source: warehouse, query: select 1, expect: {max_age: 1h}}",
            "audiences[0].expect: `max_age` needs `modified` here: a query for the time of the newest change",
            id="the age of a database",
        ),
        pytest.param(
            "{name: A, source: shop, file: a.csv, expect: {rows: 0}}",
            "audiences[0].expect.rows: it must be at least 1",
            id="no rows expected",
        ),
        pytest.param(
            "{name: A, source: shop, file: a.csv, expect: {columns: other}}",
            "audiences[0].expect.columns: it must be 'same'",
            id="other columns expected",
        ),
        pytest.param(
            "{name: '!!!', source: shop, file: a.csv}",
            "audiences[0].name: no key can be derived from '!!!' (no letters or digits). Set `key:` (a-z, 0-9 and _).",
            id="a name without a key",
        ),
        pytest.param(
            "{name: A, key: Big Ones, source: shop, file: a.csv}",
            "audiences[0].key: a key has only a-z, 0-9 and _; did you mean `big_ones`?",
            id="a wrong key",
        ),
        pytest.param(
            "{name: 7, source: shop, file: a.csv}",
            "audiences[0].name: it must be text: put it in quotes",
            id="a number for a name",
        ),
        pytest.param("{name: A, source: shop, file: ''}", "audiences[0].file: it is empty", id="an empty text"),
        pytest.param("VIP", "audiences[0]: it must be a mapping: `name: value` lines", id="no mapping"),
        pytest.param(
            "{name: A, source: shop, file: a, encoding: cp-1522}",
            "audiences[0].encoding: there is no encoding `cp-1522`; did you mean `cp1252`?",
            id="an unknown encoding",
        ),
        pytest.param(
            "{name: A, source: shop, file: a, encoding: shift_jsi}",
            "audiences[0].encoding: there is no encoding `shift_jsi`; did you mean `shift-jis`?",
            id="an encoding with two letters exchanged",
        ),
        pytest.param(
            "{name: A, source: shop, file: a, encoding: klingon}",
            "audiences[0].encoding: there is no encoding `klingon`: name one such as `utf-8`, `cp1252` or `shift_jis`",
            id="an encoding like no other",
        ),
        *(
            pytest.param(
                f"{{name: A, source: shop, file: a, encoding: {name}}}",
                f"audiences[0].encoding: there is no encoding `{name}`; did you mean `{usual}`?",
                id=f"people call it {name}",
            )
            for name, usual in (("ansi", "cp1252"), ("ANSI", "cp1252"), ("EBCDIC", "cp037"), ("Unicode", "utf-16"))
        ),
        pytest.param(
            '{name: "V\\0IP", source: shop, file: a}',
            "audiences[0].name: it contains a NUL character, which no store can keep: remove it",
            id="a NUL character",
        ),
        *(
            pytest.param(
                f"{{name: A, source: shop, file: a, encoding: {name}}}",
                f"audiences[0].encoding: `{name}` is not an encoding of text files. "
                "Name one such as `utf-8` or `cp1252`",
                id=f"{name} is no encoding of text",
            )
            for name in ("base64", "rot13", "zlib", "idna", "punycode", "unicode_escape", "undefined", "hex")
        ),
        pytest.param(
            "{name: A, source: shop, file: a, encoding: [utf-8]}",
            "audiences[0].encoding: it must be text: put it in quotes",
            id="a list of encodings",
        ),
        pytest.param(
            "{name: A, source: shop, file: a, schedule: {timezone: UTC}}",
            "audiences[0].schedule: it needs `cron` or `every`",
            id="a schedule without a time",
        ),
        pytest.param(
            "{name: A, source: shop, file: a, guard: {at_least: -1}}",
            "audiences[0].guard.at_least: it must be at least 0",
            id="a negative count",
        ),
    ],
)
def test_what_is_wrong_with_an_audience(problems: Problems, audience: str, problem: str) -> None:
    assert problems(f"{RIGHT}audiences: [{audience}]\n") == [problem]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        pytest.param(
            "store: mysql://h/d",
            "store: the store is SQLite (`sqlite:///...`) or PostgreSQL (`postgresql://...`)",
            id="another database",
        ),
        pytest.param(
            "store: sqlite://",
            "store: a database in memory loses what was sent. Name a file: `sqlite:///audience_sync.db`",
            id="a store in memory",
        ),
        pytest.param(
            "store: sqlite:///what?.db",
            "store: a `?` in it begins options, `?timeout=30`; in a file's name write `%3F` instead",
            id="a store whose file's name has a question mark",
        ),
        pytest.param("guard: yes", "guard: it must be a mapping: `name: value` lines", id="no mapping"),
        pytest.param("members_table: maybe", "members_table: it must be true or false", id="no truth"),
        *(
            pytest.param(
                f"trait_values_table: {value}",
                "trait_values_table: write true, false, or a whole number of values (users times traits)",
                id=f"no size of a table: {value}",
            )
            for value in ("-1", "1.5", "many", "[]")
        ),
        pytest.param(
            "destinations: {a: {path: x}}",
            "destinations.a.type: it is missing; one of file, segment, zendesk_connect",
            id="a destination without a type",
        ),
        pytest.param(
            "destinations: {a: calls.jsonl}",
            "destinations.a: it must be a mapping: `name: value` lines",
            id="a destination that is a text",
        ),
        pytest.param(
            "schedule: {cron: '* * * * *', every: 5m}",
            "schedule: it has both `cron` and `every`: keep one, and remove the other or set it to null",
            id="two schedules",
        ),
        pytest.param(
            "schedule: {cron: '* * * * *', timezone: ../etc}",
            "schedule.timezone: unknown time zone `../etc`",
            id="a path for a time zone",
        ),
        pytest.param(
            "computed_traits: [{source: shop, file: a.csv, traits: []}]",
            "computed_traits[0].traits: it is empty",
            id="no traits",
        ),
        pytest.param(
            "computed_traits: [{source: shop, traits: [a]}]",
            "computed_traits[0]: it needs `file` or `query`",
            id="traits from nowhere",
        ),
        pytest.param(
            "computed_traits: [{source: shop, file: a.csv, traits: [user_id]}]",
            "computed_traits[0].traits[0]: the key `user_id` is reserved. Destinations read it as the id of the user "
            "or of the audience. Set another key, for example: key: my_user_id",
            id="a trait that is an id",
        ),
        pytest.param(
            "computed_traits: [{source: shop, file: a.csv, traits: [a]}, {source: shop, file: b.csv, traits: [A]}]",
            "computed_traits[1].traits[0]: its key `a` is already that of computed_traits[0].traits[0]: "
            "give one of them another `key:`",
            id="one trait from two entries",
        ),
        pytest.param(
            "computed_traits: [{source: shop, file: a.csv, traits: [first_name, firstName]}]",
            "computed_traits[0].traits[1]: its key `firstName` is already that of "
            "computed_traits[0].traits[0]: give one of them another `key:`",
            id="one standard trait in two spellings",
        ),
    ],
)
def test_what_is_wrong_with_a_part(problems: Problems, more: str, problem: str) -> None:
    assert problems(f"{ONE}{more}\n") == [problem]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("spark: localhost", ".spark: it must be the URL of a Spark Connect server: `sc://spark.internal:15002`"),
        (
            "spark: 'sc://spark/path'",
            ".spark: it must be the URL of a Spark Connect server: `sc://spark.internal:15002`",
        ),
        (
            "spark: 'sc://spark', database: 'postgresql://host/db'",
            ": it has both `database` and `spark`: keep one, and remove the other or set it to null",
        ),
        (
            "spark: 'sc://spark', compare: in_warehouse",
            ".compare: `compare` is for `database` sources, and `lake` is on Spark: remove it. "
            "It compares in Spark if it has `state`",
        ),
        (
            "spark: 'sc://spark', schema: audience_sync",
            ".schema: `schema` is for `database` sources, and `lake` is on Spark: remove it. "
            "Its `state` can be a schema",
        ),
        (
            "spark: 'sc://spark', partitions: hive",
            ".partitions: `partitions` is for `files` sources, and `lake` is on Spark: remove it",
        ),
        (
            "database: 'postgresql://host/db', state: 's3://bucket/state'",
            ".state: `state` is for `spark` sources, and `lake` is a database: remove it. "
            "It compares itself with `compare: in_warehouse`",
        ),
        (
            "files: ., state: 's3://bucket/state'",
            ".state: `state` is for `spark` sources, and `lake` has files: remove it",
        ),
        (
            "files: ., compare: in_warehouse",
            ".compare: `compare` is for `database` sources, and `lake` has files: remove it",
        ),
    ],
)
def test_what_is_wrong_with_a_source(problems: Problems, options: str, problem: str) -> None:
    entries = "audiences: [{name: A, source: lake, query: select 1}]\n"
    assert problems(f"sources: {{lake: {{{options}}}}}\n{entries}") == [f"sources.lake{problem}"]


@pytest.mark.parametrize("option", ["file: a.csv", "expect: {marker: _SUCCESS}", "expect: {max_age: 1h}"])
def test_what_spark_does_not_have_is_refused(problems: Problems, option: str) -> None:
    rows = option if option.startswith("file") else f"query: select 1, {option}"
    [problem] = problems(
        f"sources: {{lake: {{spark: 'sc://spark'}}}}\naudiences: [{{name: A, source: lake, {rows}}}]\n"
    )
    assert "`lake` is on Spark" in problem or "needs `modified` here" in problem


def test_what_a_source_that_compares_can_not_do_is_refused_with_its_option(problems: Problems) -> None:
    lake = "{spark: 'sc://spark', state: main.audience_sync}"
    audience = "{name: A, source: lake, query: select 1, ids: [user_id, email]}"
    [problem] = problems(f"sources: {{lake: {lake}}}\naudiences: [{audience}]\n")
    assert problem.endswith(
        "Remove it, or remove `state` from source 'lake': then every row is fetched and compared here"
    )


def test_two_audiences_may_not_have_one_key(problems: Problems) -> None:
    text = RIGHT + (
        "audiences:\n"
        "  - {name: High-Value Customers, source: shop, file: a.csv}\n"
        "  - {name: high value customers, source: shop, file: b.csv}\n"
    )
    assert problems(text) == [
        "audiences[1].name: its key `high_value_customers` is already that of audiences[0]: give one of them "
        "another `key:`"
    ]


def test_a_column_gives_audiences_once_per_source(problems: Problems) -> None:
    text = RIGHT + (
        "audiences:\n"
        "  - {names_from: audience, source: shop, file: a.csv}\n"
        "  - {names_from: audience, source: shop, file: b.csv}\n"
        "  - {names_from: audience, source: warehouse, query: select 1}\n"
    )
    assert problems(text) == [
        "audiences[1].names_from: audiences[0] already reads this column of this source: make one query of both"
    ]


def test_a_profile_field_of_a_configured_destination_is_no_audience(problems: Problems) -> None:
    text = (
        "sources: {shop: {files: data}}\n"
        "destinations: {connect: {type: zendesk_connect, private_key: key}}\n"
        "audiences: [{name: Device Token, source: shop, file: a.csv}]\n"
    )
    assert problems(text) == [
        "audiences[0].name: the key `device_token` is reserved. It would replace each user's profile field "
        "`device_token` with true. Set another key, for example: key: device_token_audience"
    ]


def test_nothing_to_sync_is_a_problem(problems: Problems) -> None:
    nothing = "there is nothing to sync: give at least one entry in `audiences` or `computed_traits`"
    assert problems(RIGHT) == [f"audiences: {nothing}"]
    assert problems("") == [f"audiences: {nothing}"]


def test_a_missing_file_names_the_command_that_writes_one(
    tmp_path: Path, destination_types: Mapping[str, type[DestinationOptions]]
) -> None:
    path = tmp_path / "config.yaml"
    with pytest.raises(ConfigError) as error:
        load(path, environment=None, variables={}, destination_types=destination_types)
    assert str(error.value) == (
        f"{path}: the file does not exist. Create an example project: audience-sync init my-project; "
        "or name it: --config FILE"
    )


def test_a_folder_is_no_config(tmp_path: Path, destination_types: Mapping[str, type[DestinationOptions]]) -> None:
    with pytest.raises(ConfigError, match="it can't be read: Is a directory"):
        load(tmp_path, environment=None, variables={}, destination_types=destination_types)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "store: a: b",
            "line 1, column 9: this is not YAML: mapping values are not allowed here",
            id="a colon in a value",
        ),
        pytest.param(
            "store: a\n\tguard: 1",
            "line 2, column 1: this is not YAML: found character '\\t' that cannot start any token while "
            "scanning for the next token",
            id="a tab",
        ),
        pytest.param(
            "guard: {max_added: ${MAX}}",
            "line 1, column 21: this is not YAML: expected ',' or '}', but got '{' while parsing a flow "
            "mapping; a variable in braces needs quotes",
            id="a variable in braces",
        ),
        pytest.param(
            "store: !!python/object:os.system x",
            "line 1, column 8: this is not YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object:os.system'",
            id="a Python object",
        ),
        pytest.param(
            "a: 1\n---\nb: 2",
            "line 2, column 1: this is not YAML: but found another document expected a single document in the stream",
            id="two documents",
        ),
        pytest.param("a: &a [*a]", "line 1, column 4: the alias contains itself", id="an endless alias"),
        pytest.param("? [a]\n: b", "line 1, column 3: a name must be text", id="a list for a name"),
        pytest.param("- a", "the config must be a mapping: `store: ...`, `sources: ...` and so on", id="a list"),
        pytest.param("a" * 3 + "\x07", "character 4 can't be read", id="a control character"),
    ],
)
def test_text_that_is_no_config_says_where_and_why(problems: Problems, text: str, problem: str) -> None:
    (found,) = problems(text)
    assert found.startswith(problem)


def test_a_name_that_is_there_twice_is_found_with_its_lines(problems: Problems) -> None:
    text = ONE + "guard:\n  at_least: 1\n  at_least: 2\n"
    assert problems(text) == ["guard.at_least: it appears twice, on lines 5 and 6: keep one"]


def test_a_config_that_is_too_large_is_said(tmp_path: Path, load_text: Load) -> None:
    with pytest.raises(ConfigError, match=r"larger than 5,000,000 bytes"):
        load_text("store: sqlite:///x.db\n" + "#" * 5_000_000)


def test_aliases_that_grow_without_end_are_said(load_text: Load) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match=r"more than 200,000 parts"):
        load_text("\n".join(lines))


def test_a_secret_file_that_is_too_large_is_said(tmp_path: Path, load_text: Load) -> None:
    (tmp_path / "key").write_text("x" * 100_001, "utf-8")
    with pytest.raises(ConfigError, match=r"more than 100,000 characters"):
        load_text("store: ${file:key}")


def test_there_is_an_end_to_the_computed_traits(problems: Problems) -> None:
    names = ", ".join(f"t{number}" for number in range(251))
    found = problems(RIGHT + f"computed_traits: [{{source: shop, file: c.csv, traits: [{names}]}}]\n")
    assert "computed_traits: 251 traits are too many: a config can have at most 250" in found
    assert not any("too many" in each for each in problems(RIGHT + f"computed_traits: [{{traits: [{names[:-6]}]}}]\n"))


@pytest.mark.parametrize("name", ["\u200b", "\u0301", "\u202e"])
def test_a_name_that_nobody_sees_is_refused(name: str, problems: Problems) -> None:
    found = problems(RIGHT + f'audiences: [{{name: "{name}", source: shop, file: a.csv}}]\n')
    assert any("no key can be derived from " in each for each in found)


def test_nothing_runs_more_rarely_than_once_a_year(problems: Problems) -> None:
    assert any(
        "The longest interval is one year. Example: 15m" in each
        for each in problems(ONE + "schedule: {every: 9999999d}\n")
    )


@pytest.mark.parametrize(
    ("option", "url", "meant"),
    [
        ("files", "mysql://ada@host/shop", "database"),
        ("files", "postgresql+psycopg://host/shop", "database"),
        ("files", "duckdb:///shop.duckdb", "database"),
        ("database", "s3://bucket/folder", "files"),
        ("database", "gsheets://abc", "files"),
        ("database", "sc://spark:15002", "spark"),
    ],
)
def test_a_url_of_another_option_is_a_problem_that_names_the_option(
    option: str, url: str, meant: str, problems: Problems
) -> None:
    rows = "query: select 1" if option == "database" else "file: vip.csv"
    text = f"sources: {{lake: {{{option}: '{url}'}}}}\naudiences: [{{name: VIP, source: lake, {rows}}}]\n"
    scheme = url.partition(":")[0]
    assert problems(text) == [f"sources.lake.{option}: `{scheme}://` belongs to `{meant}`: write it there"]
