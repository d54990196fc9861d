"""`dbt exposures` writes for dbt which destinations use its models."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from .conftest import Project


def configure(project: Project, **parts: Any) -> None:
    """The variables are not set: those who run dbt need not have our secrets."""
    project.configure(
        **{
            "sources": {"warehouse": {"database": "${WAREHOUSE_URL}"}},
            "audiences": [
                {"name": "Big Spenders", "source": "warehouse", "query": "select 1", "dbt_model": "big_spenders"},
                {
                    "name": "Churn Risk",
                    "source": "warehouse",
                    "query": "select 1",
                    "dbt_model": ["churn_risk.v2", "shop.customers"],
                    "destinations": ["braze"],
                },
                {"name": "By Hand", "source": "warehouse", "query": "select 1"},
            ],
            "computed_traits": [
                {
                    "source": "warehouse",
                    "query": "select 1",
                    "traits": ["email", {"column": "rev", "name": "Total Revenue"}],
                    "dbt_model": "model.shop.customers",
                }
            ],
            "destinations": {
                "braze": {"type": "braze", "api_key": "${BRAZE_API_KEY}", "url": "https://rest.iad-01.braze.com"},
                "my tool": {"type": "file", "path": "calls.jsonl", "traits": ["total_revenue"]},
            },
            **parts,
        }
    )


def exposures(project: Project, *arguments: str) -> list[dict[str, Any]]:
    result = project.run("dbt", "exposures", *arguments)
    assert (result.code, result.stderr) == (0, "")
    document = yaml.safe_load(result.stdout)
    assert document["version"] == 2
    found: list[dict[str, Any]] = document["exposures"]
    return found


def test_each_destination_is_an_exposure_of_the_models_that_it_receives(project: Project) -> None:
    configure(project)
    assert exposures(project) == [
        {
            "name": "audience_sync_braze",
            "label": "braze (Audience Sync)",
            "type": "application",
            "description": "Audience Sync sends user properties to braze (braze). Audiences: big_spenders, churn_risk. "
            "Computed traits: email, total_revenue.",
            "depends_on": [
                "ref('big_spenders')",
                "ref('churn_risk', v=2)",
                "ref('shop', 'customers')",
            ],
            "owner": {"name": "Audience Sync"},
        },
        {
            "name": "audience_sync_my_tool",
            "label": "my tool (Audience Sync)",
            "type": "application",
            "description": "Audience Sync sends user properties to my tool (file). Audiences: big_spenders. "
            "Computed traits: total_revenue.",
            "depends_on": ["ref('big_spenders')", "ref('shop', 'customers')"],
            "owner": {"name": "Audience Sync"},
        },
    ]


@pytest.mark.parametrize(
    ("owner", "found"),
    [
        ("Growth", {"name": "Growth"}),
        ("growth@example.com", {"email": "growth@example.com"}),
        ("Growth <growth@example.com>", {"name": "Growth", "email": "growth@example.com"}),
        ('"Growth, Team" <growth@example.com>', {"name": "Growth, Team", "email": "growth@example.com"}),
        ("Growth Team growth@example.com", {"name": "Growth Team", "email": "growth@example.com"}),
    ],
)
def test_the_owner_is_a_name_or_an_address_or_both(project: Project, owner: str, found: dict[str, str]) -> None:
    configure(project)
    assert exposures(project, "--owner", owner)[0]["owner"] == found


@pytest.mark.parametrize("owner", ["", " ", "Growth <growth@", "a@example.com, b@example.com"])
def test_an_owner_that_dbt_would_not_read_is_refused(project: Project, owner: str) -> None:
    configure(project)
    result = project.run("dbt", "exposures", "--owner", owner)
    assert (result.code, result.stdout) == (2, "")
    assert f"{owner!r} is not a name, an e-mail address, or both: Growth <growth@example.com>" in result.stderr


@pytest.mark.parametrize(
    ("model", "ref"),
    [
        ("churn_risk", "ref('churn_risk')"),
        ("churn_risk.v2", "ref('churn_risk', v=2)"),
        ("crm.churn_risk.vbeta", "ref('crm', 'churn_risk', v='beta')"),
        ("crm.vip", "ref('crm', 'vip')"),
        ("crm.churn_risk", "ref('crm', 'churn_risk')"),
        ("crm.churn_risk.v2", "ref('crm', 'churn_risk', v=2)"),
        ("model.crm.churn_risk.v2", "ref('crm', 'churn_risk', v=2)"),
        ("snapshot.crm.churn_risk", "ref('crm', 'churn_risk')"),
    ],
)
def test_a_model_is_referred_to_as_it_is_named(project: Project, model: str, ref: str) -> None:
    entry = {"name": "VIP", "source": "warehouse", "query": "select 1", "dbt_model": model}
    configure(project, audiences=[entry], computed_traits=[])
    assert exposures(project)[0]["depends_on"] == [ref]


def test_a_destination_that_gets_nothing_of_dbt_is_no_exposure_and_names_stay_apart(project: Project) -> None:
    entry = {"name": "VIP", "source": "warehouse", "query": "x", "dbt_model": "vip", "destinations": ["a-b", "a b"]}
    file = {"type": "file", "path": "calls.jsonl"}
    configure(project, audiences=[entry], computed_traits=[], destinations={"a-b": file, "a b": file, "other": file})
    assert [each["name"] for each in exposures(project)] == ["audience_sync_a_b", "audience_sync_a_b_2"]


def test_a_destination_does_not_depend_on_models_of_traits_that_it_does_not_get(project: Project) -> None:
    entry = {"name": "VIP", "source": "warehouse", "query": "x", "dbt_model": "vip"}
    traits = {"source": "warehouse", "query": "x", "dbt_model": "customers", "traits": ["email"]}
    file = {"type": "file", "path": "calls.jsonl", "traits": []}
    configure(project, audiences=[entry], computed_traits=[traits], destinations={"crm": file})
    assert exposures(project)[0]["depends_on"] == ["ref('vip')"]


def test_an_environment_has_its_own(project: Project) -> None:
    file = {"type": "file", "path": "calls.jsonl"}
    configure(project, environments={"production": {"destinations": {"crm": file}}})
    assert [each["name"] for each in exposures(project, "--env", "production")][-1] == "audience_sync_crm"


def test_a_config_without_a_model_of_dbt_has_no_exposures(project: Project) -> None:
    configure(project, audiences=[{"name": "VIP", "source": "warehouse", "query": "x"}], computed_traits=[])
    result = project.run("dbt", "exposures")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: no audience and no computed trait has `dbt_model`, so no destination depends on a model of dbt.\n"
        "  Write the model of each entry into the config: `dbt_model: churn_risk`.\n"
    )
