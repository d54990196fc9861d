"""The names in a config are read without validating it, without variables, and without an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from audience_sync.config.read.names import ConfigNames, read_names

CONFIG = """
audiences:
  - {name: Order Completed Last 30days, source: shop, file: orders.csv}
  - {name: Big Spenders, key: vip, source: shop, file: big.csv, schedule: "0 6 * * *"}
  - {names_from: audience, source: shop, file: all.csv}
computed_traits:
  - {source: shop, file: customers.csv, traits: [email, first_name, {column: rev_180, name: Total Revenue 180 Days}]}
destinations:
  log: {type: file, path: calls.jsonl}
  segment: {type: segment, write_key: "${SEGMENT_WRITE_KEY}"}
environments:
  production: {destinations: {connect: {type: zendesk_connect, private_key: "${KEY}"}}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG, "utf-8")
    return path


def test_keys_are_derived_as_in_a_run(config: Path) -> None:
    assert read_names(config, None) == ConfigNames(
        audiences=("order_completed_last_30days", "vip"),
        audience_names=("Order Completed Last 30days", "Big Spenders"),
        traits=("email", "firstName", "total_revenue_180_days"),
        destinations=("log", "segment"),
        environments=("production",),
        lists_all=False,
        has_schedule=True,
    )


def test_an_environment_adds_its_own(config: Path) -> None:
    found = read_names(config, "production")
    assert found is not None
    assert found.destinations == ("log", "segment", "connect")


def test_audiences_that_a_person_seeds_are_listed_as_such(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("audiences: [{name: Wave, initial: manual}, {name: VIP, initial: none}, {name: New}]", "utf-8")
    found = read_names(path, None)
    assert found is not None
    assert (found.audiences, found.manual) == (("wave", "vip", "new"), ("wave",))


@pytest.mark.parametrize(
    "text",
    [
        "audiences: [",
        "[]",
        "audiences: 7",
        "audiences: [7, {name: [1]}, {name: '${SECRET}'}, {name: ''}]\ndestinations: []",
        "computed_traits: [7, {traits: 7}, {traits: [{column: 7}]}]",
    ],
)
def test_a_config_with_problems_has_no_names(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, "utf-8")
    found = read_names(path, None) or ConfigNames()
    assert (found.audiences, found.traits, found.destinations) == ((), (), ())


def test_a_config_that_does_not_exist_has_no_names(tmp_path: Path) -> None:
    assert read_names(tmp_path / "config.yaml", None) is None
