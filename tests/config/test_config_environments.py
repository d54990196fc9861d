"""An environment overrides any part of the config."""

from __future__ import annotations

from .conftest import ConnectOptions, FileOptions, Load, Problems

TEXT = """
store: sqlite:///dev.db
sources: {shop: {files: data}}
audiences: [{name: VIP, source: shop, file: vip.csv}]
destinations:
  connect: {type: zendesk_connect, private_key: "${DEV_KEY:-dev-key}", rate_limit: 5/s}
  segment: {type: file, path: calls.jsonl}
  log: {type: file, path: log.jsonl}
schedule: {every: 1h}
environments:
  development: {}
  production:
    store: postgresql://db/sync
    audiences: [{name: Only, source: shop, file: only.csv}]
    destinations:
      connect: {private_key: "${KEY}"}
      segment: {type: segment, write_key: "${KEY}"}
      log: null
    schedule: {every: null, cron: "@daily"}
"""


def test_without_an_environment_nothing_is_overridden(load_text: Load) -> None:
    settings = load_text(TEXT)
    assert list(settings.destinations) == ["connect", "segment", "log"]
    assert isinstance(settings.destinations["segment"], FileOptions)
    assert settings.environments == {}


def test_mappings_merge_and_lists_are_replaced(load_text: Load) -> None:
    settings = load_text(TEXT, env="production", KEY="prod-key")
    connect = settings.destinations["connect"]
    assert isinstance(connect, ConnectOptions)
    assert connect.private_key.get_secret_value() == "prod-key"
    assert connect.rate_limit == 5.0
    assert [audience.name for audience in settings.audiences] == ["Only"]
    assert settings.store == "postgresql+psycopg://db/sync"
    assert settings.environment == "production"


def test_null_removes(load_text: Load) -> None:
    settings = load_text(TEXT, env="production", KEY="prod-key")
    assert list(settings.destinations) == ["connect", "segment"]
    assert settings.schedule is not None
    assert settings.schedule.every is None


def test_a_destination_of_another_type_starts_afresh(load_text: Load) -> None:
    settings = load_text(TEXT, env="production", KEY="prod-key")
    assert settings.destinations["segment"].type == "segment"


def test_variables_of_other_environments_need_not_be_set(load_text: Load) -> None:
    assert load_text(TEXT, env="development").environment == "development"


def test_an_unknown_environment_names_those_there_are(problems: Problems) -> None:
    assert problems(TEXT, env="prodution") == [
        "environments: unknown environment `prodution`. Did you mean `production`?"
    ]


def test_an_unknown_part_of_any_environment_is_a_problem(problems: Problems) -> None:
    text = TEXT.replace("development: {}", "development: {stor: x}")
    assert problems(text) == ["environments.development.stor: unknown option. Did you mean `store`?"]


def test_an_environment_is_a_mapping(problems: Problems) -> None:
    assert problems(TEXT.replace("development: {}", "development: on")) == [
        "environments.development: it must be a mapping, like the config itself"
    ]
    assert problems(TEXT.split("environments:")[0] + "environments: [production]\n") == [
        "environments: it must be a mapping: environment names to overrides"
    ]
