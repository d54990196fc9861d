"""`--json` keeps its contract."""

from __future__ import annotations

from .conftest import Project


def test_sync_answers_in_the_promised_shape(new_vip: Project) -> None:
    result = new_vip.sync()
    answer = result.json
    assert answer.pop("seconds") > 0
    assert answer["destinations"][0].pop("seconds") > 0
    assert answer == {
        "run": 1,
        "status": "succeeded",
        "audiences": [
            {
                "key": "vip",
                "name": "VIP",
                "status": "created",
                "members": 3,
                "entered": 3,
                "left": 0,
                "invalid": 0,
                "error": None,
                "held": None,
                "absent": 0,
                "returned": 0,
                "held_out": 0,
            }
        ],
        "traits": {"users": 0, "changed": 0, "invalid": 0, "errors": [], "held": []},
        "destinations": [
            {
                "name": "log",
                "calls": 3,
                "delivered": 3,
                "refused": 0,
                "still_refused": 0,
                "pending": 0,
                "withheld": 0,
                "requests": 1,
                "retries": 0,
                "error": None,
                "rate_limited": False,
            }
        ],
        "warnings": [],
        "errors": [],
        "held": [],
    }
    assert result.stderr == ""


def test_options_may_stand_before_or_after_the_commands_name(vip: Project) -> None:
    vip.run("sync")
    (vip.folder / "config.yaml").rename(vip.folder / "other.yaml")
    before = vip.run("--config", "other.yaml", "--json", "history")
    after = vip.run("history", "--config", "other.yaml", "--json")
    assert before == after
    assert [run["status"] for run in after.json["runs"]] == ["succeeded"]
