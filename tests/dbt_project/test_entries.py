"""The entries that models become: how columns and tables are written, how models are named, what a config lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from audience_sync.dbt.config_text import lacking, write_config
from audience_sync.dbt.entries import Entries, read_entries
from audience_sync.dbt.manifest import Column, Manifest, Metadata, Node, find_manifest


def a_model(name: str, marked: Any, **more: Any) -> Node:
    values = {"config": {"meta": {"audience_sync": marked}}, "relation_name": f"shop.{name}", **more}
    return Node(name=name, resource_type="model", **values)


def project(*models: Node, adapter: str = "postgres") -> Manifest:
    nodes = {f"model.{each.package_name or 'shop'}.{each.name}": each for each in models}
    return Manifest(metadata=Metadata(adapter_type=adapter), nodes=nodes)


def queries(manifest: Manifest) -> list[str]:
    found = read_entries(manifest, "warehouse")
    return [each["query"] for each in (*found.audiences, *found.computed_traits)]


@pytest.mark.parametrize(
    ("adapter", "written"),
    [
        ("postgres", '"Order", "größe", "a b", plain_1'),
        ("snowflake", '"ORDER", "GRÖSSE", "a b", plain_1'),
        ("bigquery", "`Order`, `größe`, `a b`, plain_1"),
        ("databricks", "`Order`, `größe`, `a b`, plain_1"),
    ],
)
def test_a_column_is_written_as_the_warehouse_has_it(adapter: str, written: str) -> None:
    traits = [{"column": "größe", "key": "size"}, {"column": "a b", "key": "a_b"}, "plain_1", "Order"]
    model = a_model("big", {"user_id": "Order", "traits": traits})
    assert queries(project(model, adapter=adapter)) == [f"select {written} from shop.big"]


def test_a_quoted_column_of_snowflake_keeps_its_case() -> None:
    model = a_model("big", {"user_id": "Id"}, columns={"Id": Column(quote=True)})
    assert queries(project(model, adapter="snowflake")) == ['select "Id" from shop.big']


def test_a_table_without_the_name_of_its_relation_has_that_of_its_parts() -> None:
    model = a_model("big", True, relation_name=None, database="db", schema="marts", alias="large")
    assert queries(project(model)) == ["select user_id from db.marts.large"]


def test_meta_below_config_counts_more_than_that_beside_it() -> None:
    model = a_model("big", {"name": "New"}, meta={"audience_sync": {"name": "Old"}})
    assert [each["name"] for each in read_entries(project(model), "warehouse").audiences] == ["New"]


def test_text_of_dbt_becomes_no_variable_of_the_config() -> None:
    text = write_config(project(a_model("big", {"name": "Big ${HOME}", "key": "big"})), Path("target"), Path())
    assert yaml.safe_load(text)["audiences"][0]["name"] == "Big $${HOME}"


@pytest.mark.parametrize("given", ["", "target", "target/manifest.json"])
def test_the_manifest_is_found_by_its_folder(tmp_path: Path, given: str) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "manifest.json").touch()
    assert find_manifest(tmp_path / given) == tmp_path / "target" / "manifest.json"


def missing(tmp_path: Path, config: dict[str, Any], *models: Node) -> Entries:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return lacking(project(*models), tmp_path / "config.yaml")


def test_new_entries_get_the_source_of_those_that_read_models(tmp_path: Path) -> None:
    sources = {"files": {"files": "."}, "lake": {"database": "x"}, "dwh": {"database": "y"}}
    old = {"name": "Old", "source": "dwh", "query": "x", "dbt_model": "old"}
    [found] = missing(tmp_path, {"sources": sources, "audiences": [old]}, a_model("big", True)).audiences
    assert found["source"] == "dwh"
    [found] = missing(tmp_path, {"sources": sources}, a_model("big", True)).audiences
    assert found["source"] == "lake"


def test_of_several_audiences_of_one_model_those_without_their_key_are_missing(tmp_path: Path) -> None:
    model = a_model("big", [{"name": "One"}, {"name": "Two"}])
    there = {"name": "One", "source": "dwh", "query": "x", "dbt_model": "big"}
    assert [each["name"] for each in missing(tmp_path, {"audiences": [there]}, model).audiences] == ["Two"]


def test_a_name_in_two_packages_needs_its_package() -> None:
    models = (
        a_model("big", {"key": "mine"}),
        a_model("big", {"key": "theirs"}, package_name="crm"),
        a_model("vip", True),
    )
    names = [each["dbt_model"] for each in read_entries(project(*models), "warehouse").audiences]
    assert names == ["crm.big", "shop.big", "vip"]


def test_an_audience_with_a_key_alone_has_the_name_of_its_model() -> None:
    [found] = read_entries(project(a_model("big", {"key": "whales"})), "warehouse").audiences
    assert (found["name"], found["key"]) == ("big", "whales")


def test_hundreds_of_models_are_read() -> None:
    assert len(queries(project(*(a_model(f"audience_{number}", True) for number in range(300))))) == 300
