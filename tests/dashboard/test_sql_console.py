"""A person's query reads the views and nothing else, on both databases, within its limits."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from conftest import DATABASES, PostgreSQL
from sqlalchemy import create_engine, func, select, text
from store import example_week

from audience_sync.dashboard.masks import IdMask
from audience_sync.dashboard.sql_console.console import run_query
from audience_sync.dashboard.sql_console.questions import Examples, Question, about, document
from audience_sync.dashboard.sql_console.result import QueryError, QueryResult, line_and_column
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from audience_sync.store.tables import installation

KEY = bytes(range(32))


def ask(
    store: Store, sql: str, *, mask_key: bytes | None = None, seconds: float = 5.0, rows: int = 10_000
) -> QueryResult:
    with store.reading() as connection:
        return run_query(connection, sql, mask_key=mask_key, seconds=seconds, rows=rows)


def refused(store: Store, sql: str, *, mask_key: bytes | None = None, seconds: float = 5.0) -> QueryError:
    with pytest.raises(QueryError) as error:
        ask(store, sql, mask_key=mask_key, seconds=seconds)
    return error.value


@pytest.fixture(scope="module", params=DATABASES)
def week(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The week of the documentation's examples, once on each database: no query changes it."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgresql").create(with_schema=True)
    else:
        file = tmp_path_factory.mktemp("console") / "store.db"
        shutil.copy(request.getfixturevalue("sqlite_schema"), file)
        url = f"sqlite:///{file}"
    store = Store(url)
    example_week.fill(store)
    yield store
    store.close()


class TestAQuery:
    def test_has_columns_and_rows_with_their_types(self, week: Store) -> None:
        found = ask(week, "select run, status, seconds, error from sync_runs where run >= 42 order by run")
        assert found.columns == ["run", "status", "seconds", "error"]
        assert [list(row) for row in found.rows] == [
            [42, "succeeded", 1.25, None],
            [43, "failed", 1.5, example_week.NO_FILE],
        ]
        assert found.cut == ""

    def test_shows_times_in_utc(self, week: Store) -> None:
        (row,) = ask(week, "select max(started_at) from sync_runs").rows
        assert str(row[0]).removesuffix(".000000") == "2026-03-06 06:00:00"

    def test_may_have_two_columns_of_one_name_a_semicolon_and_comments(self, week: Store) -> None:
        found = ask(
            week, "select a.run, r.run -- two\nfrom audience_syncs a join sync_runs r on r.run = a.run limit 1; -- end"
        )
        assert found.columns == ["run", "run"]

    def test_may_name_queries_of_its_own(self, week: Store) -> None:
        found = ask(
            week,
            "with big as (select * from audience_members where audience_key = 'big_spenders') "
            "select count(*) as n from big",
        )
        assert [list(row) for row in found.rows] == [[5]]

    def test_may_take_json_apart(self, week: Store) -> None:
        sql = (
            "select value from json_each('[1, 2]')"
            if week.is_sqlite
            else "select value from json_array_elements('[1, 2]')"
        )
        assert [str(row[0]) for row in ask(week, sql).rows] == ["1", "2"]

    def test_without_rows_has_its_columns(self, week: Store) -> None:
        found = ask(week, "select run, destination from deliveries where run = 0")
        assert (found.columns, list(found.rows)) == (["run", "destination"], [])

    def test_is_cut_at_a_number_of_rows_and_says_so(self, week: Store) -> None:
        found = ask(week, "select user_id from membership_changes order by user_id", rows=3)
        assert len(found.rows) == 3
        assert found.cut == "Only the first 3 rows are shown."

    def test_that_is_as_long_as_the_limit_is_whole(self, week: Store) -> None:
        found = ask(week, "select run from sync_runs", rows=5)
        assert (len(found.rows), found.cut) == (5, "")

    @pytest.mark.parametrize("question", document().questions, ids=lambda each: each.title[:40])
    def test_of_the_documentation_can_be_run(self, week: Store, question: Question) -> None:
        assert ask(week, question.sql).columns


class TestOnlyTheViews:
    @pytest.mark.parametrize(
        "sql",
        [
            "select uuid from installation",
            "select * from public.installation",
            "select count(*) from installation",
            "select user_id from suppressions",
            "select * from lease",
            "select m.user_id from members m",
            "with audience_members as (select uuid as user_id from installation) select * from audience_members",
            "with AUDIENCE_MEMBERS(user_id) as (select uuid from installation) select * from audience_members",
            'with "sync_runs" as (select uuid from installation) select * from "sync_runs"',
            "with 'sync_runs' as (select uuid from installation) select * from 'sync_runs'",
            "with [sync_runs] as not materialized (select uuid from installation) select * from sync_runs",
            "with sync_runs/**/as/**/(select uuid from installation) select * from sync_runs",
            'with audience_members(")") as (select uuid from installation) select * from audience_members',
            'with audience_members("as (") as (select uuid from installation) select * from audience_members',
            "with \ufeffaudience_members as (select uuid from installation) select * from audience_members",
            "with audience_members \vas (select uuid from installation) select * from audience_members",
            "with audience_members as materialized (select uuid from installation) select * from audience_members",
            "select x.uuid from (select uuid from installation) as audience_members, sync_runs as x",
            "select (select uuid from installation) as run from sync_runs",
            "select (with installation as (select 1 as uuid) select uuid from installation), "
            "(select uuid from installation)",
            "select (with lease as (select 1 as a) select a from lease), (select count(*) from lease)",
            "select count(*) from suppressions",
            "select count(*) from sqlite_master",
            "select 1 where exists (select 1 from installation)",
            "select run from sync_runs union all select uuid from installation",
            "select * from main.installation",
            "select * from main.sync_runs, installation",
            "select * from temp.sqlite_master",
            "select * from sqlite_temp_schema",
            "select * from pragma_table_list",
            "select name from sqlite_master",
            "select * from pragma_table_info('installation')",
            "select * from pg_catalog.pg_authid",
            "select * from pg_stat_activity",
            "select * from information_schema.tables",
            'select * from "pg_stat_activity"',
            "select query_to_xml('select * from public.installation', true, false, '')",
            "select table_to_xml('public.installation', true, false, '')",
            'select * from "public" . installation',
            "select * from public/* a */./* b */installation",
            "select to_jsonb(i) from public.installation i",
            "select json_populate_record(null::public.installation, '{}')",
            "select * from ts_stat('select to_tsvector(uuid) from public.installation')",
            "select ('data_directory').current_setting",
            "select ('select to_tsvector(uuid) from public.installation').ts_stat",
            "select (1.0::float8).setseed",
            "select \"query_to_xml\"('select * from public.installation', true, false, '')",
            "select QUERY_TO_XML('select * from public.installation', true, false, '')",
            "select current_query()",
            "select dblink('dbname=postgres', 'select 1')",
            "select pg_read_file('/etc/passwd')",
            "select * from pg_ls_dir('.')",
            "select lo_import('/etc/passwd')",
            "select current_setting('data_directory')",
            "select set_config('statement_timeout', '0', false)",
            "select pg_sleep(1)",
            "select pg_advisory_lock(1)",
            "select load_extension('/tmp/x.so')",
            "select * from dbstat",
            "select readfile('/etc/passwd')",
        ],
    )
    def test_can_be_read(self, week: Store, sql: str) -> None:
        with week.reading() as connection:
            secret = connection.execute(select(installation.c.uuid)).scalar_one()
        error = refused(week, sql)
        assert secret not in str(error) + error.hint

    @pytest.mark.parametrize(
        "sql",
        [
            "delete from members",
            "insert into installation select * from installation",
            "update runs set status = 'succeeded'",
            "drop view sync_runs",
            "create table x (a int)",
            "create temp table x (a int)",
            "create temp view x as select 1",
            "attach 'other.db' as other",
            "detach main",
            "pragma query_only = off",
            "pragma writable_schema = on",
            "vacuum into 'copy.db'",
            "begin",
            "commit",
            "savepoint a",
            "reindex",
            "analyze",
            "copy installation to '/tmp/x'",
            "copy (select 1) to program 'touch /tmp/x'",
            "select 1 into copied",
            "set role postgres",
            "do $$ begin perform 1; end $$",
            "explain analyze delete from members",
            "with gone as (delete from members returning user_id) select * from gone",
            "select 1; drop view sync_runs",
            "select 1; commit; delete from public.members",
            "commit; delete from public.members",
            "select 1) as x; commit; delete from public.members; select * from (select 1",
            "select * from sync_runs for update",
            "lock table members",
            "listen x",
            "call x()",
        ],
    )
    def test_and_nothing_is_written(self, week: Store, sql: str) -> None:
        before = everything(week)
        refused(week, sql)
        assert everything(week) == before

    def test_also_where_the_tables_are_in_the_schema_of_the_views(self, postgresql: PostgreSQL) -> None:
        url = postgresql.create()
        engine = create_engine(url)
        with engine.begin() as connection:
            name = connection.exec_driver_sql("select current_database()").scalar_one()
            connection.exec_driver_sql("create schema audience_sync")
            connection.exec_driver_sql(f'alter database "{name}" set search_path = audience_sync')
        engine.dispose()
        store = Store(url)
        migrate.upgrade(store)
        assert ask(store, "select count(*) from sync_runs").rows == [[0]]
        assert str(refused(store, "select uuid from installation")) == "`installation` can’t be read or used here."
        store.close()

    def test_is_what_the_error_says(self, week: Store) -> None:
        error = refused(week, "select uuid\nfrom instalation")
        assert error.hint
        assert "`installation`" not in error.hint

    def test_one_that_is_misspelled_is_suggested_on_sqlite(self, new_store: Callable[..., Store]) -> None:
        store = new_store("sqlite", with_schema=True)
        error = refused(store, "select *\nfrom membership_chnges")
        assert error.hint == "Did you mean `membership_changes`?"
        assert error.position is not None
        assert line_and_column("select *\nfrom membership_chnges", error.position) == (2, 6)


def everything(store: Store) -> list[int]:
    """The number of rows of each table, and of all views."""
    from audience_sync.store.tables import metadata

    with store.reading() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(each)).scalar_one() for each in metadata.sorted_tables
        ]
        views = "select count(*) from sqlite_master" if store.is_sqlite else "select count(*) from pg_views"
        return [*counts, connection.execute(text(views)).scalar_one()]


class TestAnError:
    @pytest.mark.parametrize(
        ("sql", "place"),
        [
            ("select run\nfrom sync_runs\nwhere where run = 1", (3, 7)),
            ("selec run from sync_runs", (1, 1)),
            ("select run from sync_runs order by nowhere", (1, 36)),
            ("select bad_column from sync_runs", (1, 8)),
            ("select 1; select 2", (1, 9)),
        ],
    )
    def test_names_its_place(self, week: Store, sql: str, place: tuple[int, int]) -> None:
        error = refused(week, sql)
        if "; select" in sql and week.is_sqlite:  # SQLite counts statements, without a place
            assert str(error) == "only one statement can be run."
            return
        assert error.position is not None
        assert line_and_column(sql, error.position) == place

    @pytest.mark.parametrize("sql", ["", "  ", "-- nothing", "/* nothing */", ";"])
    def test_of_an_empty_query_says_so(self, week: Store, sql: str) -> None:
        assert refused(week, sql)

    @pytest.mark.parametrize("sql", ["select 'open", 'select "open', "select (1", "select \0 1", "x" * 20_000])
    def test_of_a_broken_text_is_an_error_of_the_query(self, week: Store, sql: str) -> None:
        assert str(refused(week, sql))


class TestItsLimits:
    def test_end_an_endless_recursion(self, week: Store) -> None:
        bomb = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
        assert str(refused(week, bomb, seconds=0.5)) == "the query was stopped after 0.5 s."

    def test_end_a_product_of_all_rows(self, week: Store) -> None:
        product = " cross join ".join(f"membership_changes m{number}" for number in range(12))
        assert "stopped after" in str(refused(week, f"select count(*) from {product}", seconds=0.5))

    def test_refuse_or_cut_a_value_of_a_gigabyte(self, week: Store) -> None:
        if week.is_sqlite:
            assert "a value is longer" in str(refused(week, "select hex(zeroblob(500000000))"))
        else:
            (row,) = ask(week, "select repeat('x', 50000000)").rows
            assert len(row[0]) == 100_000

    @pytest.mark.parametrize("value", ["1", "null", "''"])
    def test_cut_a_result_of_many_columns(self, week: Store, value: str) -> None:
        columns = ", ".join([value] * 1_500)
        rows = " cross join ".join(f"membership_changes m{number}" for number in range(4))
        found = ask(week, f"select {columns} from {rows}")
        assert "as long as a result may be" in found.cut
        assert 600 < len(found.rows) < 700

    def test_cut_a_result_of_long_values(self, week: Store) -> None:
        value = "hex(zeroblob(45000))" if week.is_sqlite else "repeat('x', 90000)"
        rows = " union all ".join(["select user_id from membership_changes"] * 40)
        found = ask(week, f"select {value} as v from ({rows}) as t")
        assert "as long as a result may be" in found.cut
        assert 200 < len(found.rows) < 300


class TestWithMaskedIds:
    def test_ids_have_the_pseudonyms_of_the_pages(self, week: Store) -> None:
        mask = IdMask(KEY)
        found = ask(week, "select user_id from audience_members where audience_key = 'big_spenders'", mask_key=KEY)
        assert sorted(str(row[0]) for row in found.rows) == sorted(
            mask.id(each) for each in ("ada", "cleo", "eve", "fay", "gus")
        )

    @pytest.mark.parametrize(
        "sql",
        [
            "select count(*) from audience_members where user_id = 'ada'",
            "select count(*) from audience_members where substr(user_id, 1, 3) = 'ada'",
            "select count(*) from audience_members m where m.user_id in (select 'ada')",
        ],
    )
    def test_a_query_never_compares_the_id_itself(self, week: Store, sql: str) -> None:
        assert [list(row) for row in ask(week, sql, mask_key=KEY).rows] == [[0]]

    @pytest.mark.parametrize("function", ["mask_id('ada')", "id('ada')", "mask_text('ada')"])
    def test_no_query_can_make_the_pseudonym_of_an_id(self, week: Store, function: str) -> None:
        refused(week, f"select count(*) from audience_members where user_id = {function}", mask_key=KEY)

    @pytest.mark.parametrize(
        "sql",
        [
            "select user_id from main.audience_members",
            "select user_id from \ufeffmain.audience_members",
            "select user_id from main \v.audience_members",
            "select user_id from [main].audience_members",
            "select $a(\"), user_id from main.audience_members where '\"' <> ''",
            "select user_id from audience_sync.audience_members",
            'select user_id from "main" . audience_members',
            "with audience_members as (select * from main.audience_members) select user_id from audience_members",
            "select 1) union all select user_id from (select user_id from main.audience_members",
        ],
    )
    def test_the_view_itself_is_out_of_reach(self, week: Store, sql: str) -> None:
        refused(week, sql, mask_key=KEY)

    def test_texts_that_may_quote_ids_are_masked(self, week: Store) -> None:
        found = ask(week, "select error from audience_syncs where run = 41 and status = 'held'", mask_key=KEY)
        (row,) = found.rows
        assert "big_spenders" not in str(row[0])
        assert "the new snapshot is empty" in str(row[0])


class TestTheQuestions:
    def test_are_those_of_the_documentation_in_its_order(self) -> None:
        titles = [each.title for each in document().questions]
        assert titles[0] == "How did the last runs go?"
        assert "Whose membership flaps?" in titles
        assert "What did run 42 send?" in titles
        assert all(each.endswith("?") for each in titles)

    def test_are_asked_with_names_of_this_store(self) -> None:
        question = Question(
            "What did run 42 send?",
            "select 1 from x where audience_key in ('big_spenders', 'new_customers') and run = 42 "
            "and day = '2026-03-05' and trait_key = 'plan' and destination = 'connect' "
            "and user_id = 'eve' and change = 'left'",
        )
        examples = Examples(["it's", "plan"], 7, "2026-11-29", trait="city", destination="log", user="o'neil")
        assert about(question, examples) == Question(
            "What did run 7 send?",
            "select 1 from x where audience_key in ('it''s', 'plan') and run = 7 "
            "and day = '2026-11-29' and trait_key = 'city' and destination = 'log' "
            "and user_id = 'o''neil' and change = 'left'",
        )

    def test_keep_the_names_of_the_documentation_where_this_store_has_none(self) -> None:
        question = Question("?", "select 1 from x where trait_key = 'plan' and run = 42")
        assert about(question, Examples()) == question

    def test_every_view_has_its_columns_and_their_meanings(self) -> None:
        columns = dict(document().views["refused_calls"].columns)
        assert columns["http_status"] == "the status of its answer; NULL if the call was never sent"
