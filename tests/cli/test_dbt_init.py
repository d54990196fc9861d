"""`init --from-dbt` writes a config for the models of a dbt project that have `meta.audience_sync`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import Project

MANIFESTS = Path(__file__).parents[1] / "dbt_project" / "manifests"
#: What dbt 1.5 on PostgreSQL, 1.7 on DuckDB and 1.11 on PostgreSQL wrote for tests/dbt_project/shop.
VERSIONS = {"v9": "analytics", "v11": "main", "v12": "analytics"}


def manifest_of(version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MANIFESTS / f"{version}.json").read_text("utf-8"))
    return found


def as_fusion(manifest: dict[str, Any]) -> None:
    """dbt Fusion's version, which has `meta` below `config` alone."""
    manifest["metadata"]["dbt_schema_version"] = "https://schemas.getdbt.com/dbt/manifest/v20.json"
    for node in manifest["nodes"].values():
        del node["meta"]


def as_old(manifest: dict[str, Any]) -> None:
    """`meta` beside `config` alone."""
    for node in manifest["nodes"].values():
        node["config"].pop("meta", None)


def written(project: Project, change: Callable[[dict[str, Any]], None] = lambda _: None, version: str = "v12") -> str:
    manifest = manifest_of(version)
    change(manifest)
    (project.folder / "target").mkdir(exist_ok=True)
    project.write("target/manifest.json", json.dumps(manifest))
    return "target/manifest.json"


def marking(**models: Any) -> Callable[[dict[str, Any]], None]:
    """Only these models are marked, with what is given."""

    def change(manifest: dict[str, Any]) -> None:
        for node in manifest["nodes"].values():
            node["meta"], node["config"]["meta"] = {}, {}
            if node["name"] in models and node.get("version") in (None, 2):
                node["config"]["meta"] = {"audience_sync": models[node["name"]]}

    return change


@pytest.mark.parametrize("version", VERSIONS)
def test_the_config_has_an_entry_for_each_marked_model_and_is_valid(project: Project, version: str) -> None:
    result = project.run("init", "--from-dbt", written(project, version=version))

    assert (result.code, result.stderr) == (0, "")
    schema = VERSIONS[version]
    text = (project.folder / "config.yaml").read_text("utf-8")
    config = yaml.safe_load(text)
    assert config["audiences"] == [
        {
            "name": "Big Spenders",
            "source": "warehouse",
            "dbt_model": "big_spenders",
            "query": f'select customer_id from "shop"."{schema}"."big_spenders"',
            "user_id": "customer_id",
            "guard": {"max_removed": "20%"},
        },
        {
            "name": "churn_risk",
            "source": "warehouse",
            "dbt_model": "churn_risk.v2",
            "query": f'select "user" from "shop"."{schema}"."churn_risk_v2"',
            "user_id": "user",
            "destinations": ["braze"],
        },
        {
            "name": "testers",
            "source": "warehouse",
            "dbt_model": "testers",
            "query": f'select user_id from "shop"."{schema}"."testers"',
        },
    ]
    assert config["computed_traits"] == [
        {
            "source": "warehouse",
            "dbt_model": "customers",
            "query": f'select customer_id, email, revenue from "shop"."{schema}"."customers"',
            "user_id": "customer_id",
            "traits": ["email", {"column": "revenue", "name": "Total Revenue"}],
        }
    ]
    assert config["destinations"] == {"braze": {"type": "file", "path": "braze.jsonl"}}
    assert config["sources"] == {"warehouse": {"database": "${WAREHOUSE_URL}"}}
    assert "    # dbt: {run_results: target/run_results.json, max_age: 26h}\n" in text
    if version == "v12":
        assert "#   export WAREHOUSE_URL='postgresql+psycopg://USER:PASSWORD@HOST:5432/shop'\n" in text
        assert "\n  pip install 'audience-sync[postgresql]'\n" in result.stdout
        assert "\n  export WAREHOUSE_URL='postgresql+psycopg://USER:PASSWORD@HOST:5432/shop'\n" in result.stdout
    project.environment["WAREHOUSE_URL"] = "sqlite:///warehouse.db"
    checked = project.run("check", "--json").json["checks"]
    assert [each for each in checked if each["part"] == "config" and not each["good"]] == []


@pytest.mark.parametrize("change", [as_fusion, as_old])
def test_meta_may_be_below_config_or_beside_it(project: Project, change: Callable[[dict[str, Any]], None]) -> None:
    assert project.run("init", "--from-dbt", written(project, change)).code == 0
    config = yaml.safe_load((project.folder / "config.yaml").read_text("utf-8"))
    assert [each["name"] for each in config["audiences"]] == ["Big Spenders", "churn_risk", "testers"]


def test_the_folder_of_the_dbt_project_does_as_well(project: Project) -> None:
    written(project)
    result = project.run("init", "sync", "--from-dbt", ".")
    assert result.code == 0
    assert "max_age: 26h" in (text := (project.folder / "sync" / "config.yaml").read_text("utf-8"))
    assert "run_results: ../target/run_results.json" in text


def test_the_file_of_duckdb_is_relative_to_the_config(project: Project) -> None:
    written(project, version="v11")
    result = project.run("init", "sync", "--from-dbt", ".")
    assert "  export WAREHOUSE_URL='duckdb:///../shop.duckdb'\n" in result.stdout


@pytest.mark.parametrize(
    ("files", "default"),
    [
        (["shop.duckdb"], "duckdb:///shop.duckdb"),
        (["data/shop.db"], "duckdb:///data/shop.db"),
        (["data/shop.duckdb", "old/shop.duckdb"], None),
        (["shop.duckdb", "old/shop.duckdb"], "duckdb:///shop.duckdb"),
        (["data/other.duckdb"], None),
    ],
)
def test_the_file_of_duckdb_that_is_there_need_not_be_filled_in(
    project: Project, files: list[str], default: str | None
) -> None:
    written(project, version="v11")
    for file in files:
        (project.folder / file).parent.mkdir(exist_ok=True)
        (project.folder / file).write_bytes(b"12345678DUCK")
    result = project.run("init", "--from-dbt", ".")
    config = yaml.safe_load((project.folder / "config.yaml").read_text("utf-8"))
    written_default = f"${{WAREHOUSE_URL:-{default}}}" if default else "${WAREHOUSE_URL}"
    assert config["sources"]["warehouse"]["database"] == written_default
    assert ("Fill in the address" in result.stdout) == (default is None)


def test_a_column_is_quoted_if_the_project_quotes_it(project: Project) -> None:
    def change(manifest: dict[str, Any]) -> None:
        marking(customers={"user_id": "Id", "traits": ["Plan", "email"]})(manifest)
        manifest["nodes"]["model.shop.customers"]["columns"] = {
            "Id": {"name": "Id", "quote": True},
            "Plan": {"name": "Plan", "quote": None},
        }

    assert project.run("init", "--from-dbt", written(project, change)).code == 0
    [entry] = yaml.safe_load((project.folder / "config.yaml").read_text("utf-8"))["computed_traits"]
    assert entry["query"] == 'select "Id", Plan, email from "shop"."analytics"."customers"'


def test_one_model_may_be_several_audiences_and_traits(project: Project) -> None:
    marked = [
        {"names_from": "segment", "user_id": "customer id"},
        {"user_id": "customer id", "traits": ["plan", {"column": "group"}]},
    ]
    assert project.run("init", "--from-dbt", written(project, marking(customers=marked))).code == 0
    config = yaml.safe_load((project.folder / "config.yaml").read_text("utf-8"))
    assert [each["query"] for each in (*config["audiences"], *config["computed_traits"])] == [
        'select "customer id", segment from "shop"."analytics"."customers"',
        'select "customer id", plan, "group" from "shop"."analytics"."customers"',
    ]


def test_an_existing_config_stays_as_it_is_and_what_it_lacks_is_shown(project: Project) -> None:
    file = written(project)
    project.configure(
        sources={"lake": {"files": "."}, "dwh": {"database": "${DWH}"}},
        audiences=[
            {"name": "Big Spenders", "source": "dwh", "query": "select 1 as user_id", "dbt_model": "big_spenders"}
        ],
        computed_traits=[{"source": "dwh", "query": "x", "traits": ["email"], "dbt_model": "customers"}],
    )
    before = (project.folder / "config.yaml").read_bytes()

    result = project.run("init", "--from-dbt", file)

    assert (result.code, result.stderr) == (0, "")
    first, _, rest = result.stdout.partition("\n")
    assert first == f"config.yaml exists and was not changed. It lacks 3 entries of {file}:"
    lacking = yaml.safe_load(rest)
    assert [(each["name"], each["source"]) for each in lacking["audiences"]] == [
        ("churn_risk", "dwh"),
        ("testers", "dwh"),
    ]
    [traits] = lacking["computed_traits"]
    assert (traits["traits"], traits["query"]) == (
        [{"column": "revenue", "name": "Total Revenue"}],
        'select customer_id, revenue from "shop"."analytics"."customers"',
    )
    assert (project.folder / "config.yaml").read_bytes() == before
    answer = project.run("init", "--json", "--from-dbt", file).json
    assert (answer["created"], len(answer["missing"]["audiences"])) == ([], 2)


def test_an_audience_that_has_another_key_in_the_config_is_there(project: Project) -> None:
    file = written(project, marking(big_spenders=True, testers=[{"names_from": "team"}, {"name": "All Testers"}]))
    project.configure(
        sources={"dwh": {"database": "${DWH}"}},
        audiences=[
            {"name": "Whales", "source": "dwh", "query": "x", "dbt_model": "big_spenders"},
            {"key": "all_testers", "name": "Testers", "source": "dwh", "query": "x"},
            {"names_from": "team", "source": "dwh", "query": "x", "dbt_model": "players"},
        ],
    )
    [missing] = project.run("init", "--json", "--from-dbt", file).json["missing"]["audiences"]
    assert (missing["names_from"], missing["dbt_model"]) == ("team", "testers")


def test_a_config_with_everything_lacks_nothing(project: Project) -> None:
    file = written(project)
    project.run("init", "--from-dbt", file)
    again = project.run("init", "--from-dbt", file)
    assert (again.code, again.stdout) == (0, f"config.yaml has every entry of {file}. Nothing was written.\n")


class TestWhatIsWrong:
    def refused(self, project: Project, change: Callable[[dict[str, Any]], None]) -> list[str]:
        result = project.run("init", "--from-dbt", written(project, change))
        assert (result.code, result.stdout) == (2, "")
        assert not (project.folder / "config.yaml").exists()
        first, *problems = result.stderr.splitlines()
        count = len(problems)
        assert first == f"error: the dbt project has {count} problem{'s' * (count > 1)}. Nothing was written."
        return [each.strip() for each in problems]

    def test_all_is_said_at_once_by_path_and_with_the_option_that_was_meant(self, project: Project) -> None:
        problems = self.refused(
            project,
            marking(
                big_spenders={"user_id": "id", "desinations": ["braze"], "guard": {"max_remved": "20%"}},
                churn_risk={"query": "select 1"},
                customers={"name": "Customers", "traits": ["email"]},
                testers="yes",
            ),
        )
        assert problems == [
            "models/schema.yml: big_spenders.meta.audience_sync.desinations: unknown option. "
            "Did you mean `destinations`?",
            "models/schema.yml: big_spenders.meta.audience_sync.guard.max_remved: unknown option. "
            "Did you mean `max_removed`?",
            "models/schema.yml: churn_risk.meta.audience_sync.query: the model itself decides this: remove it",
            "models/schema.yml: customers.meta.audience_sync: it has both `name` and `traits`: "
            "write a list with two mappings, one for the audience and one for the traits",
            "models/schema.yml: testers.meta.audience_sync: it must be a mapping of options, such as "
            "`{name: Churn Risk, user_id: customer_id}`, a list of them, or `true`",
        ]

    def test_two_models_with_one_key(self, project: Project) -> None:
        [problem] = self.refused(project, marking(big_spenders={"name": "VIP"}, testers={"key": "vip", "name": "x"}))
        assert problem == (
            "models/schema.yml: testers.meta.audience_sync.key: its key `vip` is already that of "
            "models/schema.yml: big_spenders.meta.audience_sync: give one of them another `key:`"
        )

    def test_an_ephemeral_model_has_no_table(self, project: Project) -> None:
        [problem] = self.refused(project, marking(stg_orders=True))
        assert problem.startswith("models/stg_orders.sql: stg_orders.meta.audience_sync: the model is ephemeral")

    @pytest.mark.parametrize("column", [{"meta": {"audience_sync": True}}, {"config": {"meta": {"audience_sync": {}}}}])
    def test_a_column_can_not_be_marked(self, project: Project, column: dict[str, Any]) -> None:
        def change(manifest: dict[str, Any]) -> None:
            marking()(manifest)
            manifest["nodes"]["model.shop.customers"]["columns"] = {"email": column}

        assert self.refused(project, change) == [
            "models/schema.yml: customers.columns.email.meta.audience_sync: it has no effect at a column. "
            "Mark the model, and name the column in its `traits`"
        ]

    @pytest.mark.parametrize("nothing", [None, [], "", 1])
    def test_a_mark_without_options_is_true(self, project: Project, nothing: object) -> None:
        [problem] = self.refused(project, marking(big_spenders=nothing))
        assert problem.startswith("models/schema.yml: big_spenders.meta.audience_sync: it must be a mapping of options")

    def test_no_marked_model(self, project: Project) -> None:
        result = project.run("init", "--from-dbt", written(project, marking()))
        assert result.code == 2
        assert result.stderr == (
            "error: no model of the dbt project has `meta.audience_sync`.\n"
            "  Nothing was written. Add it where the model is described (before dbt 1.8 without `config`):\n"
            "  models:\n"
            "  - name: churn_risk\n"
            "    config:\n"
            "      meta:\n"
            "        audience_sync: {name: Churn Risk, user_id: customer_id}\n"
            "  Then run `dbt parse`, and this command again.\n"
        )

    @pytest.mark.parametrize("content", ["{", "[]", '{"metadata": {}, "nodes": {}}', '{"results": []}'])
    def test_another_file(self, project: Project, content: str) -> None:
        project.write("other.json", content)
        result = project.run("init", "--from-dbt", "other.json")
        assert result.code == 2
        assert "other.json: is not a manifest of dbt. `dbt parse` writes it: target/manifest.json" in result.stderr

    def test_no_file(self, project: Project) -> None:
        result = project.run("init", "--from-dbt", "target/manifest.json")
        assert result.code == 2
        assert "target/manifest.json: can't be read: No such file or directory" in result.stderr


def test_models_of_one_name_in_two_packages_are_named_by_their_package(project: Project) -> None:
    def change(manifest: dict[str, Any]) -> None:
        marking(testers=True)(manifest)
        nodes = manifest["nodes"]
        nodes["seed.crm.testers"] = {**nodes["seed.shop.testers"], "package_name": "crm", "config": {"meta": {}}}

    assert project.run("init", "--from-dbt", written(project, change)).code == 0
    [entry] = yaml.safe_load((project.folder / "config.yaml").read_text("utf-8"))["audiences"]
    assert entry["dbt_model"] == "shop.testers"


def test_an_editor_finds_the_schema_of_the_new_config(project: Project) -> None:
    assert project.run("init", "--from-dbt", written(project)).code == 0
    assert (project.folder / "config.yaml").read_text("utf-8").startswith("# yaml-language-server: $schema=config.s")
    assert json.loads((project.folder / "config.schema.json").read_text("utf-8"))["title"].startswith("Audience Sync")
    assert ".env" in (project.folder / ".gitignore").read_text("utf-8").splitlines()
